//! Checks a plan against its input, independently of how it was made.

use crate::{Content, NodeSnapshot, Plan, Request, Strategy};
use eru_types::NodeName;
use std::collections::HashMap;

/// What is wrong with a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It uses a node that was not given, or one twice.
    #[error("node {0} is not one of the given, or named twice")]
    Node(NodeName),
    /// It names a node that gets nothing.
    #[error("node {0} gets nothing")]
    Nothing(NodeName),
    /// It gives a node more than it has left.
    #[error("node {node} is overbooked: {what}")]
    Overbooked {
        /// The node.
        node: NodeName,
        /// Which resource.
        what: &'static str,
    },
    /// It puts something on a node that cannot run it, or that the filter leaves out.
    #[error("node {0} must not get this")]
    Forbidden(NodeName),
    /// It has more or fewer instances than the request.
    #[error("plan has {got} instances, request {wanted}")]
    Count {
        /// Instances of the plan.
        got: u64,
        /// Instances of the request.
        wanted: u64,
    },
}

/// Everything that is wrong with `plan`; nothing is right.
pub fn lint(plan: &Plan, nodes: &[&NodeSnapshot], request: &Request) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut known: HashMap<_, _> = nodes.iter().map(|n| (&n.name, *n)).collect();
    for assignment in &plan.assignments {
        let name = &assignment.node;
        let Some(node) = known.remove(name) else {
            faults.push(Fault::Node(name.clone()));
            continue;
        };
        if assignment.count == 0 {
            faults.push(Fault::Nothing(name.clone()));
        }
        if !allowed(node, request) {
            faults.push(Fault::Forbidden(name.clone()));
        }
        let mut used = node.used;
        used.take(&plan.resources, u64::from(assignment.count));
        let over = |grows: bool, used: u64, total: u64| grows && used > total;
        let resources = &plan.resources;
        let checks = [
            ("cpu", resources.cpu_request > node.total.cpu),
            ("memory", over(resources.memory_request.0 > 0, used.memory.0, node.total.memory.0)),
            ("storage", over(resources.storage_request.0 > 0, used.storage.0, node.total.storage.0)),
        ];
        let overbooked = checks.into_iter().filter(|(_, over)| *over);
        faults.extend(overbooked.map(|(what, _)| Fault::Overbooked { node: name.clone(), what }));
    }
    let wanted = match request.strategy {
        Strategy::Auto | Strategy::Global | Strategy::Drained => Some(u64::from(request.count)),
        Strategy::Each => Some(u64::from(request.count) * plan.assignments.len() as u64),
        Strategy::Fill => None,
    };
    if let Some(wanted) = wanted.filter(|w| *w != plan.count()) {
        faults.push(Fault::Count { got: plan.count(), wanted });
    }
    faults
}

fn allowed(node: &NodeSnapshot, request: &Request) -> bool {
    let filter = &request.filter;
    let runs = match request.content {
        Content::Image => node.runs_images,
        Content::Command => node.runs_commands,
    };
    let named = filter.includes.contains(&node.name);
    let chosen = if filter.includes.is_empty() { node.labels.contains_all(&filter.labels) } else { named };
    runs && chosen && !filter.excludes.contains(&node.name) && filter.pod.as_ref().is_none_or(|p| *p == node.pod)
}
