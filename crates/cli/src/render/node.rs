//! Nodes.

use super::table;
use super::table::cell;
use eru_api::pb;
use std::collections::BTreeMap;

/// `pod nodes`, `node add` and, with `info`, `node get`.
pub fn nodes(nodes: &[pb::Node], info: bool) -> String {
    let columns = |node: &pb::Node| [cell(&node.name), cell(&node.endpoint), status(node), resources(node)];
    if !info {
        return table(["NAME", "ENDPOINT", "STATUS", "RESOURCES"], nodes.iter().map(columns).collect(), true);
    }
    let rows = nodes.iter().map(|node| {
        let [name, endpoint, status, resources] = columns(node);
        [name, endpoint, status, resources, info_and_labels(node)]
    });
    table(["NAME", "ENDPOINT", "STATUS", "RESOURCES", "INFO"], rows.collect(), true)
}

/// The original shows no labels: they stand below the info of nodes that have some.
fn info_and_labels(node: &pb::Node) -> Vec<String> {
    let labels: BTreeMap<&String, &String> = node.labels.iter().collect();
    let info = (labels.is_empty() || !node.info.is_empty()).then(|| cell(&node.info));
    let labels = labels.into_iter().flat_map(|(key, value)| cell(format!("label {key}={value}")));
    info.into_iter().flatten().chain(labels).collect()
}

fn status(node: &pb::Node) -> Vec<String> {
    let word = if node.available && !node.bypass { "UP" } else { "DOWN" };
    let mut lines = vec![word.to_owned(), format!("bypass {}", node.bypass), format!("available {}", node.available)];
    // States that the original does not have.
    if matches!(node.state.as_str(), "lost" | "unwatched") {
        lines.push(node.state.clone());
    }
    lines
}

fn resources(node: &pb::Node) -> Vec<String> {
    let volume: i64 = node.init_volume.values().fold(0, |sum, bytes| sum.saturating_add(*bytes));
    vec![
        format!("CPU: {:.2}/{}", node.cpu_used, node.init_cpu.len()),
        format!("Mem: {}/{} bytes", node.memory_used, node.init_memory),
        format!("Vol: {} / {volume} bytes", node.volume_used),
        format!("Storage: {} / {} bytes", node.storage_used, node.init_storage),
    ]
}
