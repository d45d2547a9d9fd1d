//! Statuses.

use super::table;
use super::table::cell;
use eru_api::pb;
use serde_json::Value;
use std::collections::BTreeMap;

/// `workload get-status` and `workload set-status`. A workload that nobody has reported has an empty id here.
pub fn statuses(statuses: &[pb::WorkloadStatus]) -> String {
    let rows = statuses.iter().map(|status| {
        let state = vec![format!("Running: {}", status.running), format!("Healthy: {}", status.healthy)];
        let networks = status.networks.iter().map(|(name, address)| format!("{name}: {address}")).collect();
        [cell(&status.id), state, networks, extensions(&status.extension)]
    });
    table(["ID", "STATUS", "NETWORKS", "EXTENSIONS"], rows.collect(), true)
}

/// The labels that the extension holds, by key; an extension that is something else is shown as it is.
fn extensions(extension: &[u8]) -> Vec<String> {
    match serde_json::from_slice(extension) {
        _ if extension.is_empty() => Vec::new(),
        Ok(Value::Object(labels)) => {
            let line = |(key, value): (&String, &Value)| match value {
                Value::String(text) => format!("{key}: {text}"),
                other => format!("{key}: {other}"),
            };
            // By key whatever order the reporter chose, or the layout would change from report to report.
            let sorted: BTreeMap<&String, &Value> = labels.iter().collect();
            sorted.into_iter().map(line).collect()
        }
        _ => cell(String::from_utf8_lossy(extension)),
    }
}
