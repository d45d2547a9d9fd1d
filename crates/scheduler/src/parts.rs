//! The named parts of a node: cores, NUMA groups and volume devices; and what is left of each.

use eru_types::Allotment;
use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A core.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Core {
    /// Its name.
    pub name: Arc<str>,
    /// The pieces that it has; more than a whole core's are over-sold on purpose.
    pub pieces: u32,
    /// Its group's number in [`Parts::groups`].
    pub group: Option<u16>,
}

/// Cores that share memory: a NUMA node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Its name.
    pub name: Arc<str>,
    /// Its memory in bytes; `None` = not known, and nothing is planned for the group by itself.
    pub memory: Option<u64>,
}

/// A directory that volumes are placed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its path.
    pub name: Arc<str>,
    /// Its size in bytes.
    pub bytes: u64,
}

/// What a node consists of. Each list is ordered by name, numbers as numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    cores: Vec<Core>,
    groups: Vec<Group>,
    devices: Vec<Device>,
}

impl Parts {
    /// Of a node's record: core to pieces, core to group, group to bytes, device to bytes. Cores that the second map alone
    /// names are not there.
    pub fn new(
        cores: &BTreeMap<String, u32>,
        numa: &BTreeMap<String, String>,
        numa_memory: &BTreeMap<String, u64>,
        devices: &BTreeMap<String, u64>,
    ) -> Self {
        let named: BTreeSet<&String> =
            numa.iter().filter(|(core, _)| cores.contains_key(*core)).map(|(_, g)| g).collect();
        let group = |name: &String| Group { name: name.as_str().into(), memory: numa_memory.get(name).copied() };
        let mut groups: Vec<Group> = named.into_iter().map(group).collect();
        groups.sort_by(|a, b| natural(&a.name, &b.name));
        // A number of a group is two bytes; no machine has as many.
        groups.truncate(usize::from(u16::MAX));
        let group = |core: &String| {
            let name = numa.get(core)?;
            let number = groups.binary_search_by(|group| natural(&group.name, name)).ok()?;
            u16::try_from(number).ok()
        };
        let core =
            |(name, pieces): (&String, &u32)| Core { name: name.as_str().into(), pieces: *pieces, group: group(name) };
        let device = |(name, bytes): (&String, &u64)| Device { name: name.as_str().into(), bytes: *bytes };
        let mut cores: Vec<Core> = cores.iter().map(core).collect();
        cores.sort_by(|a, b| natural(&a.name, &b.name));
        let mut devices: Vec<Device> = devices.iter().map(device).collect();
        devices.sort_by(|a, b| natural(&a.name, &b.name));
        Self { cores, groups, devices }
    }

    /// The cores.
    pub fn cores(&self) -> &[Core] {
        &self.cores
    }

    /// The groups that have cores.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The devices.
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// The number of a core.
    pub fn core(&self, name: &str) -> Option<usize> {
        self.cores.binary_search_by(|core| natural(&core.name, name)).ok()
    }

    /// The number of a group.
    pub fn group(&self, name: &str) -> Option<usize> {
        self.groups.binary_search_by(|group| natural(&group.name, name)).ok()
    }

    /// The number of a device.
    pub fn device(&self, name: &str) -> Option<usize> {
        self.devices.binary_search_by(|device| natural(&device.name, name)).ok()
    }
}

/// The order of names: numbers by their value and before words, so that core 10 comes after core 2.
fn natural(a: &str, b: &str) -> Ordering {
    match (a.parse::<u64>(), b.parse::<u64>()) {
        (Ok(x), Ok(y)) => x.cmp(&y).then_with(|| a.cmp(b)),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => a.cmp(b),
    }
}

/// What the placements of a node hold of its parts: their sum.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PartsUsed {
    /// Core to pieces.
    pub cores: BTreeMap<String, u64>,
    /// Group to bytes of memory.
    pub numa_memory: BTreeMap<String, u64>,
    /// Device to bytes, the number of volumes on it, and how many of them want it for themselves.
    pub devices: BTreeMap<String, (u64, u32, u32)>,
}

/// What is left of a device.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DeviceFree {
    /// Bytes; negative when it was shrunk below what is given away.
    pub bytes: i64,
    /// Volumes on it, those without a size among them.
    pub users: u32,
    /// How many of them want it for themselves.
    pub owners: u32,
}

/// What is left of a node's parts, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Free {
    /// Of each core, pieces; negative when it was shrunk below what is given away.
    pub cores: Vec<i32>,
    /// Of each group, bytes of memory.
    pub groups: Vec<i64>,
    /// Of each device.
    pub devices: Vec<DeviceFree>,
}

