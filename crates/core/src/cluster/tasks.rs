//! What a core does besides answering: its planner, its writer, and the operations that outlive their callers.
//!
//! # Invariants
//! - Every operation is tracked and ends by the time [`Tasks::stop`] returns; planner and writer are parts of the core
//!   and end after it.
//! - An operation that has begun to change something goes on when its caller leaves.

use super::{
    Error, Result,
    fence::Fences,
    locks::Locks,
    planner::{self, Job},
    pull::Pulls,
    writer::Writer,
};
use crate::{cache::Cache, fault::Faults, parts::Parts};
use eru_kv::Kv;
use std::{sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Workloads that may be in the making at a time; each is a few kilobytes. More deploys wait.
pub(crate) const IN_FLIGHT_MAX: u32 = 50_000;

/// What the tasks of a core need.
pub struct TasksOptions {
    /// The store.
    pub kv: Arc<dyn Kv>,
    /// The store at one revision.
    pub cache: Arc<Cache>,
    /// Identifies this process among the cores.
    pub instance: String,
    /// Identifies the cluster.
    pub core_id: String,
    /// Where it may be made to die.
    pub faults: Faults,
    /// How cores are cut.
    pub share: eru_scheduler::Share,
    /// The idents of workloads are drawn from it.
    pub seed: u64,
}

/// The tasks of one core.
pub struct Tasks {
    tracker: TaskTracker,
    stopping: CancellationToken,
    aborting: CancellationToken,
    in_flight: Arc<Semaphore>,
    pub(crate) plans: mpsc::Sender<Job>,
    pub(crate) writer: Writer,
    pub(crate) locks: Locks,
    pub(crate) owner_locks: Locks,
    pub(crate) fences: Arc<Fences>,
    pub(crate) pulls: Pulls,
    pub(crate) faults: Faults,
}

impl Tasks {
    /// Starts planner and writer, which go to the other `parts` of the core.
    pub(crate) fn start(options: TasksOptions, parts: &mut Parts) -> Self {
        let TasksOptions { kv, cache, instance, core_id, faults, share, seed } = options;
        let (tracker, aborting) = (TaskTracker::new(), CancellationToken::new());
        let (locks, fences) = (Locks::default(), Arc::new(Fences::default()));
        let (writer, writing) = Writer::new(kv.clone(), aborting.clone());
        let planner_parts = planner::Parts {
            kv,
            cache,
            fences: fences.clone(),
            locks: locks.clone(),
            faults: faults.clone(),
            instance,
            core_id,
            share,
            seed,
        };
        let (plans, planning) = planner::start(planner_parts, aborting.clone());
        // These two run as long as the others need them, so they are not waited for but ended after the others.
        parts.spawn("writer", writing);
        parts.spawn("planner", planning);
        Self {
            tracker,
            stopping: CancellationToken::new(),
            aborting,
            in_flight: Arc::new(Semaphore::new(IN_FLIGHT_MAX as usize)),
            plans,
            writer,
            locks,
            owner_locks: Locks::default(),
            fences,
            pulls: Pulls::default(),
            faults,
        }
    }

    /// Until no more operations are taken.
    pub(crate) async fn stopping(&self) {
        self.stopping.cancelled().await;
    }

    /// Runs `operation` to its end, whoever stops waiting for it; only [`Tasks::stop`] ends it early.
    ///
    /// # Errors
    /// [`Error::Unavailable`] when the core is stopping.
    pub(crate) fn spawn(&self, operation: impl Future<Output = ()> + Send + 'static) -> Result<()> {
        if self.stopping.is_cancelled() {
            return Err(Error::Unavailable("the core is stopping; try another, or again later".into()));
        }
        self.go_on(operation);
        Ok(())
    }

    /// As [`Tasks::spawn`], for the parts of an operation that has begun.
    pub(crate) fn go_on(&self, operation: impl Future<Output = ()> + Send + 'static) {
        let aborting = self.aborting.clone();
        self.tracker.spawn(async move {
            tokio::select! {
                // First, so that what is ended does not take one step more.
                biased;
                () = aborting.cancelled() => {}
                () = operation => {}
            }
        });
    }

    /// Waits for room for `count` workloads in the making.
    pub(crate) async fn room(&self, count: u32) -> OwnedSemaphorePermit {
        let count = count.min(IN_FLIGHT_MAX);
        self.in_flight.clone().acquire_many_owned(count).await.expect("the semaphore is never closed")
    }

    /// How many more workloads may be in the making.
    #[cfg(test)]
    pub(crate) fn room_left(&self) -> usize {
        self.in_flight.available_permits()
    }

    /// Ends everything at once, wherever it is, as the death of the process would. When it returns nothing of it writes
    /// any more.
    #[cfg(test)]
    pub(crate) async fn die(&self) {
        // In this order: an operation that saw that the core stops would begin to clean up, which the dead do not.
        self.aborting.cancel();
        self.stopping.cancel();
        self.tracker.close();
        self.tracker.wait().await;
        self.plans.closed().await;
        self.writer.closed().await;
    }

    /// Takes no more operations, gives those that run `grace` to end, and then drops them: what they leave half done is
    /// finished or undone by recovery.
    pub async fn stop(&self, grace: Duration) {
        self.stopping.cancel();
        self.tracker.close();
        if tokio::time::timeout(grace, self.tracker.wait()).await.is_err() {
            tracing::warn!(running = self.tracker.len(), "operations did not end in time; recovery will finish them");
        }
        self.aborting.cancel();
        self.tracker.wait().await;
    }
}

/// A core that is dropped without having been stopped is a core that died.
impl Drop for Tasks {
    fn drop(&mut self) {
        self.aborting.cancel();
    }
}
