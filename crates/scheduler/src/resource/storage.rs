//! Storage.

use super::share;
use crate::{
    NodeSnapshot,
    reason::{Cause, ReasonKind},
};
use eru_types::Resources;

pub(super) fn capacity(node: &NodeSnapshot, resources: &Resources) -> u64 {
    share(node.storage_free(), resources.storage_request.0)
}

pub(super) fn cause(node: &NodeSnapshot, resources: &Resources) -> Option<Cause> {
    let (free, request) = (node.storage_free(), resources.storage_request.0);
    (request > free).then(|| Cause::short(ReasonKind::Storage, "storage", request, free))
}

pub(crate) fn nothing_left(resources: &Resources) -> String {
    let bytes = resources.storage_request;
    format!("no node remains storage more than {bytes} bytes: cannot alloc a plan, not enough storage")
}
