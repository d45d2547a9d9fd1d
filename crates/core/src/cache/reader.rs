//! The front door: what the rest of core asks of the cache.

use super::{
    NodeView, PodEntry, State, WorkloadFilter, WorkloadView, feed,
    feed::CacheOptions,
    question::{Ask, Question},
    state::Touched,
};
use crate::{
    record::CoreRecord,
    watch::{index::TombstoneLimits, signal::Signals},
};
use bytes::Bytes;
use eru_kv::{Error, KeyValue, Kv, Revision, StoreIdentity};
use eru_types::{EngineId, NodeName, PodName, WorkloadName};
use parking_lot::{RwLock, RwLockReadGuard};
use std::{ops::Bound, sync::Arc, time::Duration};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How long the feeder may need to bring what the store just said it has, before it is asked for a sign of progress:
/// writes of others, outside of our prefix, raise the store's revision without an event for us.
const PROGRESS_AFTER: Duration = Duration::from_millis(5);
/// How long a linearizable read waits for the cache altogether.
const LINEARIZABLE_TIMEOUT: Duration = Duration::from_secs(5);

/// The store at one revision. See the module.
pub struct Cache {
    state: RwLock<State>,
    revision: watch::Sender<Revision>,
    cores_changed: watch::Sender<u64>,
    signals: Signals,
    identity: StoreIdentity,
    question: Arc<Question>,
    nudge: Nudge,
}

/// Asks the store for a sign of progress.
pub(crate) type Nudge = Box<dyn Fn() -> futures::future::BoxFuture<'static, ()> + Send + Sync>;

/// What a cache is made of besides its state.
pub(crate) struct Parts {
    pub(crate) identity: StoreIdentity,
    pub(crate) ask: Ask,
    pub(crate) nudge: Nudge,
    pub(crate) tombstones: TombstoneLimits,
}

impl Cache {
    /// Loads everything and keeps up with it until `shutdown`.
    ///
    /// # Errors
    /// Whatever the store answers to the load.
    pub async fn start(
        kv: Arc<dyn Kv>,
        options: CacheOptions,
        shutdown: CancellationToken,
    ) -> Result<Arc<Self>, Error> {
        feed::start(kv, options, shutdown).await
    }

    pub(crate) fn new(parts: Parts) -> Arc<Self> {
        Arc::new(Self {
            state: RwLock::new(State::new(parts.tombstones)),
            revision: watch::Sender::new(Revision(0)),
            cores_changed: watch::Sender::new(0),
            signals: Signals::default(),
            identity: parts.identity,
            question: Question::new(parts.ask),
            nudge: parts.nudge,
        })
    }

    /// Which store this is.
    pub fn identity(&self) -> &StoreIdentity {
        &self.identity
    }

    /// The revision that readers see now, or a later one.
    pub fn revision(&self) -> Revision {
        *self.revision.borrow()
    }

    /// Waits until the cache has `revision`; false when it has not within `deadline`.
    pub async fn wait_for(&self, revision: Revision, deadline: Duration) -> bool {
        if self.revision() >= revision {
            return true;
        }
        let mut seen = self.revision.subscribe();
        matches!(tokio::time::timeout(deadline, seen.wait_for(|now| *now >= revision)).await, Ok(Ok(_)))
    }

    /// Returns when the cache has everything that was acknowledged by any core before this call.
    ///
    /// # Cost
    /// One round trip, shared by all who wait at the same time.
    ///
    /// # Errors
    /// What the store answered, or [`Error::Unavailable`] when the cache does not catch up.
    pub async fn linearizable(&self) -> Result<(), Error> {
        let revision = self.asked().await?;
        if self.reaches(revision, LINEARIZABLE_TIMEOUT).await {
            return Ok(());
        }
        Err(Error::Unavailable {
            endpoint: "cache".into(),
            cause: format!(
                "the watch on the store lags: it has been at revision {} with the store at {revision} or later for \
                 {LINEARIZABLE_TIMEOUT:?}; try again, or another core",
                self.revision()
            ),
            maybe_done: false,
        })
    }

