//! The front door of an informer.

use super::{
    changes::{Changes, Queue, Reader},
    entry::Snapshot,
    fold::{Fold, Start},
    options::{Filter, InformerOptions},
    run,
};
use crate::Client;
use eru_api::pb;
use parking_lot::Mutex;
use std::{
    sync::{Arc, Weak},
    time::{Duration, Instant},
};
use tokio::sync::watch;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// The informer has been shut down: nothing will change any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("informer has been shut down")]
pub struct Stopped;

/// Keeps the workloads of a filter and their statuses in memory. Cheap to clone; the last clone that is dropped ends it.
#[derive(Clone)]
pub struct Informer {
    shared: Arc<Shared>,
    version: watch::Receiver<u64>,
}

/// What handles and readers share with the task.
pub(super) struct Shared {
    state: Arc<State>,
    tasks: TaskTracker,
    _ends_the_task: DropGuard,
}

/// What the task writes and the handles read.
pub(super) struct State {
    inner: Mutex<Inner>,
    version: watch::Sender<u64>,
}

struct Inner {
    fold: Fold,
    readers: Vec<Weak<Reader>>,
    last_seen: Instant,
    problem: Option<String>,
    stopped: bool,
}

impl Informer {
    /// Starts to watch. Returns at once; nothing is known before [`Informer::synced`].
    pub fn start(client: Client, filter: Filter, options: InformerOptions, shutdown: CancellationToken) -> Self {
        let (sender, version) = watch::channel(0);
        let inner =
            Inner { fold: Fold::new(), readers: Vec::new(), last_seen: Instant::now(), problem: None, stopped: false };
        let state = Arc::new(State { inner: Mutex::new(inner), version: sender });
        let shutdown = shutdown.child_token();
        let tasks = TaskTracker::new();
        tasks.spawn(run::run(client, filter, options, state.clone(), shutdown.clone()));
        tasks.close();
        Self { shared: Arc::new(Shared { state, tasks, _ends_the_task: shutdown.drop_guard() }), version }
    }

    /// Everything that is known. Empty before the first whole.
    ///
    /// # Cost
    /// None; but while it is kept, the next change copies the map (not the entries).
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot()
    }

    /// Waits until something is different than when this handle last asked. Level-triggered: look at the snapshot then.
    ///
    /// # Errors
    /// [`Stopped`].
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn changed(&mut self) -> Result<(), Stopped> {
        self.version.changed().await.map_err(|_| Stopped)?;
        if self.shared.state.inner.lock().stopped { Err(Stopped) } else { Ok(()) }
    }

    /// A stream of changes of its own: first everything that is there as `Added`, then what changes, newest per workload.
    pub fn changes(&self) -> Changes {
        let mut inner = self.shared.state.inner.lock();
        let queue = Queue::with_all(inner.fold.store(), inner.fold.is_synced());
        let reader = Reader::new(queue, inner.stopped);
        inner.readers.push(Arc::downgrade(&reader));
        Changes { reader, shared: self.shared.clone() }
    }

    /// Waits until there is a whole.
    ///
    /// # Errors
    /// [`Stopped`].
    pub async fn synced(&self) -> Result<(), Stopped> {
        let mut version = self.version.clone();
        loop {
            version.mark_unchanged();
            {
                let inner = self.shared.state.inner.lock();
                match (inner.fold.is_synced(), inner.stopped) {
                    (true, _) => return Ok(()),
                    (false, true) => return Err(Stopped),
                    (false, false) => {}
                }
            }
            version.changed().await.map_err(|_| Stopped)?;
        }
    }

    /// Whether there is a whole.
    pub fn is_synced(&self) -> bool {
        self.shared.state.inner.lock().fold.is_synced()
    }

    /// Whether the stream is up and has caught up: what is shown is now.
    pub fn is_live(&self) -> bool {
        self.shared.state.inner.lock().fold.is_live()
    }

    /// When core was heard last, be it by a bookmark; the start, if never.
    pub fn last_seen(&self) -> Instant {
        self.shared.state.inner.lock().last_seen
    }

    /// How old the knowledge may be: the time since core was heard last.
    pub fn lag(&self) -> Duration {
        self.last_seen().elapsed()
    }

    /// The newest revision of the store that was seen.
    pub fn revision(&self) -> i64 {
        self.shared.state.inner.lock().fold.revision()
    }

    /// Why the stream is down, while it is.
    pub fn problem(&self) -> Option<String> {
        self.shared.state.inner.lock().problem.clone()
    }

    /// Waits until the informer has ended after its shutdown token was cancelled.
    pub async fn join(&self) {
        self.shared.tasks.wait().await;
    }
}

impl Shared {
    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.state.inner.lock().fold.store().clone()
    }
}

impl State {
    /// Takes a message in and tells everybody.
    pub(super) fn apply(&self, message: pb::WorkloadStatusStreamMessage) {
        let told = {
            let mut inner = self.inner.lock();
            inner.last_seen = Instant::now();
            let changes = inner.fold.apply(message);
            if inner.fold.is_live() {
                inner.problem = None;
            }
            Reader::tell(&mut inner.readers, &changes);
            !changes.is_empty()
        };
        if told {
            self.version.send_modify(|v| *v += 1);
        }
    }

    /// A stream begins; says what to ask for.
    pub(super) fn connect(&self) -> Start {
        self.inner.lock().fold.connect()
    }

    /// The core refused to go on where the last stream ended.
    pub(super) fn forget_token(&self) {
        self.inner.lock().fold.forget_token();
    }

    /// The stream broke; answers whether it had caught up.
    pub(super) fn disconnect(&self) -> bool {
        let was_live = {
            let mut inner = self.inner.lock();
            let was_live = inner.fold.is_live();
            inner.fold.disconnect();
            was_live
        };
        if was_live {
            self.version.send_modify(|v| *v += 1);
        }
        was_live
    }

    /// Notes why the stream is down; answers whether that is news.
    pub(super) fn set_problem(&self, problem: String) -> bool {
        let mut inner = self.inner.lock();
        let news = inner.problem.as_ref() != Some(&problem);
        inner.problem = Some(problem);
        news
    }

    pub(super) fn stop(&self) {
        let mut inner = self.inner.lock();
        inner.stopped = true;
        Reader::stop(&mut inner.readers);
        drop(inner);
        self.version.send_modify(|v| *v += 1);
    }
}
