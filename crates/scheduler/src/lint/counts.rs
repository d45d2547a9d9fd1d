//! Numbers of instances and nodes.

use super::Fault;
use crate::{Assignment, NodeSnapshot, Plan, Request, Strategy};
use eru_types::{AppName, EntrypointName};

/// Of one node.
pub(super) fn check_node(
    node: &NodeSnapshot,
    assignment: &Assignment,
    key: &(AppName, EntrypointName),
    request: &Request,
    faults: &mut Vec<Fault>,
) {
    if assignment.count == 0 {
        return faults.push(Fault::Nothing(node.name.clone()));
    }
    let mut wrong = |rule| {
        faults.push(Fault::Limit { node: node.name.clone(), got: assignment.count, rule });
    };
    if request.strategy == Strategy::Each && assignment.count != request.count {
        wrong("EACH gives each node the same number");
    }
    if request.node_max == 0 && request.strategy != Strategy::Fill && request.nodes_limit == 0 {
        return;
    }
    let sum = u64::from(node.count(key)) + u64::from(assignment.count);
    if request.node_max > 0 && sum > u64::from(request.node_max) {
        wrong("with those that are there they are more than a node may have");
    }
    if request.strategy == Strategy::Fill && sum != u64::from(request.count) {
        wrong("with those that are there they are not what FILL fills up to");
    }
    if request.strategy == Strategy::Auto && request.nodes_limit > 0 && sum > u64::from(request.nodes_limit) {
        wrong("with those that are there they are more than nodes_limit");
    }
}

/// Of all.
pub(super) fn check(plan: &Plan, request: &Request, faults: &mut Vec<Fault>) {
    let nodes = plan.assignments.len();
    let limit = request.nodes_limit as usize;
    let wrong_nodes = match request.strategy {
        Strategy::Each => nodes == 0 || (limit > 0 && nodes != limit),
        Strategy::Fill => nodes == 0 || (limit > 0 && nodes > limit),
        Strategy::Auto | Strategy::Global | Strategy::Drained => {
            let (got, wanted) = (plan.count(), u64::from(request.count));
            if got != wanted {
                faults.push(Fault::Count { got, wanted });
            }
            false
        }
    };
    if wrong_nodes {
        faults.push(Fault::Nodes { got: nodes, limit: request.nodes_limit });
    }
}
