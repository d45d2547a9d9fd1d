//! A report, and what can become of it.

use crate::record::{self, StatusRecord, Versioned};
use bytes::Bytes;
use eru_kv::Revision;
use eru_types::{EngineId, NodeName, WorkloadStatus};
use std::sync::Arc;

/// How one workload is, as somebody says.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The workload.
    pub id: EngineId,
    /// The node that the reporter speaks for; `None` = it did not say.
    pub node: Option<NodeName>,
    /// The reporter's incarnation; 0 = it has none, and its reports are always the newest.
    pub incarnation: i64,
    /// The reporter's sequence number.
    pub seq: i64,
    /// Time to live in seconds; 0 = for ever.
    pub ttl_s: i64,
    /// The status.
    pub status: WorkloadStatus,
}

/// What became of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Stored, or overtaken by a newer one of the same batch that was.
    Stored,
    /// Equal to what is stored.
    Unchanged,
    /// No such workload, or none yet.
    Unknown,
    /// A newer one is stored.
    Stale,
    /// The workload is on another node than the reporter's.
    WrongNode,
}

/// What is stored of a workload, as far as is known.
#[derive(Debug, Clone, Default)]
pub(super) struct Stored {
    /// The record; `None` = there is none.
    pub(super) record: Option<Arc<Versioned<StatusRecord>>>,
    /// The revision that wrote it; 0 = there is none.
    pub(super) revision: Revision,
}

/// A report that is ready to be written.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) record: Arc<Versioned<StatusRecord>>,
    pub(super) value: Bytes,
    /// What was stored when it was prepared.
    pub(super) stored: Stored,
}

impl Prepared {
    pub(super) fn new(report: Report, node: NodeName, generation: i64, stored: Stored) -> Self {
        let Report { id, incarnation, seq, ttl_s, status, .. } = report;
        let record = Versioned::new(StatusRecord { id, node, incarnation, seq, generation, ttl_s, status });
        Self { value: record::encode(&record), record: Arc::new(record), stored }
    }
}
