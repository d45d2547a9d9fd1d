//! ReplicaSets.

use super::table;
use super::table::cell;
use eru_api::controller;

/// `replicaset list`.
pub fn replicasets(sets: &[controller::ReplicaSet]) -> String {
    let rows = sets.iter().map(|set| {
        let spec = set.spec.clone().unwrap_or_default();
        let status = set.status.clone().unwrap_or_default();
        let what = vec![format!("{}/{}", spec.appname, spec.entrypoint), spec.image].into_iter();
        [
            cell(spec.name),
            what.filter(|line| !line.is_empty()).collect(),
            cell(spec.podname),
            cell(spec.count.to_string()),
            cell(status.running.to_string()),
            cell(status.healthy.to_string()),
            cell(status.updated.to_string()),
            [phase(set, &status.phase), status.message].into_iter().filter(|line| !line.is_empty()).collect(),
        ]
    });
    table(["NAME", "APP", "POD", "WANT", "RUNNING", "HEALTHY", "UPDATED", "PHASE"], rows.collect(), true)
}

fn phase(set: &controller::ReplicaSet, phase: &str) -> String {
    if set.removing && phase.is_empty() { "removing".into() } else { phase.to_owned() }
}

/// `replicaset get`, `apply` and `scale`: the set and its slots.
pub fn replicaset(set: &controller::ReplicaSet) -> String {
    let rows = set.slots.iter().map(|slot| {
        let networks = slot.networks.iter().map(|(name, address)| format!("{name}: {address}")).collect();
        let healthy = slot.healthy && slot.state != "healthy";
        let state = if healthy { vec![slot.state.clone(), "healthy".into()] } else { cell(&slot.state) };
        [
            cell(slot.slot.to_string()),
            cell(&slot.workload_id),
            cell(&slot.nodename),
            state,
            networks,
            cell(slot.failures.to_string()),
            cell(&slot.reason),
        ]
    });
    let header = ["SLOT", "WORKLOAD", "NODE", "STATE", "NETWORKS", "FAILURES", "REASON"];
    replicasets(std::slice::from_ref(set)) + &table(header, rows.collect(), true)
}
