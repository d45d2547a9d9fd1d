//! Memory, storage and processor time.

use super::Fault;
use crate::{Assignment, NodeSnapshot, Request};

pub(super) fn check(node: &NodeSnapshot, assignment: &Assignment, request: &Request, faults: &mut Vec<Fault>) {
    let resources = &request.demand.resources;
    let count = u128::from(assignment.count);
    let over = |request: u64, used: u64, total: u64| {
        request > 0 && u128::from(used) + u128::from(request) * count > u128::from(total)
    };
    let (used, total) = (&node.used, &node.total);
    let checks = [
        ("cpu", !request.demand.bind && resources.cpu_request > total.cpu),
        ("memory", over(resources.memory_request.0, used.memory.0, total.memory.0)),
        ("storage", over(resources.storage_request.0, used.storage.0, total.storage.0)),
    ];
    for (what, _) in checks.into_iter().filter(|(_, over)| *over) {
        faults.push(Fault::Overbooked { node: node.name.clone(), what });
    }
}
