//! Cores of one's own, when their number changes: those that are held are kept as far as can be.

use super::Holding;
use crate::{
    NodeSnapshot, Slice,
    parts::clamped,
    resource::{
        cores::{Cut, Roles},
        numa,
    },
};
use eru_types::Demand;
use std::{collections::BTreeMap, sync::Arc};

/// Which cores are kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Number of the core to its pieces, those that were added among them.
    pub cores: BTreeMap<u32, u32>,
    /// Pieces that are still to be found elsewhere.
    pub missing: u64,
    /// What is free then, in the order of the cores.
    pub free: Vec<i32>,
}

/// Which of the cores `held` are kept when `want` pieces are wanted; `free` does not contain what is held.
///
/// Shrinking gives the smallest shares back first. Growing keeps whole cores, completes a share whose core is otherwise
/// free, and gives the others back, so that an instance has one fraction at most.
pub fn keep(held: &BTreeMap<u32, u32>, free: &[i32], want: u64, base: u32) -> Kept {
    let mut kept = Kept { cores: BTreeMap::new(), missing: 0, free: free.to_vec() };
    let sum: u64 = held.values().map(|pieces| u64::from(*pieces)).sum();
    // The largest first; of equal ones the first.
    let mut shares: Vec<(u32, u32)> = held.iter().map(|(core, pieces)| (*core, *pieces)).collect();
    shares.sort_by_key(|(core, pieces)| (std::cmp::Reverse(*pieces), *core));
    let mut left = want;
    for (core, share) in shares {
        let Some(free) = kept.free.get_mut(core as usize) else { continue };
        let is_alone = share <= base && i64::from(*free) == i64::from(base - share);
        let keeps = match want <= sum {
            true => share,
            false if share == base || is_alone => base,
            false => 0,
        };
        let keeps = u64::from(keeps).min(left);
        *free = clamped(i64::from(*free) + i64::from(share) - keeps as i64);
        if keeps > 0 {
            kept.cores.insert(core, keeps as u32);
        }
        left -= keeps;
    }
    kept.missing = left;
    kept
}

type Found = (BTreeMap<String, u32>, String);

/// The cores and the NUMA group of the new size; `None` = there is no room.
pub(super) fn replan(node: &NodeSnapshot, held: Holding<'_>, demand: &Demand, cut: &Cut) -> Option<Found> {
    let own: BTreeMap<u32, u32> = held
        .allotment
        .cores
        .iter()
        .filter_map(|(name, pieces)| node.parts.core(name).map(|core| (core as u32, *pieces)))
        .collect();
    let group = node.parts.group(&held.allotment.numa_node).filter(|_| !held.allotment.numa_node.is_empty());
    let memory = demand.resources.memory_request.0;
    let before = held.resources.memory_request.0;
    // A group that it is in already has the memory that it holds.
    let has_memory = group.is_none_or(|group| {
        let free = i128::from(node.free.groups[group]) + i128::from(before);
        memory <= before || i128::from(memory) <= free
    });
    let of_group = |core: usize| group.is_none_or(|group| node.parts.cores()[core].group == Some(group as u16));
    if has_memory
        && !own.is_empty()
        && let Some(cores) = grown(node, &own, cut, of_group)
    {
        let numa_node = group.map(|_| held.allotment.numa_node.clone()).unwrap_or_default();
        return Some((named(node, cores), numa_node));
    }
    afresh(node, held, demand, cut)
}

/// What is kept, and the rest on other cores.
fn grown(
    node: &NodeSnapshot,
    own: &BTreeMap<u32, u32>,
    cut: &Cut,
    of_group: impl Fn(usize) -> bool,
) -> Option<BTreeMap<u32, u32>> {
    let Kept { mut cores, missing, free } = keep(own, &node.free.cores, cut.pieces(), cut.base);
    if missing == 0 {
        return Some(cores);
    }
    let base = u64::from(cut.base);
    let rest = Cut { whole: u32::try_from(missing / base).ok()?, fraction: (missing % base) as u32, ..*cut };
    let mut roles = Roles::default();
    let pool = (0..).zip(free.iter().copied());
    roles.sort(&rest, pool.filter(|(core, _)| of_group(*core as usize) && !cores.contains_key(core)));
    let mut slices: Vec<Slice> = Vec::new();
    if roles.capacity(&rest, numa::cuts_max(&rest, &free)) == 0 {
        return None;
    }
    let (whole_len, _) = roles.take(&rest, 1, &mut slices);
    for (i, slice) in slices.iter().enumerate() {
        cores.insert(slice.core, if i < whole_len { cut.base } else { rest.fraction });
    }
    Some(cores)
}

/// As if it were a new one, on a node that it has left.
fn afresh(node: &NodeSnapshot, held: Holding<'_>, demand: &Demand, cut: &Cut) -> Option<Found> {
    let mut node = node.clone();
    let before = held.resources.memory_request;
    Arc::make_mut(&mut node.free).change(&node.parts, held.allotment, before.0, true);
    node.used.memory.0 = node.used.memory.0.saturating_sub(before.0);
    let mut memory = demand.resources.memory_request.0;
    if memory <= before.0 && node.memory_free() < memory {
        // It only shrinks: on an overbooked node its memory is no question.
        memory = 0;
    }
    let mut found = None;
    numa::Planner::default().plan(&node, cut, memory, Some(1), |part| {
        let pieces = |i: usize| if i < part.whole_len { cut.base } else { cut.fraction };
        let cores = part.slices.iter().enumerate().map(|(i, slice)| (slice.core, pieces(i))).collect();
        let group = part.group.map(|group| node.parts.groups()[usize::from(group)].name.to_string());
        found = Some((cores, group.unwrap_or_default()));
    });
    found.map(|(cores, group)| (named(&node, cores), group))
}

fn named(node: &NodeSnapshot, cores: BTreeMap<u32, u32>) -> BTreeMap<String, u32> {
    cores.into_iter().map(|(core, pieces)| (node.parts.cores()[core as usize].name.to_string(), pieces)).collect()
}
