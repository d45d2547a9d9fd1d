//! A client that follows the protocol to the letter, and no further.

use super::*;
use crate::cache::{WorkloadFilter, to_pb_workload};
use bytes::Bytes;
use eru_api::pb::workload_status_stream_message::Kind;
use std::collections::BTreeMap;

/// What such a client knows.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    pub(super) workloads: BTreeMap<String, pb::Workload>,
    pub(super) token: Bytes,
    pub(super) is_synced: bool,
    pub(super) resyncs: usize,
}

impl Known {
    pub(super) fn take(&mut self, message: WorkloadStatusStreamMessage) {
        match message.kind() {
            Kind::Resync => {
                assert!(!message.reason.is_empty());
                self.workloads.clear();
                self.token = Bytes::new();
                self.is_synced = false;
                self.resyncs += 1;
            }
            Kind::Snapshot => {
                assert!(!self.is_synced, "a snapshot is over with SYNCED");
                assert!(!message.delete && message.revision > 0);
                self.workloads.insert(message.id, message.workload.unwrap());
            }
            Kind::Synced | Kind::Bookmark => {
                assert!(self.is_synced != (message.kind() == Kind::Synced), "SYNCED comes once, BOOKMARK after it");
                assert!(message.id.is_empty() && !message.resume_token.is_empty());
                self.is_synced = true;
                self.token = message.resume_token;
            }
            Kind::Change => {
                assert!(message.resume_token.is_empty() && message.revision > 0);
                if message.delete && !message.error.is_empty() {
                    self.workloads.remove(&message.id);
                } else {
                    assert_eq!(message.workload.as_ref().unwrap().status, message.status);
                    self.workloads.insert(message.id, message.workload.unwrap());
                }
            }
        }
    }
}

/// What the list says that a client should know.
pub(super) fn listed(world: &World, filter: &WorkloadFilter) -> BTreeMap<String, pb::Workload> {
    let views = world.cache.workloads(filter);
    views.iter().map(|view| to_pb_workload(view)).map(|workload| (workload.id.clone(), workload)).collect()
}
