//! Processor time that is not bound to cores: shared by all, so that only the number of cores must suffice.

use super::UNLIMITED;
use crate::{
    NodeSnapshot,
    reason::{Cause, ReasonKind},
};
use eru_types::Resources;

pub(super) fn capacity(node: &NodeSnapshot, resources: &Resources) -> u64 {
    if node.total.cpu >= resources.cpu_request { UNLIMITED } else { 0 }
}

pub(super) fn cause(node: &NodeSnapshot, resources: &Resources) -> Option<Cause> {
    let text = || format!("fewer than {} cores", Cores(resources.cpu_request.0));
    (capacity(node, resources) == 0).then(|| Cause::new(ReasonKind::Cores, text()))
}

pub(crate) fn nothing_left(resources: &Resources) -> String {
    let cores = resources.cpu_request.cores();
    format!("no node remains cpu more than {cores:.2}: cannot alloc a plan, not enough cpu")
}

/// Millionths of a core as a number of cores, without zeros at the end.
pub(super) struct Cores(pub(super) u64);

impl std::fmt::Display for Cores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0 as f64 / 1e6)
    }
}
