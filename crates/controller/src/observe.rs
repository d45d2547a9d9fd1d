//! What is seen of the cluster, by owner: the workloads over the informer, the nodes over their stream and list.
//!
//! Workers are woken by what concerns their own set, and then read all of it.

mod seen;

use crate::clock::Clock;
use crate::view;
use eru_api::pb;
use eru_client::{Backoff, Changes, Client, Error, Filter, Informer, InformerOptions, Progress};
use eru_reconcile::NodeState;
use parking_lot::Mutex;
use seen::Seen;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

pub use seen::Sight;

/// How often the nodes are listed even if their stream says nothing: it has no sign of life of its own.
const NODES_LIST_EVERY: Duration = Duration::from_secs(15);
/// How long a list of nodes may take.
const NODES_LIST_DEADLINE: Duration = Duration::from_secs(5);

/// Eyes on the cluster. Cheap to clone.
#[derive(Clone)]
pub struct Observer {
    shared: Arc<Shared>,
    informer: Informer,
}

struct Shared {
    clock: Clock,
    seen: Mutex<Seen>,
    nodes_known: watch::Sender<bool>,
    /// How far `seen` is with what the informer has told.
    progress: OnceLock<Progress>,
}

impl Observer {
    /// Starts to watch; run [`Observer::run`] beside it.
    pub fn start(client: Client, clock: Clock, shutdown: CancellationToken) -> Self {
        let informer = Informer::start(client, Filter::default(), InformerOptions::default(), shutdown);
        let (nodes_known, _) = watch::channel(false);
        let shared = Shared { clock, seen: Mutex::default(), nodes_known, progress: OnceLock::new() };
        Self { shared: Arc::new(shared), informer }
    }

    /// Follows the streams until shutdown.
    pub async fn run(&self, client: Client, shutdown: CancellationToken) {
        let changes = self.informer.changes();
        self.shared.progress.get_or_init(|| changes.progress());
        let workloads = self.shared.follow_workloads(changes);
        let nodes = self.shared.follow_nodes(&client);
        shutdown.run_until_cancelled(async { tokio::join!(workloads, nodes) }).await;
        self.informer.join().await;
    }

    /// Wakes whoever waits on the answer when something of the owner changes.
    pub fn subscribe(&self, owner: &str) -> Arc<Notify> {
        self.shared.seen.lock().workers.entry(owner.to_owned()).or_default().clone()
    }

    /// Ends a subscription.
    pub fn unsubscribe(&self, owner: &str) {
        self.shared.seen.lock().workers.remove(owner);
    }

    /// All of one owner, or `None` while what is known may not be what is.
    pub fn sight(&self, owner: &str) -> Option<Sight> {
        // In this order: the informer is live and has told of its whole; that whole has been read through.
        let is_caught_up = || self.shared.progress.get().is_some_and(Progress::is_caught_up);
        if !self.informer.is_live() || !is_caught_up() || !*self.shared.nodes_known.borrow() {
            return None;
        }
        Some(self.shared.seen.lock().sight(owner, self.shared.clock.now()))
    }

    /// Why nothing can be seen, while it is so.
    pub fn problem(&self) -> Option<String> {
        self.informer.problem()
    }
}

impl Shared {
    async fn follow_workloads(&self, mut changes: Changes) {
        while let Some(change) = changes.next().await {
            self.seen.lock().apply(change, self.clock.now());
        }
    }

    async fn follow_nodes(&self, client: &Client) {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));
        loop {
            match self.watch_nodes(client, &mut backoff).await {
                Ok(()) => tracing::debug!("the stream of nodes ended"),
                Err(error) => tracing::debug!(%error, "nodes cannot be watched"),
            }
            tokio::time::sleep(backoff.next_wait()).await;
        }
    }

    /// Opens the stream, then lists: so nothing is missed in between.
    async fn watch_nodes(&self, client: &Client, backoff: &mut Backoff) -> Result<(), Error> {
        let mut stream = client.read(|mut core| async move { core.node_status_stream(pb::Empty {}).await }).await?;
        let mut list_again = tokio::time::interval(NODES_LIST_EVERY);
        loop {
            tokio::select! {
                message = stream.message() => match message {
                    Ok(Some(message)) => self.note_node(&message),
                    Ok(None) | Err(_) => return Ok(()),
                },
                _ = list_again.tick() => {
                    self.list_nodes(client).await?;
                    backoff.reset();
                }
            }
        }
    }

    async fn list_nodes(&self, client: &Client) -> Result<(), Error> {
        let all = pb::ListNodesOptions { all: true, skip_info: true, ..Default::default() };
        let client = client.with_deadline(NODES_LIST_DEADLINE);
        let ask = |mut core: eru_client::CoreRpc| {
            let all = all.clone();
            async move { core.list_pod_nodes(all).await }
        };
        let nodes = client.read(ask).await?.nodes;
        let state = |node: &pb::Node| match (node.state.as_str(), node.available || node.bypass) {
            // A core that knows no states only says whether the node is there.
            ("", false) => NodeState::Lost,
            (word, _) => view::node_state(word),
        };
        let known: BTreeMap<String, NodeState> = nodes.iter().map(|node| (node.name.clone(), state(node))).collect();
        self.seen.lock().set_nodes(known, self.clock.now());
        if self.nodes_known.send_if_modified(|known| !std::mem::replace(known, true)) {
            self.seen.lock().wake_all();
        }
        Ok(())
    }

    fn note_node(&self, message: &pb::NodeStatusStreamMessage) {
        let state = match (message.state.as_str(), message.alive) {
            ("", false) => NodeState::Lost,
            (word, _) => view::node_state(word),
        };
        if !message.nodename.is_empty() {
            self.seen.lock().note_node(&message.nodename, state, self.clock.now());
        }
    }
}
