//! All sets: one task that takes the users' commands, writes the specs and keeps a worker for each set.

mod commands;
mod refusal;
mod workers;

use crate::clock::Clock;
use crate::error::Error;
use crate::observe::Observer;
use crate::shown::{Desired, Shown, replica_set};
use crate::spec::Checked;
use crate::store::Store;
use crate::trouble::Trouble;
use crate::worker::Ended;
use commands::answer;
use eru_api::controller::ReplicaSet;
use eru_client::{Backoff, Client};
use eru_types::name::SetName;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{self, JoinSet};
use tokio_util::sync::CancellationToken;
use workers::Assignment;

pub use refusal::Refusal;

/// Commands that wait for the task at once; each is a user who waits for an answer.
const COMMANDS_MAX: usize = 64;
/// Most sets. Each has a worker and some records; a thousand of them are about 10 MB.
const SETS_MAX: usize = 10_000;

/// The side of those who ask. Cheap to clone.
#[derive(Clone)]
pub struct Sets {
    commands: mpsc::Sender<Command>,
    known: watch::Receiver<Option<Known>>,
    version: watch::Receiver<u64>,
}

/// The sets by name, as the task publishes them; nothing while another controller leads.
pub type Known = Arc<BTreeMap<String, Published>>;

/// What can be read of a set.
#[derive(Clone)]
pub struct Published {
    desired: watch::Receiver<Arc<Desired>>,
    shown: watch::Receiver<Arc<Shown>>,
}

type RemoveReply = oneshot::Sender<Result<Vec<String>, Refusal>>;

enum Command {
    Apply(Box<Checked>, u64, oneshot::Sender<Result<ReplicaSet, Refusal>>),
    Scale(SetName, u32, oneshot::Sender<Result<ReplicaSet, Refusal>>),
    Remove(SetName, bool, RemoveReply),
}

impl Sets {
    /// The two sides.
    pub fn new() -> (Self, Task) {
        let (commands, inbox) = mpsc::channel(COMMANDS_MAX);
        let (known_sender, known) = watch::channel(None);
        let (version_sender, version) = watch::channel(0);
        (Self { commands, known, version }, Task { inbox, known: known_sender, version: version_sender })
    }

    /// Creates or changes a set.
    pub async fn apply(&self, checked: Checked, expect: u64) -> Result<ReplicaSet, Refusal> {
        self.ask(|reply| Command::Apply(Box::new(checked), expect, reply)).await
    }

    /// Changes the number of instances.
    pub async fn scale(&self, name: SetName, count: u32) -> Result<ReplicaSet, Refusal> {
        self.ask(|reply| Command::Scale(name, count, reply)).await
    }

    /// Removes a set, and waits until it is gone; the ids of its workloads.
    pub async fn remove(&self, name: SetName, keep_workloads: bool) -> Result<Vec<String>, Refusal> {
        self.ask(|reply| Command::Remove(name, keep_workloads, reply)).await
    }

    /// One set.
    pub fn get(&self, name: &SetName) -> Result<ReplicaSet, Refusal> {
        let known = self.known.borrow().clone().ok_or(Refusal::NotLeading)?;
        known.get(name.as_str()).map(Published::message).ok_or_else(|| Refusal::NotFound(name.to_string()))
    }

    /// All sets by name, as they are kept: equal pointers are the same sets.
    pub fn all(&self) -> Result<Known, Refusal> {
        self.known.borrow().clone().ok_or(Refusal::NotLeading)
    }

    /// Changes whenever a set does.
    pub fn version(&self) -> watch::Receiver<u64> {
        self.version.clone()
    }

    /// Waits until this controller leads and has read its sets.
    pub async fn leading(&self) {
        let mut known = self.known.clone();
        if known.wait_for(Option::is_some).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Waits until this controller leads no more.
    pub async fn not_leading(&self) {
        let mut known = self.known.clone();
        if known.wait_for(Option::is_none).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<Result<T, Refusal>>) -> Command) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| Refusal::NotLeading)?;
        answer.await.map_err(|_| Refusal::NotLeading)?
    }
}

impl Published {
    /// The set as it is.
    pub fn message(&self) -> ReplicaSet {
        replica_set(&self.desired.borrow().clone(), &self.shown.borrow().clone())
    }

    /// Its identity.
    pub fn uid(&self) -> String {
        self.desired.borrow().set.uid.clone()
    }

    /// The set, if it has changed since this copy was asked last.
    pub fn news(&mut self) -> Option<ReplicaSet> {
        let is_news = |changed: Result<bool, watch::error::RecvError>| changed.is_ok_and(|changed| changed);
        if !is_news(self.desired.has_changed()) && !is_news(self.shown.has_changed()) {
            return None;
        }
        Some(replica_set(&self.desired.borrow_and_update().clone(), &self.shown.borrow_and_update().clone()))
    }
}

/// The side of the task.
pub struct Task {
    inbox: mpsc::Receiver<Command>,
    known: watch::Sender<Option<Known>>,
    version: watch::Sender<u64>,
}

