//! Pods and nodes as readers see them, and the slot that a node's facts are gathered in.

use super::{
    Serial,
    sum::{PartsSum, Sum},
};
use crate::record::{AgentRecord, AliveRecord, NodeRecord, PodRecord, StatusRecord, Verdict, VerdictRecord, Versioned};
use eru_kv::{LeaseId, Revision};
use eru_scheduler::PartsUsed;
use eru_types::{AppName, EngineId, EntrypointName, NodeName, PodName, Resources, WorkloadName};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, OnceLock},
};

/// A pod.
#[derive(Debug, Clone, PartialEq)]
pub struct PodEntry {
    /// The record.
    pub record: Versioned<PodRecord>,
    /// The revision that wrote it.
    pub revision: Revision,
}

/// The state of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NodeState {
    /// Nobody ever reported on it. It takes workloads, or no agent could be deployed to it.
    #[default]
    New,
    /// Its lease is there.
    Ready,
    /// Its lease ran out and nothing more is known: takes nothing, loses nothing.
    Suspect,
    /// Its workloads are held to be dead.
    Lost,
    /// Its lease ran out but its engine answers.
    Unwatched,
}

impl NodeState {
    /// The word for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Ready => "ready",
            Self::Suspect => "suspect",
            Self::Lost => "lost",
            Self::Unwatched => "unwatched",
        }
    }
}

impl fmt::Display for NodeState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a node's workloads need to know of it. Shared by all of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeLife {
    /// The state.
    pub state: NodeState,
    /// Grows with every loss; reports of an older one do not count.
    pub generation: i64,
    /// The kind of its runtime, as the node's record spells it.
    pub runtime: String,
}

/// Number of placements by app and entrypoint.
pub type Counts = BTreeMap<(AppName, EntrypointName), u32>;

/// A node at one moment. Immutable.
#[derive(Debug, Clone)]
pub struct NodeView {
    /// The record.
    pub record: Arc<Versioned<NodeRecord>>,
    /// The revision that wrote it.
    pub record_revision: Revision,
    /// The revision that wrote its version key; 0 = there is none.
    pub version_revision: Revision,
    /// Core's word on it.
    pub verdict: VerdictRecord,
    /// The revision that wrote it; 0 = there is none.
    pub verdict_revision: Revision,
    /// The sign of life; gone with its lease.
    pub alive: Option<AliveRecord>,
    /// The revision that wrote it; 0 = there is none.
    pub alive_revision: Revision,
    /// The lease that it is bound to.
    pub alive_lease: LeaseId,
    /// The agent that registered last.
    pub agent: Option<AgentRecord>,
    /// The revision that wrote it; 0 = there is none.
    pub agent_revision: Revision,
    /// What its placements take, in whatever state they are.
    pub used: Resources,
    /// What they hold of its cores, NUMA memory and devices.
    pub parts: Arc<PartsUsed>,
    /// How many there are of each app and entrypoint.
    pub counts: Arc<Counts>,
    /// How many there are.
    pub placements_len: usize,
    /// When this core saw it come into its state, milliseconds since the epoch.
    pub state_since_ms: i64,
}

impl NodeView {
    /// Its name.
    pub fn name(&self) -> &NodeName {
        &self.record.name
    }

    /// The state.
    pub fn state(&self) -> NodeState {
        state_of(self.verdict.verdict, self.alive.is_some(), self.agent.is_some())
    }

    /// Whether it is shown as available: its lease is there, as in the original.
    pub fn available(&self) -> bool {
        self.alive.is_some()
    }

    /// Whether it takes workloads.
    pub fn schedulable(&self) -> bool {
        matches!(self.state(), NodeState::New | NodeState::Ready) && !self.record.bypass
    }

    /// How many placements of an app's entrypoint it has.
    pub fn count(&self, app: &AppName, entrypoint: &EntrypointName) -> u32 {
        self.counts.get(&(app.clone(), entrypoint.clone())).copied().unwrap_or(0)
    }
}

/// The state as a function of the facts: the verdict first, then the lease, then whether there ever was an agent.
fn state_of(verdict: Verdict, alive: bool, agent: bool) -> NodeState {
    match (verdict, alive, agent) {
        (Verdict::Lost, _, _) => NodeState::Lost,
        (Verdict::Unwatched, _, _) => NodeState::Unwatched,
        (Verdict::Fine, true, _) => NodeState::Ready,
        (Verdict::Fine, false, true) => NodeState::Suspect,
        (Verdict::Fine, false, false) => NodeState::New,
    }
}

/// A change of a node that its watchers see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeChange {
    pub(crate) node: NodeName,
    pub(crate) pod: PodName,
    pub(crate) alive: bool,
    pub(crate) state: NodeState,
    pub(crate) generation: i64,
    pub(crate) removed: bool,
}

