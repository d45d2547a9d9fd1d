//! The nodes as the scheduler sees them, kept from round to round and made anew only where the cache has news.

use crate::{
    cache::{NodeState, NodeView},
    record::Placement,
};
use eru_kv::Revision;
use eru_scheduler::{NodeSnapshot, Quantities, Readiness};
use eru_types::{CpuQuota, NodeName};
use std::{collections::HashMap, sync::Arc};

/// What a plan for a node is guarded by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Basis {
    /// Of the node's version.
    pub(super) version: Revision,
    /// Of the node's record.
    pub(super) record: Revision,
}

/// A node in a batch.
pub(super) struct Seat {
    /// As the cache has it, with what this batch takes on top.
    pub(super) snapshot: Arc<NodeSnapshot>,
    pub(super) basis: Basis,
}

/// All nodes of one round.
#[derive(Default)]
pub(super) struct Board {
    pub(super) seats: HashMap<NodeName, Seat>,
}

impl Board {
    /// Puts a placement onto its node.
    pub(super) fn take(&mut self, placement: &Placement) {
        if let Some(seat) = self.seats.get_mut(&placement.node) {
            let snapshot = Arc::make_mut(&mut seat.snapshot);
            snapshot.take(placement.app(), placement.entrypoint(), &placement.resources, 1);
        }
    }
}

/// Snapshots by node, each with the view that it was made from.
#[derive(Default)]
pub(super) struct Snapshots {
    made: HashMap<NodeName, (Arc<NodeView>, Arc<NodeSnapshot>)>,
}

impl Snapshots {
    /// The board of `views`.
    pub(super) fn board(&mut self, views: Vec<Arc<NodeView>>) -> Board {
        if self.made.len() > views.len() * 2 + 16 {
            self.made.clear();
        }
        let mut board = Board::default();
        for view in views {
            let name = view.name().clone();
            let basis = Basis { version: view.version_revision, record: view.record_revision };
            let snapshot = match self.made.get(&name) {
                Some((of, snapshot)) if Arc::ptr_eq(of, &view) => snapshot.clone(),
                _ => {
                    let snapshot = Arc::new(snapshot(&view));
                    self.made.insert(name.clone(), (view, snapshot.clone()));
                    snapshot
                }
            };
            board.seats.insert(name, Seat { snapshot, basis });
        }
        board
    }
}

/// A node as the scheduler sees it.
pub(crate) fn snapshot(view: &NodeView) -> NodeSnapshot {
    let record = &view.record.record;
    let readiness = match view.state() {
        _ if record.bypass => Readiness::Bypassed,
        NodeState::New | NodeState::Ready => Readiness::Ready,
        NodeState::Suspect => Readiness::Suspect,
        NodeState::Unwatched => Readiness::Unwatched,
        NodeState::Lost => Readiness::Lost,
    };
    NodeSnapshot {
        name: record.name.clone(),
        pod: record.pod.clone(),
        labels: record.labels.clone(),
        runs_images: record.runs_images,
        runs_commands: record.runs_commands,
        readiness,
        total: Quantities {
            cpu: CpuQuota(record.cpu.len() as u64 * 1_000_000),
            memory: record.memory,
            storage: record.storage,
        },
        used: Quantities {
            cpu: view.used.cpu_request,
            memory: view.used.memory_request,
            storage: view.used.storage_request,
        },
        counts: view.counts.clone(),
    }
}