    /// As [`Cache::linearizable`], but false when the cache does not catch up within `patience` of the store's answer.
    pub(crate) async fn caught_up_within(&self, patience: Duration) -> Result<bool, Error> {
        let revision = self.asked().await?;
        Ok(self.reaches(revision, patience).await)
    }

    async fn asked(&self) -> Result<Revision, Error> {
        self.question.revision().await.map_err(|error| copy_of(&error))
    }

    /// Waits for `revision`; asks for a sign of progress when it does not come by itself. A store whose watch is broken
    /// may not take even that question, so it counts as waiting.
    async fn reaches(&self, revision: Revision, patience: Duration) -> bool {
        if self.wait_for(revision, PROGRESS_AFTER.min(patience)).await {
            return true;
        }
        let nudged = async {
            (self.nudge)().await;
            self.wait_for(revision, patience).await
        };
        tokio::time::timeout(patience.saturating_sub(PROGRESS_AFTER), nudged).await.unwrap_or(false)
    }

    /// All pods by name.
    pub fn pods(&self) -> Vec<Arc<PodEntry>> {
        self.state.read().pods.values().cloned().collect()
    }

    /// A pod.
    pub fn pod(&self, name: &PodName) -> Option<Arc<PodEntry>> {
        self.state.read().pods.get(name).cloned()
    }

    /// A node.
    pub fn node(&self, name: &NodeName) -> Option<Arc<NodeView>> {
        self.state.read().nodes.get(name)?.view()
    }

    /// The nodes of a pod, or all, by name.
    pub fn nodes(&self, pod: Option<&PodName>) -> Vec<Arc<NodeView>> {
        let state = self.state.read();
        let of_pod = |slot: &&super::NodeSlot| {
            pod.is_none_or(|pod| slot.record.as_ref().is_some_and(|node| node.record.pod == *pod))
        };
        state.nodes.values().filter(of_pod).filter_map(|slot| slot.view()).collect()
    }

    /// A workload by its engine id.
    pub fn workload(&self, id: &EngineId) -> Option<Arc<WorkloadView>> {
        let state = self.state.read();
        state.entries.get(state.by_id.get(id)?)?.view.clone()
    }

    /// A workload by its name, planned ones among them.
    pub fn workload_by_name(&self, name: &WorkloadName) -> Option<Arc<WorkloadView>> {
        let state = self.state.read();
        state.entries.get(state.by_name.get(name)?)?.view.clone()
    }

    /// The workloads whose id begins with `prefix`, at most `max` of them, by id.
    pub fn workloads_by_prefix(&self, prefix: &str, max: usize) -> Vec<Arc<WorkloadView>> {
        let state = self.state.read();
        let ids = state
            .by_id
            .range::<str, _>((Bound::Included(prefix), Bound::Unbounded))
            .take_while(|(id, _)| id.as_str().starts_with(prefix));
        ids.take(max).filter_map(|(_, serial)| state.entries.get(serial)?.view.clone()).collect()
    }

    /// Every placement of a node by name, planned ones among them.
    pub fn placements_of(&self, node: &NodeName) -> Vec<Arc<WorkloadView>> {
        let state = self.state.read();
        let Some(slot) = state.nodes.get(node) else { return Vec::new() };
        slot.placements.values().filter_map(|serial| state.entries.get(serial)?.view.clone()).collect()
    }

    /// Every placement of all nodes, planned ones among them, in no order.
    pub fn placements(&self) -> Vec<Arc<WorkloadView>> {
        self.state.read().entries.values().filter_map(|entry| entry.view.clone()).collect()
    }

    /// The workloads that the engine knows and `filter` means, by app, entrypoint, node and id.
    pub fn workloads(&self, filter: &WorkloadFilter) -> Vec<Arc<WorkloadView>> {
        let mut found = self.unordered(filter);
        let key = |w: &WorkloadView| {
            let placement = &w.placement.record;
            (
                placement.name.app.clone(),
                placement.name.entrypoint.clone(),
                placement.node.clone(),
                placement.engine_id.clone(),
            )
        };
        found.sort_by_cached_key(|workload| key(workload));
        found
    }

