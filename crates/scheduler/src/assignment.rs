//! Which cores and devices the new instances of one node get, told in numbers that do not grow with the instances.

use crate::{
    Free, Parts, Share,
    parts::{clamped, signed},
    resource::cores::Cut,
};
use eru_types::{Allotment, Demand, NodeName, allotment::VolumePlan};
use std::sync::Arc;

/// A core, and how many instances take the same amount of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Slice {
    /// Number of the core in [`Parts::cores`].
    pub core: u32,
    /// How many instances.
    pub times: u32,
}

/// Instances that are cut out of one pool of cores.
///
/// Instance `k` of `n` takes the whole cores at the places `k`, `k + n`, `k + 2n` .. of the row that the whole slices make
/// when each is repeated as often as it says, and the fraction at place `k` of the row of the others. No core is repeated
/// more than `n` times, so the cores of one instance differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CoreRun {
    /// The NUMA group whose memory they take; `None` = none by itself.
    pub group: Option<u16>,
    /// How many instances.
    pub count: u32,
    /// How many of the slices are of whole cores.
    pub whole_len: u32,
    /// Whole cores, then those that give fractions.
    pub slices: Box<[Slice]>,
}

/// A volume's device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Number of the volume in the demand's requests.
    pub volume: u32,
    /// Number of the device in [`Parts::devices`].
    pub device: u32,
    /// Bytes that are taken from it.
    pub bytes: u64,
}

/// Instances whose volumes are on the same devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeRun {
    /// How many instances.
    pub times: u32,
    /// The devices of each scheduled volume.
    pub places: Arc<[Place]>,
}

/// New instances on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Assignment {
    /// The node.
    pub node: NodeName,
    /// How many, above 0.
    pub count: u32,
    /// Their cores; empty = none of their own.
    pub cores: Box<[CoreRun]>,
    /// Their devices; empty = none is chosen.
    pub volumes: Box<[VolumeRun]>,
    /// What the numbers of cores, groups and devices mean.
    pub(crate) parts: Arc<Parts>,
}

impl Assignment {
    /// What each instance holds by name, in their order; equal ones are shared.
    pub(crate) fn allotments(&self, demand: &Demand, share: &Share) -> Vec<Arc<Allotment>> {
        let alike = |run: &VolumeRun| (run.times, Arc::new(self.of_volumes(demand, &run.places)));
        let mut by_volumes: Vec<(u32, Arc<Allotment>)> = self.volumes.iter().map(alike).collect();
        if by_volumes.is_empty() {
            by_volumes.push((self.count, Arc::new(self.of_volumes(demand, &[]))));
        }
        let mut alike = by_volumes.into_iter().flat_map(|(times, a)| std::iter::repeat_n(a, times as usize));
        let Some(cut) = Cut::new(demand.resources.cpu_request, *share).ok().filter(|_| !self.cores.is_empty()) else {
            return alike.collect();
        };
        let mut made = Vec::with_capacity(self.count as usize);
        for run in &self.cores {
            run.each(&cut, |cores| {
                let mut allotment = alike.next().map(|a| Allotment::clone(&a)).unwrap_or_default();
                let name = |core: u32| self.parts.cores()[core as usize].name.to_string();
                allotment.cores = cores.iter().map(|(core, pieces)| (name(*core), *pieces)).collect();
                if let Some(group) = run.group {
                    allotment.numa_node = self.parts.groups()[usize::from(group)].name.to_string();
                }
                made.push(Arc::new(allotment));
            });
        }
        made
    }

    fn of_volumes(&self, demand: &Demand, places: &[Place]) -> Allotment {
        let mut allotment = Allotment {
            volumes_request: demand.volumes_request.clone(),
            volumes_limit: demand.volumes_limit.clone(),
            ..Allotment::default()
        };
        for place in places {
            let device = self.parts.devices()[place.device as usize].name.to_string();
            plan_volume(&mut allotment, place.volume as usize, device, place.bytes);
        }
        allotment
    }

