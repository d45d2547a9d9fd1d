//! Bound cores of a node with its memory: NUMA group by group first, then across them.
//!
//! An instance whose cores are all of one group takes its memory from that group. What is left of all cores and of the
//! node's memory after the groups is used across: such an instance is pinned to no group's memory.

use super::{
    cores::{Cut, Roles},
    cpu::Cores,
    share,
};
use crate::{
    NodeSnapshot, Slice,
    reason::{Cause, ReasonKind},
};
use eru_types::Resources;

/// A number of instances that share a pool of cores.
pub(crate) struct Part<'a> {
    /// The group whose memory they take.
    pub(crate) group: Option<u16>,
    pub(crate) count: u64,
    /// The cores they take; the first `whole_len` are whole ones.
    pub(crate) slices: &'a [Slice],
    pub(crate) whole_len: usize,
}

/// The room to work in, kept from node to node.
#[derive(Default)]
pub(crate) struct Planner {
    roles: Roles,
    slices: Vec<Slice>,
    free: Vec<i32>,
}

impl Planner {
    /// Places up to `want` instances and hands out which cores they take; `None` = only counts how many there is room for.
    /// Returns their number.
    pub(crate) fn plan(
        &mut self,
        node: &NodeSnapshot,
        cut: &Cut,
        memory: u64,
        want: Option<u64>,
        mut each: impl FnMut(Part<'_>),
    ) -> u64 {
        let cores = &node.free.cores;
        let most = want.unwrap_or(super::UNLIMITED);
        let mut memory_left = node.memory_free();
        let mut cuts_left = cuts_max(cut, cores);
        if node.parts.groups().iter().all(|group| group.memory.is_none()) {
            self.roles.sort(cut, (0..).zip(cores.iter().copied()));
            let count = self.roles.capacity(cut, cuts_left).min(share(memory_left, memory)).min(most);
            if want.is_some() && count > 0 {
                self.slices.clear();
                let (whole_len, _) = self.roles.take(cut, count, &mut self.slices);
                each(Part { group: None, count, slices: &self.slices, whole_len });
            }
            return count;
        }
        self.free.clone_from(cores);
        let mut placed = 0;
        let groups = node.parts.groups().iter().zip(&node.free.groups).enumerate();
        let known = groups.filter(|(_, (group, _))| group.memory.is_some());
        let pools = known.map(|(number, (_, free))| (Some(number as u16), u64::try_from(*free).unwrap_or(0)));
        for (group, group_memory) in pools.chain([(None, u64::MAX)]) {
            let pool = node.parts.cores().iter().zip(&self.free).zip(0..);
            let pool = pool.filter(|((core, _), _)| group.is_none() || core.group == group);
            self.roles.sort(cut, pool.map(|((_, free), number)| (number, *free)));
            let room = share(memory_left.min(group_memory), memory);
            let count = self.roles.capacity(cut, cuts_left).min(room).min(most - placed);
            if count == 0 {
                continue;
            }
            self.slices.clear();
            let (whole_len, cuts) = self.roles.take(cut, count, &mut self.slices);
            for (i, slice) in self.slices.iter().enumerate() {
                let each = if i < whole_len { cut.base } else { cut.fraction };
                // At most what was free, which fits.
                self.free[slice.core as usize] -= (slice.times * each) as i32;
            }
            memory_left -= memory * count;
            cuts_left = cuts_left.saturating_sub(cuts);
            placed += count;
            each(Part { group, count, slices: &self.slices, whole_len });
        }
        placed
    }
}

/// How many whole cores may be cut: as many as may be, without those that are.
pub(crate) fn cuts_max(cut: &Cut, cores: &[i32]) -> usize {
    if cut.cores_max == usize::MAX {
        return usize::MAX;
    }
    let is_fragment = |free: &&i32| u32::try_from(**free).is_ok_and(|free| free > 0 && cut.is_fragment(free));
    cut.cores_max.saturating_sub(cores.iter().filter(is_fragment).count())
}

/// Why a node has no room for one instance, although it has the memory.
pub(super) fn cause(node: &NodeSnapshot, resources: &Resources) -> Cause {
    let cores = Cores(resources.cpu_request.0);
    if node.parts.groups().iter().all(|group| group.memory.is_none()) {
        Cause::new(ReasonKind::BoundCores, format!("no {cores} free cores"))
    } else {
        Cause::new(ReasonKind::NumaCores, format!("no {cores} free cores in one NUMA group"))
    }
}

pub(crate) fn nothing_left(resources: &Resources) -> String {
    format!(
        "no node remains {:.2} pieces of cpu and {} bytes of memory at the same time: not enough resource",
        resources.cpu_request.cores(),
        resources.memory_request
    )
}
