//! Sums of resources that can be taken back exactly.

use crate::record::Placement;
use eru_scheduler::PartsUsed;
use eru_types::{Allotment, CpuQuota, MemoryBytes, Resources};
use std::collections::BTreeMap;

/// The resources of many placements. Wide enough that no number of them overflows it, so that what was added can always
/// be taken away again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Sum([u128; 6]);

fn parts(r: &Resources) -> [u64; 6] {
    [r.cpu_request.0, r.cpu_limit.0, r.memory_request.0, r.memory_limit.0, r.storage_request.0, r.storage_limit.0]
}

impl Sum {
    pub(crate) fn add(&mut self, resources: &Resources) {
        for (sum, part) in self.0.iter_mut().zip(parts(resources)) {
            *sum += u128::from(part);
        }
    }

    pub(crate) fn take(&mut self, resources: &Resources) {
        for (sum, part) in self.0.iter_mut().zip(parts(resources)) {
            *sum = sum.checked_sub(u128::from(part)).expect("only what was added is taken away");
        }
    }

    /// The sum; what does not fit is the largest that does.
    pub(crate) fn resources(&self) -> Resources {
        let [cpu_request, cpu_limit, memory_request, memory_limit, storage_request, storage_limit] =
            self.0.map(|sum| u64::try_from(sum).unwrap_or(u64::MAX));
        Resources {
            cpu_request: CpuQuota(cpu_request),
            cpu_limit: CpuQuota(cpu_limit),
            memory_request: MemoryBytes(memory_request),
            memory_limit: MemoryBytes(memory_limit),
            storage_request: MemoryBytes(storage_request),
            storage_limit: MemoryBytes(storage_limit),
        }
    }
}

/// What is taken of a device: bytes, volumes on it, and how many of them want it for themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Device {
    bytes: u128,
    users: u32,
    owners: u32,
}

/// The cores, the NUMA memory and the devices of many placements, by name. What is not taken any more is not named.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PartsSum {
    cores: BTreeMap<String, u128>,
    numa_memory: BTreeMap<String, u128>,
    devices: BTreeMap<String, Device>,
}

impl PartsSum {
    pub(crate) fn add(&mut self, placement: &Placement) {
        let Some(held) = placement.taken_parts() else { return };
        for (core, pieces) in &held.cores {
            *self.cores.entry(core.clone()).or_default() += u128::from(*pieces);
        }
        if !held.numa_node.is_empty() {
            let memory = u128::from(placement.resources.memory_request.0);
            *self.numa_memory.entry(held.numa_node.clone()).or_default() += memory;
        }
        for (device, bytes, owner) in on_devices(held) {
            let sum = self.devices.entry(device.clone()).or_default();
            sum.bytes += u128::from(bytes);
            sum.users += 1;
            sum.owners += u32::from(owner);
        }
    }

    pub(crate) fn take(&mut self, placement: &Placement) {
        const TAKEN: &str = "only what was added is taken away";
        let Some(held) = placement.taken_parts() else { return };
        for (core, pieces) in &held.cores {
            let sum = self.cores.get_mut(core).expect(TAKEN);
            *sum = sum.checked_sub(u128::from(*pieces)).expect(TAKEN);
        }
        self.cores.retain(|_, sum| *sum > 0);
        if !held.numa_node.is_empty() {
            let sum = self.numa_memory.get_mut(&held.numa_node).expect(TAKEN);
            *sum = sum.checked_sub(u128::from(placement.resources.memory_request.0)).expect(TAKEN);
            self.numa_memory.retain(|_, sum| *sum > 0);
        }
        for (device, bytes, owner) in on_devices(held) {
            let sum = self.devices.get_mut(device).expect(TAKEN);
            sum.bytes = sum.bytes.checked_sub(u128::from(bytes)).expect(TAKEN);
            sum.users = sum.users.checked_sub(1).expect(TAKEN);
            sum.owners = sum.owners.checked_sub(u32::from(owner)).expect(TAKEN);
        }
        self.devices.retain(|_, sum| sum.users > 0);
    }

    /// The sum; what does not fit is the largest that does.
    pub(crate) fn used(&self) -> PartsUsed {
        let fit = |sum: u128| u64::try_from(sum).unwrap_or(u64::MAX);
        let named = |sums: &BTreeMap<String, u128>| sums.iter().map(|(name, sum)| (name.clone(), fit(*sum))).collect();
        let devices = self.devices.iter().map(|(name, d)| (name.clone(), (fit(d.bytes), d.users, d.owners)));
        PartsUsed { cores: named(&self.cores), numa_memory: named(&self.numa_memory), devices: devices.collect() }
    }
}

/// The scheduled volumes of a placement: device, bytes, and whether it is wanted alone.
fn on_devices(held: &Allotment) -> impl Iterator<Item = (&String, u64, bool)> {
    let scheduled = held.volumes_request.iter().filter(|volume| volume.is_scheduled());
    scheduled.flat_map(|volume| {
        let devices = held.volume_plan_request.get(&volume.to_string()).into_iter().flatten();
        devices.map(|(device, bytes)| (device, *bytes, volume.is_monopoly()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_can_be_taken_away() {
        let small = Resources { memory_request: MemoryBytes(5), ..Resources::default() };
        let huge = Resources { memory_request: MemoryBytes(u64::MAX), ..Resources::default() };
        let mut sum = Sum::default();
        sum.add(&small);
        sum.add(&huge);
        sum.add(&huge);
        assert_eq!(sum.resources(), huge, "what does not fit is the largest that does");
        sum.take(&huge);
        sum.take(&huge);
        assert_eq!(sum.resources(), small);
    }
}