    fn unordered(&self, filter: &WorkloadFilter) -> Vec<Arc<WorkloadView>> {
        let state = self.state.read();
        let lane = state.index.lane(filter.app.as_ref());
        let of_node = filter.node.as_ref().map(|node| state.nodes.get(node));
        // Whichever of the two indexes has less to look through.
        match (lane, of_node) {
            (None, _) | (_, Some(None)) => Vec::new(),
            (Some(lane), Some(Some(slot))) if slot.placements.len() < lane.live_len() => {
                let views = slot.placements.values().filter_map(|serial| state.entries.get(serial)?.view.as_ref());
                views.filter(|view| view.is_visible() && filter.matches(view)).cloned().collect()
            }
            (Some(lane), _) => lane.live(0, u64::MAX).filter(|view| filter.matches(view)).cloned().collect(),
        }
    }

    /// The highest leader epoch that an owner has shown, and the revision that wrote it.
    pub fn owner_epoch(&self, owner: &str) -> Option<(i64, Revision)> {
        self.state.read().owners.get(owner).map(|owner| (owner.record.epoch, owner.revision))
    }

    /// The cores that are up, by instance.
    pub fn cores(&self) -> Vec<Arc<CoreRecord>> {
        self.state.read().cores.values().cloned().collect()
    }

    /// Changes whenever [`Cache::cores`] may have.
    pub fn cores_changed(&self) -> watch::Receiver<u64> {
        self.cores_changed.subscribe()
    }

    /// Changes whenever the life of a node may have: its lease, its agent, its verdict.
    pub fn nodes_changed(&self) -> watch::Receiver<Revision> {
        self.signals.subscribe_nodes()
    }

    /// The liveness key, if a core holds it.
    pub fn liveness(&self) -> Option<KeyValue> {
        self.state.read().liveness.clone()
    }

    /// The keys whose values do not decode, each with the reason.
    pub fn set_aside(&self) -> Vec<(Bytes, String)> {
        self.state.read().set_aside.iter().map(|(key, reason)| (key.clone(), reason.clone())).collect()
    }

    /// How many values do not decode.
    pub fn set_aside_len(&self) -> usize {
        self.state.read().set_aside.len()
    }

    /// How often everything was read anew: once at the start, and whenever the store had forgotten what was missing.
    pub fn loads(&self) -> u64 {
        self.state.read().loads
    }

    /// The oldest revision that a stream can be resumed from.
    pub fn oldest_resume(&self) -> Revision {
        self.state.read().index.oldest_resume()
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read()
    }

    pub(crate) fn signals(&self) -> &Signals {
        &self.signals
    }

    /// Changes the state and wakes whom it concerns.
    pub(crate) fn update(&self, change: impl FnOnce(&mut State) -> Touched) {
        let (touched, revision) = {
            let mut state = self.state.write();
            let touched = change(&mut state);
            (touched, state.revision)
        };
        self.revision.send_replace(revision);
        self.signals.wake(&touched.apps, touched.nodes, revision);
        if touched.cores {
            self.cores_changed.send_modify(|count| *count += 1);
        }
    }
}

/// The same error again, for each of those who shared a question.
fn copy_of(error: &Error) -> Error {
    match error {
        Error::Unavailable { endpoint, cause, maybe_done } => {
            Error::Unavailable { endpoint: endpoint.clone(), cause: cause.clone(), maybe_done: *maybe_done }
        }
        Error::Invalid(why) => Error::Invalid(why.clone()),
        Error::Compacted(revision) => Error::Compacted(*revision),
        Error::Future(revision) => Error::Future(*revision),
        Error::LeaseGone(lease) => Error::LeaseGone(*lease),
        Error::Full(why) => Error::Full(why.clone()),
        Error::Locked(folder) => Error::Locked(folder.clone()),
        Error::Storage(why) => Error::Storage(why.clone()),
        Error::Denied(why) => Error::Denied(why.clone()),
    }
}
