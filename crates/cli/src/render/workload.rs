//! Workloads.

use super::table::cell;
use super::{list, map, table, volume_plan};
use eru_api::pb;
use serde::Serialize;

/// `workload list` and `node workloads`.
pub fn workloads(workloads: &[pb::Workload]) -> String {
    render(workloads, |_| Vec::new())
}

/// `workload get`: as the list, and how each ended, if it did.
pub fn workload_details(workloads: &[pb::Workload]) -> String {
    render(workloads, details)
}

fn render(workloads: &[pb::Workload], more: fn(&pb::Workload) -> Vec<String>) -> String {
    let rows = workloads.iter().map(|workload| {
        let name = [&workload.name, &workload.id, &workload.podname, &workload.nodename].map(String::clone).to_vec();
        let mut status = resource(workload);
        status.extend(more(workload));
        [name, status, volumes(workload), networks(workload)]
    });
    table(["NAME/ID/POD/NODE", "STATUS", "VOLUME", "NETWORKS"], rows.collect(), true)
}

fn resource(workload: &pb::Workload) -> Vec<String> {
    let none = pb::Resource::default();
    let resource = workload.resource.as_ref().unwrap_or(&none);
    vec![
        format!("CPUQuotaRequest: {:.6}", resource.cpu_quota_request),
        format!("CPUQuotaLimit: {:.6}", resource.cpu_quota_limit),
        format!("CPUMap: {}", map(&resource.cpu)),
        format!("MemoryRequest: {}", resource.memory_request),
        format!("MemoryLimit: {}", resource.memory_limit),
        format!("StorageRequest: {}", resource.storage_request),
        format!("StorageLimit: {}", resource.storage_limit),
        format!("Privileged: {}", workload.privileged),
    ]
}

/// What the original does not know: only lines that say something, so that its layout stays where there is nothing.
fn details(workload: &pb::Workload) -> Vec<String> {
    let mut lines = Vec::new();
    // Who has exited says so with its exit code, below.
    if !matches!(workload.state.as_str(), "" | "running" | "exited") {
        lines.push(format!("State: {}", workload.state));
    }
    let Some(status) = &workload.status else { return lines };
    if let Some(exit) = &status.exit {
        let signal = if exit.signal == 0 { String::new() } else { format!(", signal {}", exit.signal) };
        let oom = if exit.oom_killed { ", out of memory" } else { "" };
        lines.push(format!("ExitCode: {}{signal}{oom}", exit.code));
    }
    if !status.reason.is_empty() {
        lines.push(format!("Reason: {}", status.reason));
    }
    if status.restarts > 0 {
        lines.push(format!("Restarts: {}", status.restarts));
    }
    if !status.last_lines.is_empty() {
        lines.push("LastLines:".into());
        lines.extend(status.last_lines.iter().map(|line| format!("  {}", line.trim_end())));
    }
    lines
}

fn volumes(workload: &pb::Workload) -> Vec<String> {
    let none = pb::Resource::default();
    let resource = workload.resource.as_ref().unwrap_or(&none);
    vec![
        format!("VolumesRequest: {}", list(&resource.volumes_request)),
        format!("VolumesLimit: {}", list(&resource.volumes_limit)),
        format!("VolumePlanRequest: {}", volume_plan(&resource.volume_plan_request)),
        format!("VolumePlanLimit: {}", volume_plan(&resource.volume_plan_limit)),
    ]
}

/// Published addresses where there are, else the plain address, of each network in the status.
fn networks(workload: &pb::Workload) -> Vec<String> {
    let mut lines = Vec::new();
    for (network, address) in workload.status.iter().flat_map(|status| &status.networks) {
        let published = workload.publish.get(network).map_or(address.as_str(), String::as_str);
        let mut addresses = published.split(',');
        let first = format!("{network}: {}", addresses.next().unwrap_or_default());
        let width = first.chars().count();
        lines.push(first);
        lines.extend(addresses.map(|address| format!("{address:>width$}")));
    }
    lines
}

/// Sums over workloads, with the JSON keys of the original.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Statistics {
    /// Processor time that is set aside, cores.
    #[serde(rename = "CPUs")]
    pub cpus: f64,
    /// Memory that is set aside, bytes.
    #[serde(rename = "Memory")]
    pub memory: i64,
    /// Storage that is set aside, bytes.
    #[serde(rename = "Storage")]
    pub storage: i64,
}

impl Statistics {
    /// The sums over `workloads`.
    pub fn of(workloads: &[pb::Workload]) -> Self {
        let mut sums = Self::default();
        for resource in workloads.iter().filter_map(|workload| workload.resource.as_ref()) {
            sums.cpus += resource.cpu_quota_request;
            sums.memory = sums.memory.saturating_add(resource.memory_request);
            sums.storage = sums.storage.saturating_add(resource.storage_request);
        }
        sums
    }
}

/// `workload list --statistics`.
pub fn statistics(sums: &Statistics) -> String {
    let row = [cell(format!("{:.6}", sums.cpus)), cell(sums.memory.to_string()), cell(sums.storage.to_string())];
    table(["CPUS", "MEMORY", "STORAGE"], vec![row], false)
}
