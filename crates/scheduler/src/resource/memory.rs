//! Memory.

use super::share;
use crate::{
    NodeSnapshot,
    reason::{Cause, ReasonKind},
};
use eru_types::Resources;

pub(super) fn capacity(node: &NodeSnapshot, resources: &Resources) -> u64 {
    share(node.memory_free(), resources.memory_request.0)
}

pub(super) fn cause(node: &NodeSnapshot, resources: &Resources) -> Option<Cause> {
    let (free, request) = (node.memory_free(), resources.memory_request.0);
    (request > free).then(|| Cause::short(ReasonKind::Memory, "memory", request, free))
}

pub(crate) fn nothing_left(resources: &Resources) -> String {
    let bytes = resources.memory_request;
    format!("no node remains memory more than {bytes} bytes: cannot alloc a plan, not enough memory")
}
