//! A watcher of the status stream that outlives core: it connects again, takes the snapshot, and keeps all that it saw.

use anyhow::{Context, Result, ensure};
use eru_api::pb::{self, core_rpc_client::CoreRpcClient, workload_status_stream_message::Kind};
use parking_lot::Mutex;
use std::{collections::BTreeSet, sync::Arc, time::Duration};
use tokio::task::JoinHandle;

/// How long a watcher waits for core before it connects again.
const PAUSE: Duration = Duration::from_millis(50);

/// What was seen of workloads and nodes, as lines.
#[derive(Debug, Default)]
struct Seen {
    /// Workloads of the snapshots and of the changes.
    ids: BTreeSet<String>,
    /// Those that were healthy once.
    healthy: BTreeSet<String>,
    /// Statuses that did not run or were not healthy any more, and removals: workload and words.
    gone: Vec<(String, String)>,
    /// Nodes that were said not to be alive: state and words.
    away: Vec<(String, String)>,
    /// Snapshots that were complete.
    synced: usize,
}

/// Two streams, read until it is dropped.
pub struct Watcher {
    seen: Arc<Mutex<Seen>>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Watcher {
    /// Watches core at `address`; the first snapshot is there when this returns.
    pub async fn start(address: &str) -> Result<Self> {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let tasks = [
            tokio::spawn(again(address.to_owned(), seen.clone(), workloads)),
            tokio::spawn(again(address.to_owned(), seen.clone(), nodes)),
        ];
        let watcher = Self { seen, tasks };
        watcher.synced_again(0).await?;
        Ok(watcher)
    }

    /// How many snapshots were complete so far.
    pub fn synced(&self) -> usize {
        self.seen.lock().synced
    }

    /// Waits for another complete snapshot after `before` of them.
    pub async fn synced_again(&self, before: usize) -> Result<()> {
        eru_testkit::eventually("a snapshot", crate::docker_scene::SOON, || async {
            let now = self.synced();
            ensure!(now > before, "{now} snapshots");
            Ok(())
        })
        .await
    }

    /// Nothing of `ids` was ever said not to run, not to be healthy any more or to be removed, and no node to be lost.
    pub fn assert_steady(&self, ids: &[String]) -> Result<()> {
        let seen = self.seen.lock();
        let flaps: Vec<_> = seen.gone.iter().filter(|(id, _)| ids.contains(id)).collect();
        ensure!(flaps.is_empty(), "workloads flapped: {flaps:#?}");
        let lost: Vec<_> = seen.away.iter().filter(|(state, _)| state == "lost").collect();
        ensure!(lost.is_empty(), "nodes were lost: {lost:#?}");
        let missed: Vec<_> = ids.iter().filter(|id| !seen.ids.contains(*id)).collect();
        ensure!(missed.is_empty(), "the watcher never saw {missed:?}");
        Ok(())
    }

    /// No node was ever said not to be alive.
    pub fn assert_nodes_alive(&self) -> Result<()> {
        let seen = self.seen.lock();
        ensure!(seen.away.is_empty(), "nodes were not alive: {:#?}", seen.away);
        Ok(())
    }
}

async fn again<F>(address: String, seen: Arc<Mutex<Seen>>, read: fn(String, Arc<Mutex<Seen>>) -> F)
where
    F: Future<Output = Result<()>>,
{
    loop {
        // A core that was killed breaks the stream: that is what the watcher is for.
        let _ = read(address.clone(), seen.clone()).await;
        tokio::time::sleep(PAUSE).await;
    }
}

async fn workloads(address: String, seen: Arc<Mutex<Seen>>) -> Result<()> {
    let mut client = CoreRpcClient::connect(format!("http://{address}")).await?;
    let options = pb::WorkloadStatusStreamOptions { snapshot: true, ..Default::default() };
    let mut stream = client.workload_status_stream(options).await?.into_inner();
    loop {
        let message = stream.message().await?.context("the stream ended")?;
        let mut seen = seen.lock();
        match message.kind() {
            Kind::Synced => seen.synced += 1,
            Kind::Change | Kind::Snapshot => {
                seen.ids.insert(message.id.clone());
                let status = message.status.clone().unwrap_or_default();
                // A workload of which nobody has reported yet has no status at all.
                let unreported = status.id.is_empty() && message.error.is_empty() && !message.delete;
                if status.healthy {
                    seen.healthy.insert(message.id.clone());
                }
                let took_back = !status.healthy && seen.healthy.contains(&message.id);
                if message.delete || ((!status.running || took_back) && !unreported) {
                    seen.gone.push((message.id.clone(), format!("{message:?}")));
                }
            }
            _ => {}
        }
    }
}

async fn nodes(address: String, seen: Arc<Mutex<Seen>>) -> Result<()> {
    let mut client = CoreRpcClient::connect(format!("http://{address}")).await?;
    let mut stream = client.node_status_stream(pb::Empty {}).await?.into_inner();
    loop {
        let message = stream.message().await?.context("the stream ended")?;
        if !message.alive && message.error.is_empty() {
            seen.lock().away.push((message.state.clone(), format!("{message:?}")));
        }
    }
}
