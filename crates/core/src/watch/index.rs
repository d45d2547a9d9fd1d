//! The change index: every workload once, ordered by the revision of its last change, and what was removed lately.
//!
//! Subscribers are cursors into it. Nothing in here grows with their number or their slowness.
//!
//! # Invariants
//! - A workload is in a lane once: a change moves it to the end.
//! - A removal leaves a tombstone with the last workload. Tombstones are bounded; dropping one raises the horizon, before
//!   which nobody can resume.

use crate::cache::{NodeChange, NodeState, Serial, WorkloadView};
use eru_kv::Revision;
use eru_types::{AppName, NodeName};
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    ops::Bound,
    sync::Arc,
};

/// How much is kept of what was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TombstoneLimits {
    /// Most tombstones: ten deploys of the largest size.
    pub count_max: usize,
    /// Most memory that they hold, in bytes, estimated.
    pub bytes_max: usize,
}

impl Default for TombstoneLimits {
    fn default() -> Self {
        Self { count_max: 100_000, bytes_max: 32 * 1024 * 1024 }
    }
}

/// Where a subscriber is: everything up to and with this was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) revision: Revision,
    pub(crate) serial: Serial,
}

impl Position {
    /// Behind everything of `revision`.
    pub(crate) fn after(revision: Revision) -> Self {
        Self { revision, serial: Serial::MAX }
    }

    /// The last revision of which everything was sent.
    pub(crate) fn sent_through(self) -> Revision {
        if self.serial == Serial::MAX { self.revision } else { Revision(self.revision.0 - 1) }
    }
}

/// Workloads of one app, or all.
#[derive(Debug, Default)]
pub(crate) struct Lane {
    live: BTreeMap<Serial, Arc<WorkloadView>>,
    changes: BTreeMap<Position, Arc<WorkloadView>>,
}

impl Lane {
    fn put(&mut self, before: Option<Revision>, view: &Arc<WorkloadView>) {
        if let Some(revision) = before {
            self.changes.remove(&Position { revision, serial: view.serial });
        }
        self.changes.insert(Position { revision: view.changed, serial: view.serial }, view.clone());
        if view.removed {
            self.live.remove(&view.serial);
        } else {
            self.live.insert(view.serial, view.clone());
        }
    }

    /// What changed after `position`, oldest change first, the newest state of each.
    pub(crate) fn changes_after(&self, position: Position) -> impl Iterator<Item = (Position, &Arc<WorkloadView>)> {
        self.changes.range((Bound::Excluded(position), Bound::Unbounded)).map(|(position, view)| (*position, view))
    }

    /// What lives now and was first seen from serial `from` up to but without `end`.
    pub(crate) fn live(&self, from: Serial, end: Serial) -> impl Iterator<Item = &Arc<WorkloadView>> {
        self.live.range(from..end.max(from)).map(|(_, view)| view)
    }

    pub(crate) fn live_len(&self) -> usize {
        self.live.len()
    }

    #[cfg(test)]
    pub(crate) fn changes_len(&self) -> usize {
        self.changes.len()
    }
}

#[derive(Debug)]
struct Tombstone {
    position: Position,
    app: AppName,
    bytes: usize,
}

/// The change index of all workloads that the engine knows.
#[derive(Debug)]
pub(crate) struct Index {
    all: Lane,
    apps: HashMap<AppName, Lane>,
    tombstones: VecDeque<Tombstone>,
    tombstones_bytes: usize,
    limits: TombstoneLimits,
    horizon: Revision,
}

impl Index {
    pub(crate) fn new(limits: TombstoneLimits) -> Self {
        Self {
            all: Lane::default(),
            apps: HashMap::new(),
            tombstones: VecDeque::new(),
            tombstones_bytes: 0,
            limits,
            horizon: Revision(0),
        }
    }

    pub(crate) fn limits(&self) -> TombstoneLimits {
        self.limits
    }

    /// The lane of an app, or of all; `None` when there never was anything in it.
    pub(crate) fn lane(&self, app: Option<&AppName>) -> Option<&Lane> {
        match app {
            Some(app) => self.apps.get(app),
            None => Some(&self.all),
        }
    }

    /// The oldest revision that one can resume from: everything removed after it is still known.
    pub(crate) fn oldest_resume(&self) -> Revision {
        self.horizon
    }

    /// Nobody can resume from before `revision`.
    pub(crate) fn raise_horizon(&mut self, revision: Revision) {
        self.horizon = self.horizon.max(revision);
    }