/// What every set of one term shares.
pub struct Term {
    /// Where sets are kept.
    pub store: Store,
    /// The leader's epoch.
    pub epoch: i64,
    /// How cores are called.
    pub client: Client,
    /// Eyes on the cluster.
    pub observer: Observer,
    /// Time.
    pub clock: Clock,
}

struct Running<'a> {
    term: &'a Term,
    published: &'a watch::Sender<Option<Known>>,
    version: &'a watch::Sender<u64>,
    shutdown: CancellationToken,
    sets: BTreeMap<String, Held>,
    workers: JoinSet<Result<Ended, Error>>,
    /// The sets that the tasks of `workers` work for.
    at_work: HashMap<task::Id, Assignment>,
    /// Those who wait for the end of a set, by uid.
    waiting: HashMap<String, Vec<RemoveReply>>,
    /// What is stored of sets and cannot be read, by name: why.
    damaged: BTreeMap<String, String>,
}

struct Held {
    desired: watch::Sender<Arc<Desired>>,
    shown: watch::Sender<Arc<Shown>>,
    stop: CancellationToken,
    /// Waits before its worker is started again.
    backoff: Backoff,
    /// Why that was necessary, while it keeps being so.
    trouble: Option<Trouble>,
    /// Workloads that were removed since the set is being removed.
    removed: Vec<String>,
}

impl Task {
    /// Refuses commands while `until` runs.
    pub async fn refuse_while<T>(&mut self, until: impl Future<Output = T>) -> T {
        let refuse = async {
            while let Some(command) = self.inbox.recv().await {
                command.refuse(|| Refusal::NotLeading);
            }
            std::future::pending().await
        };
        tokio::select! {
            value = until => value,
            value = refuse => value,
        }
    }

    /// Refuses the commands that wait, and all that come.
    pub async fn close(&mut self) {
        self.inbox.close();
        while let Some(command) = self.inbox.recv().await {
            command.refuse(|| Refusal::NotLeading);
        }
    }

    /// Leads until shutdown.
    ///
    /// # Errors
    /// [`Error::Deposed`], and a store that cannot be read in the beginning. Workers have ended when it returns.
    pub async fn lead(&mut self, term: &Term, shutdown: CancellationToken) -> Result<(), Error> {
        let shutdown = shutdown.child_token();
        let mut running = Running {
            term,
            published: &self.known,
            version: &self.version,
            shutdown: shutdown.clone(),
            sets: BTreeMap::new(),
            workers: JoinSet::new(),
            at_work: HashMap::new(),
            waiting: HashMap::new(),
            damaged: BTreeMap::new(),
        };
        let result = running.lead(&mut self.inbox).await;
        shutdown.cancel();
        while running.workers.join_next().await.is_some() {}
        self.known.send_replace(None);
        self.version.send_modify(|version| *version += 1);
        result
    }
}

impl Command {
    fn refuse(self, refusal: impl Fn() -> Refusal) {
        // A caller that has gone away needs no answer.
        match self {
            Self::Apply(.., reply) | Self::Scale(.., reply) => drop(reply.send(Err(refusal()))),
            Self::Remove(.., reply) => drop(reply.send(Err(refusal()))),
        }
    }
}

impl Running<'_> {
    async fn lead(&mut self, inbox: &mut mpsc::Receiver<Command>) -> Result<(), Error> {
        let loaded = self.term.store.load_sets().await?;
        for stored in loaded.sets {
            self.start(Desired { set: stored.set, specs: stored.specs });
        }
        self.damaged = loaded.damaged;
        self.publish();
        loop {
            tokio::select! {
                () = self.shutdown.cancelled() => return Ok(()),
                command = inbox.recv() => match command {
                    Some(command) => self.obey(command).await?,
                    None => return Ok(()),
                },
                Some(ended) = self.workers.join_next_with_id() => self.worker_ended(ended).await?,
            }
        }
    }

    async fn obey(&mut self, command: Command) -> Result<(), Error> {
        match command {
            Command::Apply(checked, expect, reply) => answer(reply, self.apply(*checked, expect).await),
            Command::Scale(name, count, reply) => answer(reply, self.scale(&name, count).await),
            Command::Remove(name, keep_workloads, reply) => self.remove(&name, keep_workloads, reply).await,
        }
    }

    fn forget(&mut self, name: &str, uid: &str, ids: Vec<String>) {
        self.sets.remove(name);
        for reply in self.waiting.remove(uid).into_iter().flatten() {
            drop(reply.send(Ok(ids.clone())));
        }
        self.publish();
    }

    fn publish(&self) {
        let published = |held: &Held| Published { desired: held.desired.subscribe(), shown: held.shown.subscribe() };
        let known = self.sets.iter().map(|(name, held)| (name.clone(), published(held))).collect();
        self.published.send_replace(Some(Arc::new(known)));
        self.version.send_modify(|version| *version += 1);
    }

    fn message(&self, name: &str) -> ReplicaSet {
        self.sets.get(name).map(|held| replica_set(&held.desired.borrow(), &held.shown.borrow())).unwrap_or_default()
    }
}
