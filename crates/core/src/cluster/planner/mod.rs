//! From deploys to committed placements: one planner per core, which takes what is queued together.
//!
//! A batch is planned in rounds. Each round looks at the nodes as the cache has them after the last commit, plans what is
//! open, and commits placements of several nodes and several deploys in shared transactions. A transaction that lost a
//! guard (another core was there first, or the node was changed) opens only the instances of the nodes that it lost on;
//! they are planned again in the next round.
//!
//! # Invariants
//! - A placement is committed together with a raise of its node's version, guarded by the version and by the node's record
//!   as they were when it was planned. So no two cores give the same room away, and no node is resized or removed under a
//!   deploy.
//! - Removals only give room back and need not raise a version: a plan that does not know of one is merely careful.
//! - In one round a node is in one transaction at most.
//! - A plan is checked, independently of how it was made, before anything of it is committed.
//! - A deploy with an op id commits nothing before its op key: the key is in its first transaction, and there is only one
//!   such transaction in a round.

mod batch;
mod check;
mod commit;
mod job;
mod losses;
mod pack;
mod place;
mod snapshots;

pub(crate) use job::{Answer, Job, Planned};
pub(crate) use snapshots::snapshot;

use super::{fence::Fences, locks::Locks};
use crate::{cache::Cache, fault::Faults};
use eru_kv::Kv;
use eru_scheduler::Share;
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Deploys that may wait to be planned; more wait in line at the sender.
const QUEUE_LEN: usize = 1024;
/// Deploys that are planned together at most: each looks at every node, and the first waits for the last.
const BATCH_JOBS_MAX: usize = 256;
/// Instances after which a batch takes no more deploys, so that a small deploy does not wait for very many large ones.
const BATCH_INSTANCES_MAX: u32 = 20_000;

/// What the planner works with.
pub(crate) struct Parts {
    pub(crate) kv: Arc<dyn Kv>,
    pub(crate) cache: Arc<Cache>,
    pub(crate) fences: Arc<Fences>,
    pub(crate) locks: Locks,
    pub(crate) faults: Faults,
    /// The core process that placements belong to.
    pub(crate) instance: String,
    /// The cluster that workloads are labelled with.
    pub(crate) core_id: String,
    /// How cores are cut.
    pub(crate) share: Share,
    /// Idents are drawn from it.
    pub(crate) seed: u64,
}

/// The planner's queue, and its task, which ends with `shutdown` or with the last sender.
pub(crate) fn start(parts: Parts, shutdown: CancellationToken) -> (mpsc::Sender<Job>, impl Future<Output = ()>) {
    let (queue, jobs) = mpsc::channel(QUEUE_LEN);
    let planner = batch::Planner::new(parts);
    let task = async move {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = run(planner, jobs) => {}
        }
    };
    (queue, task)
}

async fn run(mut planner: batch::Planner, mut jobs: mpsc::Receiver<Job>) {
    while let Some(first) = jobs.recv().await {
        let mut instances = first.request.count;
        let mut batch = vec![first];
        while batch.len() < BATCH_JOBS_MAX && instances < BATCH_INSTANCES_MAX {
            let Ok(job) = jobs.try_recv() else { break };
            instances = instances.saturating_add(job.request.count);
            batch.push(job);
        }
        planner.batch(batch).await;
    }
}
