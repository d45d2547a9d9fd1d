//! One workload, as the stream told it.

use eru_api::pb;
use eru_types::{NameError, WorkloadName};
use std::{collections::BTreeMap, sync::Arc};

/// All workloads of a filter, by id.
pub type Snapshot = BTreeMap<Arc<str>, Arc<Entry>>;

/// A workload with its status.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The workload; its own `status` field is empty, see the next one.
    pub workload: pb::Workload,
    /// The last status; `None` = nothing was reported yet.
    pub status: Option<pb::WorkloadStatus>,
    /// The status has outlived its time to live: how the workload is now is not known. That is not death.
    pub expired: bool,
    /// Revision of the store that this belongs to.
    pub revision: i64,
}

impl Entry {
    /// Its id.
    pub fn id(&self) -> &str {
        &self.workload.id
    }

    /// Its node.
    pub fn node(&self) -> &str {
        &self.workload.nodename
    }

    /// Its name in parts.
    ///
    /// # Errors
    /// [`NameError`] when it is not one of ours.
    pub fn name(&self) -> Result<WorkloadName, NameError> {
        WorkloadName::parse(&self.workload.name)
    }

    /// Whether it was last reported running.
    pub fn running(&self) -> bool {
        self.status.as_ref().is_some_and(|s| s.running)
    }

    /// Whether it was last reported healthy.
    pub fn healthy(&self) -> bool {
        self.status.as_ref().is_some_and(|s| s.healthy)
    }

    /// Equal but for the revision.
    pub(super) fn says_the_same_as(&self, other: &Entry) -> bool {
        self.workload == other.workload && self.status == other.status && self.expired == other.expired
    }
}
