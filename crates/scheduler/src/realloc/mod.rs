//! Another size for one workload that is there already: on its node, and as far as can be on the cores and devices that it
//! has.
//!
//! # Invariants
//! - What it holds is not in the pool: a core that it keeps is not given to it a second time.
//! - A workload that only shrinks always fits, even on a node that is overbooked.

mod change;
mod cores;
mod volumes;

pub use change::{Bind, Change, changed};
pub use cores::{Kept, keep};

use crate::{NodeSnapshot, Refusal, Share, resource::cores::Cut};
use eru_types::{Allotment, Demand, Resources};

/// What a workload holds.
#[derive(Debug, Clone, Copy)]
pub struct Holding<'a> {
    /// The amounts.
    pub resources: &'a Resources,
    /// The named parts.
    pub allotment: &'a Allotment,
}

/// Decides what a workload that holds `held` on `node` is to hold instead. The node's snapshot counts what it holds now.
///
/// # Errors
/// Which resource has too little left, in the original's words.
pub fn realloc(node: &NodeSnapshot, held: Holding<'_>, demand: &Demand, share: Share) -> Result<Allotment, Refusal> {
    check_amounts(node, held.resources, demand)?;
    let mut allotment = volumes::replan(node, held.allotment, demand)?;
    if demand.bind {
        let cut = Cut::new(demand.resources.cpu_request, share);
        let cut = cut.map_err(|text| Refusal::new(crate::RefusalKind::Invalid, text))?;
        let found = cores::replan(node, held, demand, &cut).ok_or_else(|| {
            let text = crate::resource::numa::nothing_left(&demand.resources);
            Refusal::not_enough(format!("failed to reschedule cpu: {text}"))
        })?;
        (allotment.cores, allotment.numa_node) = found;
    }
    Ok(allotment)
}

fn check_amounts(node: &NodeSnapshot, held: &Resources, demand: &Demand) -> Result<(), Refusal> {
    let new = &demand.resources;
    // What is not more than before is there, whatever else is not.
    let lacks = |new: u64, held: u64, used: u64, total: u64| {
        new > held && u128::from(used) - u128::from(held.min(used)) + u128::from(new) > u128::from(total)
    };
    let (used, total) = (&node.used, &node.total);
    if !demand.bind && new.cpu_request > held.cpu_request && new.cpu_request > total.cpu {
        return Err(Refusal::not_enough(crate::resource::cpu::nothing_left(new)));
    }
    if lacks(new.memory_request.0, held.memory_request.0, used.memory.0, total.memory.0) {
        return Err(Refusal::not_enough(crate::resource::memory::nothing_left(new)));
    }
    if lacks(new.storage_request.0, held.storage_request.0, used.storage.0, total.storage.0) {
        return Err(Refusal::not_enough(crate::resource::storage::nothing_left(new)));
    }
    Ok(())
}
