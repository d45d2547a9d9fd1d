//! Nodes as the public API spells them.

use crate::cache::NodeView;
use eru_api::pb;
use eru_scheduler::PartsUsed;
use eru_types::MemoryBytes;
use std::collections::BTreeMap;

/// A node with what is left of it. `info` is empty; the lists fill it.
pub(super) fn to_pb(view: &NodeView) -> pb::Node {
    let record = &view.record.record;
    let pieces = |used: &BTreeMap<String, u64>| -> BTreeMap<String, i32> {
        let left = |core: &String, all: u32| u64::from(all).saturating_sub(used.get(core).copied().unwrap_or(0));
        let wire = |pieces: u64| i32::try_from(pieces).unwrap_or(i32::MAX);
        record.cpu.iter().map(|(core, all)| (core.clone(), wire(left(core, *all)))).collect()
    };
    let nothing = PartsUsed::default();
    let on_devices: BTreeMap<String, u64> = view.parts.devices.iter().map(|(name, of)| (name.clone(), of.0)).collect();
    let bytes = |all: &BTreeMap<String, u64>, used: &BTreeMap<String, u64>| -> BTreeMap<String, i64> {
        let left = |name: &String, all: u64| all.saturating_sub(used.get(name).copied().unwrap_or(0));
        all.iter().map(|(name, all)| (name.clone(), MemoryBytes(left(name, *all)).wire())).collect()
    };
    let free = |total: MemoryBytes, used: MemoryBytes| MemoryBytes(total.0.saturating_sub(used.0)).wire();
    pb::Node {
        name: record.name.to_string(),
        endpoint: record.endpoint.clone(),
        podname: record.pod.to_string(),
        init_cpu: pieces(&nothing.cores),
        cpu: pieces(&view.parts.cores),
        cpu_used: view.used.cpu_request.cores(),
        memory: free(record.memory, view.used.memory_request),
        memory_used: view.used.memory_request.wire(),
        init_memory: record.memory.wire(),
        available: view.available(),
        labels: record.labels.as_map().clone(),
        info: String::new(),
        numa: record.numa.clone(),
        numa_memory: bytes(&record.numa_memory, &view.parts.numa_memory),
        init_numa_memory: bytes(&record.numa_memory, &nothing.numa_memory),
        storage: free(record.storage, view.used.storage_request),
        storage_used: view.used.storage_request.wire(),
        init_storage: record.storage.wire(),
        init_volume: bytes(&record.volumes, &BTreeMap::new()),
        volume: bytes(&record.volumes, &on_devices),
        volume_used: MemoryBytes(sum(on_devices.values())).wire(),
        bypass: record.bypass,
        state: view.state().as_str().to_owned(),
        generation: view.verdict.generation,
        runtime: record.runtime.clone(),
        runs_images: record.runs_images,
        state_since_ms: view.state_since_ms,
    }
}

/// What the workloads of a node have been given, as ratios of its totals.
pub(super) fn to_pb_resource(view: &NodeView) -> pb::NodeResource {
    // Of nothing, nothing has been given.
    let ratio = |used: f64, total: f64| if total > 0.0 { used / total } else { 0.0 };
    let record = &view.record.record;
    let used = &view.used;
    pb::NodeResource {
        name: record.name.to_string(),
        cpu_percent: ratio(used.cpu_request.cores(), record.cpu.len() as f64),
        memory_percent: ratio(used.memory_request.0 as f64, record.memory.0 as f64),
        storage_percent: ratio(used.storage_request.0 as f64, record.storage.0 as f64),
        volume_percent: ratio(
            sum(view.parts.devices.values().map(|(bytes, _, _)| bytes)) as f64,
            sum(record.volumes.values()) as f64,
        ),
        diffs: overbooked(view),
    }
}

fn sum<'a>(amounts: impl Iterator<Item = &'a u64>) -> u64 {
    amounts.fold(0, |sum, amount| sum.saturating_add(*amount))
}

/// Where more is given away than there is: a node that was made smaller, or a device of one's own that is shared. What is
/// given away is itself a sum, and cannot differ from what its workloads hold.
fn overbooked(view: &NodeView) -> Vec<String> {
    let (record, used, parts) = (&view.record.record, &view.used, &view.parts);
    let mut diffs = Vec::new();
    let mut check = |what: std::fmt::Arguments<'_>, used: u64, all: u64| {
        if used > all {
            diffs.push(format!("{what}: {used} of {all} are given away"));
        }
    };
    check(format_args!("memory"), used.memory_request.0, record.memory.0);
    check(format_args!("storage"), used.storage_request.0, record.storage.0);
    for (core, pieces) in &parts.cores {
        check(format_args!("cpu {core}"), *pieces, record.cpu.get(core).copied().unwrap_or(0).into());
    }
    for (group, bytes) in &parts.numa_memory {
        check(format_args!("memory of numa node {group}"), *bytes, record.numa_memory.get(group).copied().unwrap_or(0));
    }
    for (device, (bytes, _, _)) in &parts.devices {
        check(format_args!("volume {device}"), *bytes, record.volumes.get(device).copied().unwrap_or(0));
    }
    for (device, (_, users, owners)) in &parts.devices {
        // The monopoly volumes of one workload share a device; what only counts volumes cannot tell them from others'.
        if *owners > 0 && users > owners {
            diffs.push(format!("volume {device}: it is held alone, and {} others are on it", users - owners));
        }
    }
    let volumes = sum(record.volumes.values());
    if record.storage.0 < volumes {
        diffs.push(format!("storage: {} are less than the {volumes} of the volumes", record.storage.0));
    }
    diffs
}
