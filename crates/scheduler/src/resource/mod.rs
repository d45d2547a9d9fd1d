//! How many instances a node can take, one file a resource.
//!
//! Each resource answers for itself, over all candidates; a node's capacity is the least of the answers. A resource that
//! no node has enough of refuses with its own text.

mod cpu;
mod memory;
mod storage;

use crate::{NodeSnapshot, Refusal, Request};

/// What a node can take of something that is not counted: the original's number.
pub const UNLIMITED: u64 = i32::MAX as u64;

/// Capacity of each node, in the nodes' order; 0 = it cannot take any.
///
/// # Errors
/// The text of the resource that no node has enough of.
pub fn capacities(nodes: &[&NodeSnapshot], request: &Request) -> Result<Vec<u64>, Refusal> {
    let mut least = vec![UNLIMITED; nodes.len()];
    for resource in [cpu::capacities, memory::capacities, storage::capacities] {
        for (least, capacity) in least.iter_mut().zip(resource(nodes, &request.resources)?) {
            *least = capacity.min(*least);
        }
    }
    if least.iter().all(|c| *c == 0) {
        return Err(Refusal::not_enough(
            "no node meets all the resource requirements at the same time: not enough resource",
        ));
    }
    Ok(least)
}

/// How many times `request` goes into what is left.
fn share(free: u64, request: u64) -> u64 {
    free.checked_div(request).map_or(UNLIMITED, |times| times.min(UNLIMITED))
}
