//! Cores, NUMA groups and devices: every instance has what it asked for, and no part is given away twice.

use super::Fault;
use crate::{Assignment, CoreRun, NodeSnapshot, Request, Slice, resource::cores::Cut};
use std::collections::BTreeSet;

/// The sums of one node, kept from node to node for their room.
pub(super) struct Checker<'a> {
    request: &'a Request,
    cut: Option<Cut>,
    cores: Vec<u64>,
    /// Of each core, the last instance that it was seen in.
    seen: Vec<u32>,
    groups: Vec<u128>,
    devices: Vec<u128>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(request: &'a Request) -> Self {
        let demand = &request.demand;
        let cut = demand.bind.then(|| Cut::new(demand.resources.cpu_request, request.share).ok()).flatten();
        Self { request, cut, cores: Vec::new(), seen: Vec::new(), groups: Vec::new(), devices: Vec::new() }
    }

    pub(super) fn check(&mut self, node: &NodeSnapshot, assignment: &Assignment, faults: &mut Vec<Fault>) {
        if assignment.parts != node.parts {
            faults.push(Fault::Parts { node: node.name.clone(), what: "parts of another node" });
            return;
        }
        if self.request.demand.bind || !assignment.cores.is_empty() {
            self.check_cores(node, assignment, faults);
        }
        if !assignment.volumes.is_empty() || self.request.demand.scheduled().next().is_some() {
            self.check_volumes(node, assignment, faults);
        }
    }

    fn check_cores(&mut self, node: &NodeSnapshot, assignment: &Assignment, faults: &mut Vec<Fault>) {
        let mut wrong = |what| faults.push(Fault::Parts { node: node.name.clone(), what });
        let Some(cut) = self.cut else { return wrong("cores although it asked for none") };
        let instances: u64 = assignment.cores.iter().map(|run| u64::from(run.count)).sum();
        if instances != u64::from(assignment.count) {
            return wrong("no cores, or cores of nobody");
        }
        let cores = node.parts.cores();
        reset(&mut self.cores, cores.len());
        reset(&mut self.seen, cores.len());
        reset(&mut self.groups, node.parts.groups().len());
        let mut instance = 0;
        for run in &assignment.cores {
            if (run.whole_len as usize) > run.slices.len() {
                return wrong("more whole cores than cores");
            }
            if let Some(what) = self.tally(node, run, &cut, &mut instance) {
                return wrong(what);
            }
            if !adds_up(run, &cut) {
                return wrong("other cores than the sum of them says");
            }
            if let Some(group) = run.group {
                let Some(sum) = self.groups.get_mut(usize::from(group)) else { return wrong("memory of no group") };
                *sum += u128::from(self.request.demand.resources.memory_request.0) * u128::from(run.count);
            }
        }
        if self.request.share.cores_max.is_some_and(|max| cuts_too_many(node, assignment, &cut, max as usize)) {
            wrong("more cores cut than may be");
        }
        let fits = |taken: u64, free: i32| taken == 0 || u64::try_from(free).is_ok_and(|free| taken <= free);
        if !self.cores.iter().zip(&node.free.cores).all(|(taken, free)| fits(*taken, *free)) {
            faults.push(Fault::Overbooked { node: node.name.clone(), what: "cores" });
        }
        let fits = |taken: u128, free: i64| taken == 0 || u128::try_from(free).is_ok_and(|free| taken <= free);
        if !self.groups.iter().zip(&node.free.groups).all(|(taken, free)| fits(*taken, *free)) {
            faults.push(Fault::Overbooked { node: node.name.clone(), what: "memory of a NUMA group" });
        }
    }

    /// Adds up a run's cores. Says what is wrong with one of its instances.
    fn tally(&mut self, node: &NodeSnapshot, run: &CoreRun, cut: &Cut, instance: &mut u32) -> Option<&'static str> {
        let mut what = None;
        let cores = node.parts.cores();
        run.each(cut, |held| {
            *instance += 1;
            let mut pieces = 0;
            for (core, taken) in held {
                let Some(seen) = self.seen.get_mut(*core as usize) else {
                    return what = Some("a core that is not there");
                };
                if std::mem::replace(seen, *instance) == *instance {
                    what = Some("one core twice");
                }
                self.cores[*core as usize] += u64::from(*taken);
                pieces += u64::from(*taken);
                if run.group.is_some() && cores[*core as usize].group != run.group {
                    what = Some("a core of another NUMA group than its memory");
                }
            }
            if pieces != cut.pieces() {
                what = Some("more or fewer pieces of cores than it asked for");
            }
        });
        what
    }

    fn check_volumes(&mut self, node: &NodeSnapshot, assignment: &Assignment, faults: &mut Vec<Fault>) {
        let demand = &self.request.demand;
        let mut wrong = |what| faults.push(Fault::Parts { node: node.name.clone(), what });
        let instances: u64 = assignment.volumes.iter().map(|run| u64::from(run.times)).sum();
        if instances != u64::from(assignment.count) {
            return wrong("no volumes, or volumes of nobody");
        }
        reset(&mut self.devices, node.parts.devices().len());
        let mut users = vec![(0u64, 0u64); node.parts.devices().len()];
        for run in &assignment.volumes {
            let mut numbers: Vec<u32> = run.places.iter().map(|place| place.volume).collect();
            numbers.sort_unstable();
            if !numbers.iter().map(|n| *n as usize).eq(demand.scheduled().map(|(number, _)| number)) {
                return wrong("other volumes than it asked for");
            }
            let mut own = None;
            for place in &*run.places {
                let volume = &demand.volumes_request[place.volume as usize];
                let device = place.device as usize;
                let Some(sum) = self.devices.get_mut(device) else { return wrong("a device that is not there") };
                *sum += u128::from(place.bytes) * u128::from(run.times);
                if volume.is_monopoly() {
                    if *own.get_or_insert(device) != device || place.bytes < volume.size() {
                        return wrong("a monopoly volume on two devices, or too small");
                    }
                } else {
                    if place.bytes != volume.size() {
                        return wrong("a volume of another size than it asked for");
                    }
                    users[device].0 += u64::from(run.times);
                }
            }
            if let Some(device) = own {
                users[device].1 += u64::from(run.times);
            }
        }
        for ((taken, (others, owners)), free) in self.devices.iter().zip(users).zip(&node.free.devices) {
            let alone = owners == 0 || (owners == 1 && others == 0 && free.users == 0);
            let invited = free.owners == 0 || (others == 0 && owners == 0);
            if !alone || !invited {
                faults.push(Fault::Parts { node: node.name.clone(), what: "a monopoly volume that is not alone" });
            }
            if *taken > 0 && u128::try_from(free.bytes).map_or(true, |free| *taken > free) {
                faults.push(Fault::Overbooked { node: node.name.clone(), what: "volumes" });
            }
        }
    }
}