    /// Takes a new state of a workload, which was last changed at `before`.
    pub(crate) fn put(&mut self, before: Option<Revision>, view: Arc<WorkloadView>) {
        self.all.put(before, &view);
        let app = &view.placement.name.app;
        match self.apps.get_mut(app) {
            Some(lane) => lane.put(before, &view),
            None => self.apps.entry(app.clone()).or_default().put(before, &view),
        }
        if view.removed {
            let position = Position { revision: view.changed, serial: view.serial };
            let bytes = weight(&view);
            self.tombstones_bytes += bytes;
            self.tombstones.push_back(Tombstone { position, app: app.clone(), bytes });
            self.evict();
        }
    }

    fn evict(&mut self) {
        while self.tombstones.len() > self.limits.count_max || self.tombstones_bytes > self.limits.bytes_max {
            let Some(oldest) = self.tombstones.pop_front() else { break };
            self.tombstones_bytes -= oldest.bytes;
            self.raise_horizon(oldest.position.revision);
            self.all.changes.remove(&oldest.position);
            if let Some(lane) = self.apps.get_mut(&oldest.app) {
                lane.changes.remove(&oldest.position);
                if lane.changes.is_empty() {
                    self.apps.remove(&oldest.app);
                }
            }
        }
    }
}

/// About what a tombstone holds in memory, in bytes: its texts, once as they are and once encoded, and its places in maps.
fn weight(view: &WorkloadView) -> usize {
    const PLACES: usize = 1024;
    let spec = &view.placement.spec;
    let labels: usize = spec.labels.iter().map(|(k, v)| k.len() + v.len()).sum();
    let lists: usize = spec.command.iter().chain(&spec.env).map(String::len).sum();
    let report = view.status.as_ref().map_or(0, |status| {
        status.status.extension.len() + status.status.last_lines.iter().map(String::len).sum::<usize>()
    });
    PLACES + 2 * (labels + lists + report)
}

/// Most removed nodes that are kept for those who watch nodes: as many as a large cluster has.
const REMOVED_NODES_MAX: usize = 10_000;

/// The same for nodes: each once, ordered by its last change.
#[derive(Debug, Default)]
pub(crate) struct NodeIndex {
    changes: BTreeMap<(Revision, NodeName), Arc<NodeChange>>,
    removed: VecDeque<(Revision, NodeName)>,
}

impl NodeIndex {
    /// Notes what the watchers of nodes can see of `slot` now; says whether that is news.
    pub(crate) fn tell(&mut self, at: Revision, name: &NodeName, slot: &mut crate::cache::NodeSlot) -> bool {
        let told = slot.told.as_ref().map(|(revision, change)| (*revision, change.clone()));
        let change = match (&slot.record, &told) {
            (Some(record), _) => NodeChange {
                node: name.clone(),
                pod: record.record.pod.clone(),
                alive: slot.alive.is_some(),
                state: slot.life.state,
                generation: slot.life.generation,
                removed: false,
            },
            (None, Some((_, last))) => NodeChange { alive: false, removed: true, ..NodeChange::clone(last) },
            (None, None) => return false,
        };
        // A node that was only added is nothing that its watchers wait for.
        let is_news = match &told {
            Some((_, last)) => **last != change,
            None => change.alive || change.state != NodeState::New,
        };
        let change = Arc::new(change);
        if !is_news {
            if told.is_none() {
                slot.told = Some((Revision(0), change));
            }
            return false;
        }
        if let Some((revision, _)) = told {
            self.changes.remove(&(revision, name.clone()));
        }
        self.changes.insert((at, name.clone()), change.clone());
        if change.removed {
            slot.told = None;
            self.removed.push_back((at, name.clone()));
            if self.removed.len() > REMOVED_NODES_MAX
                && let Some(oldest) = self.removed.pop_front()
                && self.changes.get(&oldest).is_some_and(|change| change.removed)
            {
                self.changes.remove(&oldest);
            }
        } else {
            slot.told = Some((at, change));
        }
        true
    }

    /// Nodes whose last change is after `revision`, oldest first. Costs as much as there are.
    pub(crate) fn changes_after(&self, revision: Revision) -> Vec<(Revision, Arc<NodeChange>)> {
        let newest_first = self.changes.iter().rev().take_while(|((at, _), _)| *at > revision);
        let mut changes: Vec<_> = newest_first.map(|((at, _), change)| (*at, change.clone())).collect();
        changes.reverse();
        changes
    }
}
