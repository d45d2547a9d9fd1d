//! The nodes as the scheduler sees them, kept from round to round and made anew only where the cache has news.

use crate::{
    cache::{NodeState, NodeView},
    record::Placement,
};
use eru_kv::Revision;
use eru_scheduler::{Free, NodeSnapshot, Parts, Quantities, Readiness};
use eru_types::{CpuQuota, NodeName};
use std::sync::Arc;

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

/// All nodes of one round, by name.
#[derive(Default)]
pub(super) struct Board {
    pub(super) seats: Vec<Seat>,
}

impl Board {
    /// The seat of a node.
    pub(super) fn get(&self, node: &NodeName) -> Option<&Seat> {
        self.index(node).map(|index| &self.seats[index])
    }

    fn index(&self, node: &NodeName) -> Option<usize> {
        self.seats.binary_search_by(|seat| seat.snapshot.name.cmp(node)).ok()
    }

    /// Puts a placement onto its node.
    pub(super) fn take(&mut self, placement: &Placement) {
        if let Some(index) = self.index(&placement.node) {
            let snapshot = Arc::make_mut(&mut self.seats[index].snapshot);
            snapshot.take(placement.app(), placement.entrypoint(), &placement.resources, &placement.allotment);
        }
    }
}

/// Snapshots by name, each with the view that it was made from.
#[derive(Default)]
pub(super) struct Snapshots {
    made: Vec<(Arc<NodeView>, Arc<NodeSnapshot>)>,
}

impl Snapshots {
    /// The board of `views`, which are ordered by name, as those of the last time were.
    ///
    /// # Cost
    /// One step a node; a snapshot is only made anew of a node that has changed.
    pub(super) fn board(&mut self, views: Vec<Arc<NodeView>>) -> Board {
        debug_assert!(views.is_sorted_by(|a, b| a.name() < b.name()), "the cache orders nodes by name");
        let mut before = std::mem::take(&mut self.made).into_iter().peekable();
        self.made.reserve(views.len());
        let mut board = Board { seats: Vec::with_capacity(views.len()) };
        for view in views {
            while before.next_if(|(of, _)| of.name() < view.name()).is_some() {}
            let made = before.next_if(|(of, _)| Arc::ptr_eq(of, &view) || of.name() == view.name());
            let snapshot = match made {
                Some((of, snapshot)) if Arc::ptr_eq(&of, &view) => snapshot,
                _ => Arc::new(snapshot(&view)),
            };
            let basis = Basis { version: view.version_revision, record: view.record_revision };
            self.made.push((view, snapshot.clone()));
            board.seats.push(Seat { snapshot, basis });
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
    let parts = Parts::new(&record.cpu, &record.numa, &record.numa_memory, &record.volumes);
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
        free: Arc::new(Free::new(&parts, &view.parts)),
        parts: Arc::new(parts),
        counts: view.counts.clone(),
    }
}
