//! Storage.

use super::share;
use crate::{NodeSnapshot, Refusal};
use eru_types::Resources;

pub(super) fn capacities(nodes: &[&NodeSnapshot], resources: &Resources) -> Result<Vec<u64>, Refusal> {
    let request = resources.storage_request.0;
    let capacities: Vec<_> = nodes.iter().map(|n| share(n.storage_free(), request)).collect();
    if capacities.iter().all(|c| *c == 0) {
        let text =
            format!("no node remains storage more than {request} bytes: cannot alloc a plan, not enough storage");
        return Err(Refusal::not_enough(text));
    }
    Ok(capacities)
}
