//! Nodes as the public API spells them.

use crate::cache::NodeView;
use eru_api::pb;
use eru_types::MemoryBytes;
use std::collections::BTreeMap;

/// A node with what is left of it. `info` is empty; the lists fill it.
pub(super) fn to_pb(view: &NodeView) -> pb::Node {
    let record = &view.record.record;
    let cpu: BTreeMap<String, i32> =
        record.cpu.iter().map(|(core, pieces)| (core.clone(), i32::try_from(*pieces).unwrap_or(i32::MAX))).collect();
    let bytes = |map: &BTreeMap<String, u64>| -> BTreeMap<String, i64> {
        map.iter().map(|(key, bytes)| (key.clone(), MemoryBytes(*bytes).wire())).collect()
    };
    let free = |total: MemoryBytes, used: MemoryBytes| MemoryBytes(total.0.saturating_sub(used.0)).wire();
    pb::Node {
        name: record.name.to_string(),
        endpoint: record.endpoint.clone(),
        podname: record.pod.to_string(),
        init_cpu: cpu.clone(),
        // No workload has cores of its own yet, so every piece is free.
        cpu,
        cpu_used: view.used.cpu_request.cores(),
        memory: free(record.memory, view.used.memory_request),
        memory_used: view.used.memory_request.wire(),
        init_memory: record.memory.wire(),
        available: view.available(),
        labels: record.labels.as_map().clone(),
        info: String::new(),
        numa: record.numa.clone(),
        numa_memory: bytes(&record.numa_memory),
        init_numa_memory: bytes(&record.numa_memory),
        storage: free(record.storage, view.used.storage_request),
        storage_used: view.used.storage_request.wire(),
        init_storage: record.storage.wire(),
        init_volume: bytes(&record.volumes),
        volume: bytes(&record.volumes),
        volume_used: 0,
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
        volume_percent: 0.0,
        diffs: Vec::new(),
    }
}