impl Free {
    /// Of `parts`, when `used` is given away. What has no part any more counts nowhere.
    pub fn new(parts: &Parts, used: &PartsUsed) -> Self {
        let cores = parts.cores().iter().map(|core| {
            let used = used.cores.get(&*core.name).map_or(0, |pieces| i64::try_from(*pieces).unwrap_or(i64::MAX));
            clamped(i64::from(core.pieces).saturating_sub(used))
        });
        let groups = parts.groups().iter().map(|group| {
            let used = used.numa_memory.get(&*group.name).copied().unwrap_or(0);
            left(group.memory.unwrap_or(0), used)
        });
        let devices = parts.devices().iter().map(|device| {
            let (bytes, users, owners) = used.devices.get(&*device.name).copied().unwrap_or_default();
            DeviceFree { bytes: left(device.bytes, bytes), users, owners }
        });
        Self { cores: cores.collect(), groups: groups.collect(), devices: devices.collect() }
    }

    /// Takes what one workload holds, or gives it back.
    pub(crate) fn change(&mut self, parts: &Parts, held: &Allotment, memory: u64, give_back: bool) {
        let sign = |amount: i64| if give_back { amount } else { -amount };
        for (name, pieces) in &held.cores {
            if let Some(core) = parts.core(name) {
                self.cores[core] = clamped(i64::from(self.cores[core]) + sign(i64::from(*pieces)));
            }
        }
        if let Some(group) = parts.group(&held.numa_node).filter(|_| !held.numa_node.is_empty()) {
            self.groups[group] = self.groups[group].saturating_add(sign(signed(memory)));
        }
        for volume in held.volumes_request.iter().filter(|volume| volume.is_scheduled()) {
            for (name, bytes) in held.volume_plan_request.get(&volume.to_string()).into_iter().flatten() {
                let Some(device) = parts.device(name) else { continue };
                let device = &mut self.devices[device];
                device.bytes = device.bytes.saturating_add(sign(signed(*bytes)));
                let owner = u32::from(volume.is_monopoly());
                if give_back {
                    device.users = device.users.saturating_sub(1);
                    device.owners = device.owners.saturating_sub(owner);
                } else {
                    device.users = device.users.saturating_add(1);
                    device.owners = device.owners.saturating_add(owner);
                }
            }
        }
    }
}

/// An amount with a sign; what does not fit is the largest that does.
pub(crate) fn signed(amount: u64) -> i64 {
    i64::try_from(amount).unwrap_or(i64::MAX)
}

/// Pieces with a sign; what does not fit is the nearest that does.
pub(crate) fn clamped(pieces: i64) -> i32 {
    i32::try_from(pieces).unwrap_or(if pieces < 0 { i32::MIN } else { i32::MAX })
}

fn left(total: u64, used: u64) -> i64 {
    signed(total).saturating_sub(signed(used))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_ordered_as_numbers() {
        let cores = ["10", "2", "x", "1"].map(|name| (name.to_owned(), 100)).into();
        let numa = [("2", "1"), ("1", "0"), ("77", "9")].map(|(c, g)| (c.to_owned(), g.to_owned())).into();
        let parts = Parts::new(&cores, &numa, &[("1".to_owned(), 5)].into(), &BTreeMap::new());
        let names: Vec<&str> = parts.cores().iter().map(|core| &*core.name).collect();
        assert_eq!(names, ["1", "2", "10", "x"]);
        assert_eq!(parts.core("10"), Some(2));
        assert_eq!(parts.core("77"), None, "a core that only the map names is not there");
        assert_eq!(parts.groups().len(), 2);
        assert_eq!(parts.groups()[1].memory, Some(5));
        assert_eq!(parts.cores()[1].group, Some(1));
    }

    #[test]
    fn what_was_shrunk_below_its_use_is_negative() {
        let parts = Parts::new(&[("0".to_owned(), 100)].into(), &[].into(), &[].into(), &[("/d".to_owned(), 9)].into());
        let used = PartsUsed {
            cores: [("0".to_owned(), u64::MAX), ("1".to_owned(), 5)].into(),
            devices: [("/d".to_owned(), (u64::MAX, 1, 0))].into(),
            ..PartsUsed::default()
        };
        let free = Free::new(&parts, &used);
        assert!(free.cores[0] < 0 && free.devices[0].bytes < 0);
    }
}
