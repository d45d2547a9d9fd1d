//! Checks a plan against its input, independently of how it was made.
//!
//! The plan is taken as what it says to whoever carries it out: so many instances on a node, each with these cores and
//! devices. Everything is counted anew from that. One file a subject.

mod amounts;
mod counts;
mod fault;
mod parts;

pub use fault::Fault;

use crate::{Content, NodeSnapshot, Plan, Readiness, Request};
use eru_types::NodeName;

/// Everything that is wrong with `plan`; nothing is right. `nodes` holds at least those that the plan names.
///
/// # Cost
/// Grows with the nodes, their cores and the instances that have cores of their own; a few nanoseconds each.
pub fn lint(plan: &Plan, nodes: &[&NodeSnapshot], request: &Request) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut sorted;
    let mut known: &[&NodeSnapshot] = nodes;
    if !nodes.is_sorted_by(|a, b| a.name < b.name) {
        sorted = nodes.to_vec();
        sorted.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        known = &sorted;
    }
    if plan.demand != request.demand || plan.share != request.share {
        faults.push(Fault::Demand);
    }
    let mut parts = parts::Checker::new(request);
    for pair in plan.assignments.windows(2).filter(|pair| pair[0].node >= pair[1].node) {
        faults.push(Fault::Order(pair[1].node.clone()));
    }
    let key = (request.app.clone(), request.entrypoint.clone());
    let mut rest = known;
    for assignment in &plan.assignments {
        let Some(node) = find(known, &mut rest, &assignment.node) else {
            faults.push(Fault::Node(assignment.node.clone()));
            continue;
        };
        if !allowed(node, request) {
            faults.push(Fault::Forbidden(node.name.clone()));
        }
        amounts::check(node, assignment, request, &mut faults);
        counts::check_node(node, assignment, &key, request, &mut faults);
        parts.check(node, assignment, &mut faults);
    }
    counts::check(plan, request, &mut faults);
    faults
}

/// Finds a node. Both lists are most often in one order, so it is looked for behind the last one found first.
fn find<'b, 'a>(
    all: &'b [&'a NodeSnapshot],
    rest: &mut &'b [&'a NodeSnapshot],
    name: &NodeName,
) -> Option<&'a NodeSnapshot> {
    let next = rest.first().filter(|node| node.name == *name);
    let at = |nodes: &[&NodeSnapshot]| nodes.binary_search_by(|node| node.name.cmp(name)).ok();
    let index = next.map(|_| all.len() - rest.len()).or_else(|| at(all))?;
    *rest = &all[index + 1..];
    Some(all[index])
}

/// Whether anything of the request may be on the node, whatever it has left.
fn allowed(node: &NodeSnapshot, request: &Request) -> bool {
    let filter = &request.filter;
    let runs = match request.content {
        Content::Image => node.runs_images,
        Content::Command => node.runs_commands,
        Content::Any => node.runs_images || node.runs_commands,
    };
    let ready = filter.all || node.readiness == Readiness::Ready;
    let chosen = if filter.includes.is_empty() {
        ready && node.labels.contains_all(&filter.labels)
    } else {
        filter.includes.contains(&node.name)
    };
    let zoned = request.spread_label.is_empty() || node.labels.get(&request.spread_label).is_some();
    let in_pod = filter.pod.as_ref().is_none_or(|pod| *pod == node.pod);
    runs && chosen && zoned && in_pod && !filter.excludes.contains(&node.name)
}
