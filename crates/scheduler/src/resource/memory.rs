//! Memory.

use super::share;
use crate::{NodeSnapshot, Refusal};
use eru_types::Resources;

pub(super) fn capacities(nodes: &[&NodeSnapshot], resources: &Resources) -> Result<Vec<u64>, Refusal> {
    let request = resources.memory_request.0;
    let capacities: Vec<_> = nodes.iter().map(|n| share(n.memory_free(), request)).collect();
    if capacities.iter().all(|c| *c == 0) {
        let text = format!("no node remains memory more than {request} bytes: cannot alloc a plan, not enough memory");
        return Err(Refusal::not_enough(text));
    }
    Ok(capacities)
}