/// A record with the revision that wrote it.
#[derive(Debug, Clone)]
pub(crate) struct At<T> {
    pub(crate) record: T,
    pub(crate) revision: Revision,
}

/// A report with the revision that wrote it.
pub(crate) type StatusAt = At<Arc<Versioned<StatusRecord>>>;

/// Everything under one node's name, whether its record is there (yet, still) or not.
#[derive(Debug, Default)]
pub(crate) struct NodeSlot {
    pub(crate) record: Option<At<Arc<Versioned<NodeRecord>>>>,
    pub(crate) version_revision: Revision,
    pub(crate) verdict: Option<At<VerdictRecord>>,
    pub(crate) alive: Option<(At<AliveRecord>, LeaseId)>,
    pub(crate) agent: Option<At<AgentRecord>>,
    pub(crate) placements: BTreeMap<WorkloadName, Serial>,
    pub(crate) statuses: HashMap<EngineId, StatusAt>,
    pub(crate) used: Sum,
    pub(crate) parts: PartsSum,
    pub(crate) counts: Arc<Counts>,
    pub(crate) life: Arc<NodeLife>,
    pub(crate) state_since_ms: i64,
    /// What the node's watchers were told last.
    pub(crate) told: Option<(Revision, Arc<NodeChange>)>,
    view: OnceLock<Option<Arc<NodeView>>>,
}

impl NodeSlot {
    /// The view, made when it is first wanted after a change; `None` without a record.
    pub(crate) fn view(&self) -> Option<Arc<NodeView>> {
        self.view.get_or_init(|| self.make_view().map(Arc::new)).clone()
    }

    /// To be called with every change.
    pub(crate) fn touch(&mut self) {
        self.view = OnceLock::new();
    }

    pub(crate) fn make_life(&self) -> NodeLife {
        let verdict = self.verdict.as_ref().map(|v| (v.record.verdict, v.record.generation)).unwrap_or_default();
        NodeLife {
            state: state_of(verdict.0, self.alive.is_some(), self.agent.is_some()),
            generation: verdict.1,
            runtime: self.record.as_ref().map(|r| r.record.runtime.clone()).unwrap_or_default(),
        }
    }

    pub(crate) fn count(&mut self, name: &WorkloadName, up: bool) {
        let key = (name.app.clone(), name.entrypoint.clone());
        let counts = Arc::make_mut(&mut self.counts);
        let count = counts.entry(key.clone()).or_default();
        *count = if up { *count + 1 } else { count.checked_sub(1).expect("only what was counted is uncounted") };
        if *count == 0 {
            counts.remove(&key);
        }
    }

    /// Whether nothing is known under this name any more.
    pub(crate) fn is_empty(&self) -> bool {
        self.record.is_none()
            && self.version_revision == Revision(0)
            && self.verdict.is_none()
            && self.alive.is_none()
            && self.agent.is_none()
            && self.placements.is_empty()
            && self.statuses.is_empty()
    }

    fn make_view(&self) -> Option<NodeView> {
        let record = self.record.as_ref()?;
        let revision = |at: Option<Revision>| at.unwrap_or_default();
        Some(NodeView {
            record: record.record.clone(),
            record_revision: record.revision,
            version_revision: self.version_revision,
            verdict: self.verdict.as_ref().map(|v| v.record.clone()).unwrap_or_default(),
            verdict_revision: revision(self.verdict.as_ref().map(|v| v.revision)),
            alive: self.alive.as_ref().map(|(a, _)| a.record.clone()),
            alive_revision: revision(self.alive.as_ref().map(|(a, _)| a.revision)),
            alive_lease: self.alive.as_ref().map(|(_, lease)| *lease).unwrap_or_default(),
            agent: self.agent.as_ref().map(|a| a.record.clone()),
            agent_revision: revision(self.agent.as_ref().map(|a| a.revision)),
            used: self.used.resources(),
            parts: Arc::new(self.parts.used()),
            counts: self.counts.clone(),
            placements_len: self.placements.len(),
            state_since_ms: self.state_since_ms,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_follow_the_facts() {
        use NodeState::*;
        for (verdict, alive, agent, want) in [
            (Verdict::Fine, false, false, New),
            (Verdict::Fine, true, false, Ready),
            (Verdict::Fine, true, true, Ready),
            (Verdict::Fine, false, true, Suspect),
            (Verdict::Lost, false, true, Lost),
            (Verdict::Lost, true, true, Lost),
            (Verdict::Lost, false, false, Lost),
            (Verdict::Unwatched, false, true, Unwatched),
        ] {
            assert_eq!(state_of(verdict, alive, agent), want, "{verdict:?} {alive} {agent}");
        }
    }
}
