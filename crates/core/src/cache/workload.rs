//! A workload as readers and subscribers see it.

use super::{NodeLife, Shown, shown};
use crate::record::{Placement, StatusRecord, Versioned};
use bytes::Bytes;
use eru_kv::Revision;
use eru_types::EngineId;
use std::sync::{Arc, OnceLock};

/// Counts placements as the cache meets them. One serial is one workload from its first sight to its end.
pub(crate) type Serial = u64;

/// A workload at one moment. Immutable: every change makes a new one.
#[derive(Debug)]
pub struct WorkloadView {
    /// The placement.
    pub placement: Arc<Versioned<Placement>>,
    /// The revision that wrote it.
    pub placement_revision: Revision,
    /// The last report; `None` when there is none, or when it outlived its ttl ([`WorkloadView::expired`]).
    pub status: Option<Arc<Versioned<StatusRecord>>>,
    /// The revision that wrote the report; 0 = there is none.
    pub status_revision: Revision,
    /// There was a report, and it outlived its ttl.
    pub expired: bool,
    /// The life of its node.
    pub life: Arc<NodeLife>,
    /// When a subscriber of everything could last see a difference.
    pub changed: Revision,
    /// When a reader of the page's five fields could last see a difference; 0 = never.
    pub status_changed: Revision,
    /// It is gone; this is the last that was known.
    pub removed: bool,
    pub(crate) serial: Serial,
    /// The page's five fields, encoded once for all subscribers.
    pub(crate) encoded: OnceLock<Bytes>,
}

impl WorkloadView {
    /// The engine's id; `None` while the placement is only planned.
    pub fn id(&self) -> Option<&EngineId> {
        self.placement.engine_id.as_ref()
    }

    /// Whether lists and subscribers see it: the engine knows it.
    pub fn is_visible(&self) -> bool {
        self.placement.engine_id.is_some()
    }

    /// The status that is shown.
    pub fn shown(&self) -> Shown<'_> {
        shown(self.status.as_deref().map(|status| &status.record), &self.life, self.expired)
    }

    /// The same workload after its end at `revision`.
    pub(crate) fn as_removed(&self, revision: Revision) -> Self {
        Self {
            placement: self.placement.clone(),
            placement_revision: self.placement_revision,
            status: self.status.clone(),
            status_revision: self.status_revision,
            expired: self.expired,
            life: self.life.clone(),
            changed: revision,
            status_changed: revision,
            removed: true,
            serial: self.serial,
            encoded: OnceLock::new(),
        }
    }
}
