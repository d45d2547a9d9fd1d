//! What a change makes of the parts of a node: its cores, NUMA nodes and volume devices.

use super::change::moved;
use crate::{
    cluster::{Error, Result},
    record::NodeRecord,
};
use eru_types::{CpuQuota, name::excerpt};
use std::collections::BTreeMap;

/// Most pieces of one core.
pub const SHARE_MAX: u32 = 1_000_000;

/// Changes the memory of NUMA nodes.
pub(super) fn numa_memory(record: &mut NodeRecord, deltas: &BTreeMap<String, i64>) -> Result<()> {
    for (node, delta) in deltas {
        let known = record.numa_memory.contains_key(node);
        match *delta {
            0 if !known => continue,
            ..0 if !known => return Err(not_there(record, "Memory", "NUMA node", node, *delta)),
            _ if !known && !record.numa.values().any(|of| of == node) => {
                return Err(Error::Invalid(format!(
                    "bad `Memory` value: node {}: no core belongs to NUMA node \"{}\", which cannot be given {delta}; say \
                     which cores do (`numa`)",
                    record.name,
                    excerpt(node)
                )));
            }
            _ => {}
        }
        let bytes = record.numa_memory.entry(node.clone()).or_default();
        *bytes = moved(*bytes, *delta, "Memory", &record.name)?;
    }
    Ok(())
}

/// Nothing can be taken from what a node does not have: whoever wants to means another part, or another node.
fn not_there(record: &NodeRecord, kind: &str, what: &str, part: &str, delta: impl std::fmt::Display) -> Error {
    let (name, part) = (&record.name, excerpt(part));
    Error::Invalid(format!(
        "bad `{kind}` value: node {name} has no {what} \"{part}\", from which {delta} is to be taken"
    ))
}

/// Changes the volume devices; answers by how much the storage changes with them.
pub(super) fn volumes(record: &mut NodeRecord, deltas: &BTreeMap<String, i64>) -> Result<i128> {
    let mut storage = 0_i128;
    for (device, delta) in deltas {
        match (record.volumes.get_mut(device), *delta) {
            (Some(size), 0) => {
                storage -= i128::from(*size);
                record.volumes.remove(device);
            }
            (Some(size), delta) => {
                *size = moved(*size, delta, "Volume", &record.name)?;
                storage += i128::from(delta);
            }
            (None, delta) if delta > 0 => {
                record.volumes.insert(device.clone(), delta.unsigned_abs());
                storage += i128::from(delta);
            }
            // Removing what is gone is done.
            (None, 0) => {}
            (None, delta) => return Err(not_there(record, "Volume", "volume", device, delta)),
        }
    }
    Ok(storage)
}

/// Changes the pieces of cores.
pub(super) fn cpu(record: &mut NodeRecord, deltas: &BTreeMap<String, i32>, used: CpuQuota) -> Result<()> {
    for (core, delta) in deltas {
        let pieces = record.cpu.get(core).copied();
        match *delta {
            0 if pieces.is_none() => continue,
            ..0 if pieces.is_none() => return Err(not_there(record, "CPU", "core", core, *delta)),
            _ => {}
        }
        // An engine knows cores by their numbers, and "01" would be core 1 once more.
        if pieces.is_none() && !core.parse::<u32>().is_ok_and(|number| number.to_string() == *core) {
            let text = format!(
                "bad `CPU` value: node {}: a core is called by its number, as in \"8\", got \"{}\"",
                record.name,
                excerpt(core)
            );
            return Err(Error::Invalid(text));
        }
        let sum = i64::from(pieces.unwrap_or(0)) + i64::from(*delta);
        let sum = u32::try_from(sum).ok().filter(|sum| *sum <= SHARE_MAX).ok_or_else(|| {
            let text = format!(
                "bad `CPU` value: node {}: core {core} would have {sum} pieces (0 to {SHARE_MAX})",
                record.name
            );
            Error::Invalid(text)
        })?;
        if sum == 0 {
            record.cpu.remove(core);
        } else {
            record.cpu.insert(core.clone(), sum);
        }
    }
    let max = super::add::CORES_MAX as usize;
    if record.cpu.len() > max {
        let text =
            format!("bad `CPU` value: node {} would have {} cores (at most {max})", record.name, record.cpu.len());
        return Err(Error::Invalid(text));
    }
    // Unbound processor time may be given away more than once, as in the original; only taking the last core while
    // something runs is refused.
    if record.cpu.is_empty() && !deltas.is_empty() && used > CpuQuota(0) {
        let used = used.cores();
        return Err(Error::Precondition(format!("node {}: 0 cores would be below the {used} in use", record.name)));
    }
    Ok(())
}