/// Whether the slices of a run are as many as its instances take: what is taken from the node is their sum.
fn adds_up(run: &CoreRun, cut: &Cut) -> bool {
    let times = |slices: &[Slice]| slices.iter().map(|slice| u64::from(slice.times)).sum::<u64>();
    let (whole, fractions) = run.slices.split_at(run.whole_len as usize);
    let count = u64::from(run.count);
    times(whole) == count * u64::from(cut.whole) && times(fractions) == if cut.fraction > 0 { count } else { 0 }
}

/// Whether whole cores are cut although there are `max` fragments already, or would be then.
fn cuts_too_many(node: &NodeSnapshot, assignment: &Assignment, cut: &Cut, max: usize) -> bool {
    let free = &node.free.cores;
    let is_fragment = |free: i32| u32::try_from(free).is_ok_and(|free| free > 0 && cut.is_fragment(free));
    let fractions = assignment.cores.iter().flat_map(|run| &run.slices[run.whole_len as usize..]);
    let newly: BTreeSet<u32> =
        fractions.map(|slice| slice.core).filter(|core| !is_fragment(free[*core as usize])).collect();
    !newly.is_empty() && newly.len() + free.iter().filter(|free| is_fragment(**free)).count() > max
}

fn reset<T: Clone + Default>(sums: &mut Vec<T>, len: usize) {
    sums.clear();
    sums.resize(len, T::default());
}