    /// Takes all of it from what is free.
    pub(crate) fn take_from(&self, free: &mut Free, demand: &Demand, share: &Share) {
        if let Ok(cut) = Cut::new(demand.resources.cpu_request, *share) {
            for run in &self.cores {
                run.each_slice(&cut, |core, pieces| {
                    let left = &mut free.cores[core as usize];
                    *left = clamped(i64::from(*left).saturating_sub(signed(pieces)));
                });
                if let Some(group) = run.group {
                    let memory = demand.resources.memory_request.0.saturating_mul(u64::from(run.count));
                    let left = &mut free.groups[usize::from(group)];
                    *left = left.saturating_sub(signed(memory));
                }
            }
        }
        for run in &self.volumes {
            for place in &*run.places {
                let device = &mut free.devices[place.device as usize];
                device.bytes = device.bytes.saturating_sub(signed(place.bytes.saturating_mul(u64::from(run.times))));
                device.users = device.users.saturating_add(run.times);
                if demand.volumes_request[place.volume as usize].is_monopoly() {
                    device.owners = device.owners.saturating_add(run.times);
                }
            }
        }
    }
}

/// Notes where a volume is: what it takes, and that plus the difference to its limit for what it may use.
pub(crate) fn plan_volume(allotment: &mut Allotment, volume: usize, device: String, bytes: u64) {
    let (request, limit) = (&allotment.volumes_request[volume], &allotment.volumes_limit[volume]);
    let most = bytes.saturating_add(limit.size().saturating_sub(request.size()));
    let (request, limit) = (request.to_string(), limit.to_string());
    let note =
        |plan: &mut VolumePlan, volume: String, bytes| plan.entry(volume).or_default().insert(device.clone(), bytes);
    note(&mut allotment.volume_plan_request, request, bytes);
    note(&mut allotment.volume_plan_limit, limit, most);
}

impl CoreRun {
    /// Calls `instance` for each with its cores and their pieces.
    pub(crate) fn each(&self, cut: &Cut, mut instance: impl FnMut(&[(u32, u32)])) {
        let (whole, fractions) = self.slices.split_at(self.whole_len as usize);
        let starts = (0..u64::from(cut.whole)).map(|turn| Cursor::at(whole, turn * u64::from(self.count)));
        let mut cursors: Vec<Cursor> = starts.take(self.slices.len()).collect();
        let mut fraction = Cursor::default();
        let mut cores = Vec::with_capacity(cursors.len() + 1);
        for _ in 0..self.count {
            cores.clear();
            cores.extend(cursors.iter_mut().filter_map(|c| c.next(whole)).map(|core| (core, cut.base)));
            if cut.fraction > 0 {
                cores.extend(fraction.next(fractions).map(|core| (core, cut.fraction)));
            }
            instance(&cores);
        }
    }

    /// Calls `taken` for each core with the pieces that all instances together take of it.
    fn each_slice(&self, cut: &Cut, mut taken: impl FnMut(u32, u64)) {
        for (i, slice) in self.slices.iter().enumerate() {
            let pieces = if i < self.whole_len as usize { cut.base } else { cut.fraction };
            taken(slice.core, u64::from(pieces) * u64::from(slice.times));
        }
    }
}

/// A place in the row that slices make when each is repeated as often as it says.
#[derive(Default)]
struct Cursor {
    slice: usize,
    used: u32,
}

impl Cursor {
    fn at(slices: &[Slice], mut place: u64) -> Self {
        for (i, slice) in slices.iter().enumerate() {
            match place.checked_sub(u64::from(slice.times)) {
                Some(rest) => place = rest,
                None => return Self { slice: i, used: place as u32 },
            }
        }
        Self { slice: slices.len(), used: 0 }
    }

    fn next(&mut self, slices: &[Slice]) -> Option<u32> {
        let slice = slices.get(self.slice)?;
        self.used += 1;
        if self.used >= slice.times {
            *self = Self { slice: self.slice + 1, used: 0 };
        }
        Some(slice.core)
    }
}
