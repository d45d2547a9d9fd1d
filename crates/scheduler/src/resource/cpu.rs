//! Processor time that is not bound to cores: shared by all, so that only the number of cores must suffice.

use super::UNLIMITED;
use crate::{NodeSnapshot, Refusal};
use eru_types::Resources;

pub(super) fn capacities(nodes: &[&NodeSnapshot], resources: &Resources) -> Result<Vec<u64>, Refusal> {
    let quota = resources.cpu_request;
    let fits = |n: &&NodeSnapshot| if n.total.cpu >= quota { UNLIMITED } else { 0 };
    let capacities: Vec<_> = nodes.iter().map(fits).collect();
    if capacities.iter().all(|c| *c == 0) {
        let text = format!("no node remains cpu more than {:.2}: cannot alloc a plan, not enough cpu", quota.cores());
        return Err(Refusal::not_enough(text));
    }
    Ok(capacities)
}
