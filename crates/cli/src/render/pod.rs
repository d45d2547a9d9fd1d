//! Pods.

use super::table::cell;
use super::{clean, table};
use eru_api::pb;

/// `pod list` and `pod add`.
pub fn pods(pods: &[pb::Pod]) -> String {
    table(["NAME", "DESCRIPTION"], pods.iter().map(|pod| [cell(&pod.name), cell(&pod.desc)]).collect(), false)
}

/// `pod resource` and `node resource`.
pub fn resources(resources: &[pb::NodeResource]) -> String {
    let rows = resources.iter().map(|node| {
        let ratios = [node.cpu_percent, node.memory_percent, node.storage_percent, node.volume_percent];
        let [cpu, memory, storage, volume] = ratios.map(|ratio| cell(percent(ratio)));
        [cell(&node.name), cpu, memory, storage, volume, node.diffs.clone()]
    });
    table(["NAME", "CPU", "MEMORY", "STORAGE", "VOLUME", "DIFFS"], rows.collect(), true)
}

/// A ratio in percent. A node without any of a resource uses none of it.
fn percent(ratio: f64) -> String {
    format!("{:.2}%", if ratio.is_nan() { 0.0 } else { ratio * 100.0 })
}

/// Why nodes cannot take any instance.
pub fn reason(reason: &pb::PlacementReason) -> String {
    let plural = if reason.nodes == 1 { "" } else { "s" };
    format!("{} node{plural}: {}", reason.nodes, clean(&reason.text))
}

/// `pod capacity`: the nodes by capacity, the largest first.
pub fn capacity(total: i64, nodes: &[(String, i64)]) -> String {
    let rows = nodes.iter().map(|(name, capacity)| [cell(name), cell(capacity.to_string())]).collect();
    format!("Total: {total}\n{}", table(["NODE", "CAPACITY"], rows, false))
}
