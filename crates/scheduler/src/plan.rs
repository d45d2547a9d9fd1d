//! From nodes and a request to a plan.

use crate::{
    NodeSnapshot, Refusal, Request,
    filter::candidates,
    resource,
    strategy::{self, Slot},
};
use eru_types::{NodeName, Resources};

/// New instances on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The node.
    pub node: NodeName,
    /// How many, above 0.
    pub count: u32,
}

/// Where the instances of one request go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// By node, in the order of their names; nodes that get nothing are not named.
    pub assignments: Vec<Assignment>,
    /// What each instance takes.
    pub resources: Resources,
}

impl Plan {
    /// Number of instances.
    pub fn count(&self) -> u64 {
        self.assignments.iter().map(|a| u64::from(a.count)).sum()
    }
}

/// Decides where the instances of `request` go. `nodes` are all that may be meant, in any order.
///
/// # Errors
/// [`Refusal`] says which nodes were looked at and what they lack.
///
/// # Cost
/// n log n in the number of nodes, whatever the number of instances (GLOBAL: count log n besides).
pub fn plan(nodes: &[&NodeSnapshot], request: &Request) -> Result<Plan, Refusal> {
    let (nodes, capacities) = usable(nodes, request)?;
    let key = (request.app.clone(), request.entrypoint.clone());
    let slots: Vec<Slot> = nodes
        .iter()
        .zip(&capacities)
        .map(|(node, capacity)| Slot {
            capacity: *capacity,
            count: node.counts.get(&key).copied().unwrap_or(0).into(),
            usage: ratio(node.used.memory.0, node.total.memory.0),
            rate: ratio(request.resources.memory_request.0, node.total.memory.0),
        })
        .collect();
    let added = strategy::spread(request.strategy, &slots, request.count, request.nodes_limit)?;
    let assignments = nodes
        .iter()
        .zip(added)
        .filter(|(_, count)| *count > 0)
        .map(|(node, count)| Assignment {
            node: node.name.clone(),
            count: u32::try_from(count).expect("a strategy adds at most `count` to a node"),
        })
        .collect();
    Ok(Plan { assignments, resources: request.resources })
}

/// How many instances each node can take, whatever the strategy and the count.
///
/// # Errors
/// As [`plan`].
pub fn capacities(nodes: &[&NodeSnapshot], request: &Request) -> Result<Vec<(NodeName, u64)>, Refusal> {
    let (nodes, capacities) = usable(nodes, request)?;
    Ok(nodes.iter().map(|n| n.name.clone()).zip(capacities).collect())
}

/// The nodes that can take at least one instance, with their capacities.
fn usable<'a>(nodes: &[&'a NodeSnapshot], request: &Request) -> Result<(Vec<&'a NodeSnapshot>, Vec<u64>), Refusal> {
    let nodes = candidates(nodes, request)?;
    let capacities = resource::capacities(&nodes, request)?;
    Ok(nodes.into_iter().zip(capacities).filter(|(_, capacity)| *capacity > 0).unzip())
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64).min(1.0) }
}
