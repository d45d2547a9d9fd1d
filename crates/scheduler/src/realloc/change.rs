//! From what a workload holds, by differences, to what it is to hold.

use super::Holding;
use crate::{Refusal, RefusalKind};
use eru_types::{
    CpuQuota, Demand, MemoryBytes, Resources, Volume,
    name::excerpt,
    volume::{VOLUMES_LEN_MAX, VolumeDelta},
};

/// Whether the workload is to have cores of its own.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Bind {
    /// As before.
    #[default]
    Keep,
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// Differences to what a workload holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Change {
    /// Millionths of a core.
    pub cpu_request: i64,
    /// Millionths of a core.
    pub cpu_limit: i64,
    /// Bytes.
    pub memory_request: i64,
    /// Bytes.
    pub memory_limit: i64,
    /// Bytes, without those of the volumes.
    pub storage_request: i64,
    /// Bytes, without those of the volumes.
    pub storage_limit: i64,
    /// Cores of its own.
    pub bind: Bind,
    /// What is added to the sizes of volumes, and volumes that are new.
    pub volumes_request: Vec<VolumeDelta>,
    /// The same of their limits.
    pub volumes_limit: Vec<VolumeDelta>,
}

/// What the workload is to hold.
///
/// # Errors
/// An amount would be below zero or too large, or the volumes do not go together.
pub fn changed(held: Holding<'_>, change: &Change) -> Result<Demand, Refusal> {
    let (now, volumes) = (held.resources, held.allotment);
    // The storage that is held has the sizes of the volumes in it; the new sizes are added when the demand is made.
    let plain = |storage: MemoryBytes, volumes: &[Volume]| {
        volumes.iter().fold(storage.0, |left, volume| left.saturating_sub(volume.size()))
    };
    let storage_request = plain(now.storage_request, &volumes.volumes_request);
    let storage_limit = plain(now.storage_limit, &volumes.volumes_limit);
    let resources = Resources {
        cpu_request: CpuQuota(add("CPU", now.cpu_request.0, change.cpu_request)?),
        cpu_limit: CpuQuota(add("CPU", now.cpu_limit.0, change.cpu_limit)?),
        memory_request: MemoryBytes(add("Memory", now.memory_request.0, change.memory_request)?),
        memory_limit: MemoryBytes(add("Memory", now.memory_limit.0, change.memory_limit)?),
        storage_request: MemoryBytes(add("Storage", storage_request, change.storage_request)?),
        storage_limit: MemoryBytes(add("Storage", storage_limit, change.storage_limit)?),
    };
    let bind = match change.bind {
        Bind::Keep => !volumes.cores.is_empty(),
        Bind::Yes => true,
        Bind::No => false,
    };
    let requests = merge(&volumes.volumes_request, &change.volumes_request)?;
    let limits = merge(&volumes.volumes_limit, &change.volumes_limit)?;
    Demand::new(resources, bind, requests, limits).map_err(|error| invalid(error.to_string()))
}

fn invalid(text: String) -> Refusal {
    Refusal::new(RefusalKind::Invalid, text)
}

fn add(kind: &str, now: u64, difference: i64) -> Result<u64, Refusal> {
    let sum = i128::from(now) + i128::from(difference);
    if sum < 0 {
        let text = format!("limit or request less than 0: bad `{kind}` value: {now} and {difference} are {sum}");
        return Err(invalid(text));
    }
    match i64::try_from(sum) {
        Ok(sum) => Ok(sum.unsigned_abs()),
        Err(_) => Err(invalid(format!("bad `{kind}` value: {now} and {difference} are more than {}", i64::MAX))),
    }
}

/// Sizes are added up by volume. One whose size comes to nothing or below is gone.
fn merge(held: &[Volume], changes: &[VolumeDelta]) -> Result<Vec<Volume>, Refusal> {
    if changes.len() > VOLUMES_LEN_MAX {
        let text = format!("bad `Volume` value: at most {VOLUMES_LEN_MAX} volumes are changed, got {}", changes.len());
        return Err(invalid(text));
    }
    let mut merged: Vec<(Volume, i128)> =
        held.iter().map(|volume| (volume.clone(), i128::from(volume.size()))).collect();
    for change in changes {
        match merged.iter_mut().find(|(volume, _)| volume.is_same(&change.volume)) {
            Some((_, size)) => *size += i128::from(change.size),
            None if change.size < 0 => {
                let volume = excerpt(&change.volume.to_string());
                let text = format!("bad `Volume` value: {volume} is not there to be made smaller");
                return Err(invalid(text));
            }
            None => merged.push((change.volume.clone(), i128::from(change.size))),
        }
    }
    let mut sized = Vec::with_capacity(merged.len());
    for (volume, size) in merged {
        let had_a_size = held.iter().any(|held| held.is_same(&volume) && held.size() > 0);
        let without_device = volume.is_monopoly() && size == 0;
        if size < 0 || (size == 0 && had_a_size) || without_device {
            continue;
        }
        match u64::try_from(size).ok().filter(|size| i64::try_from(*size).is_ok()) {
            Some(size) => sized.push(volume.with_size(size)),
            None => {
                let volume = excerpt(&volume.to_string());
                return Err(invalid(format!("bad `Volume` value: {volume} would be of {size} bytes")));
            }
        }
    }
    Ok(sized)
}
