//! Workloads and their status as the public API spells them.

use super::WorkloadView;
use crate::record::PlacementState;
use bytes::Bytes;
use eru_api::pb;
use eru_runtime::RuntimeKind;
use eru_types::{Allotment, ExitStatus, MemoryBytes, Resources, Volume, labels, meta::Meta};
use std::collections::BTreeMap;

/// The workload, with its shown status.
///
/// `status` is never left out: it is an empty message when there is no report. What an agent said of app, node,
/// entrypoint and ttl is not returned.
pub fn to_pb_workload(view: &WorkloadView) -> pb::Workload {
    workload_with(view, to_pb_status(view))
}

/// The same, of a status that was already converted.
pub(crate) fn workload_with(view: &WorkloadView, status: pb::WorkloadStatus) -> pb::Workload {
    let placement = &view.placement.record;
    let spec = &placement.spec;
    pb::Workload {
        id: placement.engine_id.as_ref().map(ToString::to_string).unwrap_or_default(),
        podname: placement.pod.to_string(),
        nodename: placement.node.to_string(),
        name: placement.name.to_string(),
        privileged: spec.privileged,
        labels: spec.labels.as_map().clone(),
        publish: publish(view, &status.networks),
        image: spec.image.clone(),
        resource: Some(to_pb_resource(&placement.resources, &placement.allotment)),
        create_time: placement.created_at_ms / 1000,
        env: spec.env.clone(),
        runtime: view.life.runtime.clone(),
        state: shown_state(placement.state, &status).to_owned(),
        isolation: isolation(&view.life.runtime).to_owned(),
        ident: placement.ident().to_string(),
        op_id: placement.op_id.clone(),
        owner: placement.owner.clone(),
        command: spec.command.clone(),
        endpoint_address: status.networks.values().next().cloned().unwrap_or_default(),
        status: Some(status),
    }
}

/// The status that is shown; empty but for the node's state when there is no report.
pub fn to_pb_status(view: &WorkloadView) -> pb::WorkloadStatus {
    let shown = view.shown();
    let mut status = pb::WorkloadStatus {
        node_state: shown.node_state.as_str().to_owned(),
        expired: shown.expired,
        ..pb::WorkloadStatus::default()
    };
    let Some(report) = shown.report else { return status };
    status.id = view.id().map(ToString::to_string).unwrap_or_default();
    status.running = shown.running;
    status.healthy = shown.healthy;
    status.stale = !shown.overruled.is_empty();
    status.networks = report.networks.clone();
    status.extension = Bytes::copy_from_slice(&report.extension);
    status.exit = report.exit.map(to_pb_exit);
    status.restarts = report.restarts;
    status.reason = if shown.overruled.is_empty() { report.reason.clone() } else { shown.overruled.to_owned() };
    status.last_lines = report.last_lines.clone();
    status.observed_at_ms = report.observed_at_ms;
    status.started_at_ms = report.started_at_ms;
    status
}

fn to_pb_exit(exit: ExitStatus) -> pb::ExitStatus {
    pb::ExitStatus { code: exit.code, signal: exit.signal, oom_killed: exit.oom_killed, at_ms: exit.at_ms }
}

/// What a workload has been given.
pub fn to_pb_resource(resources: &Resources, allotment: &Allotment) -> pb::Resource {
    let volumes = |volumes: &[Volume]| volumes.iter().map(ToString::to_string).collect();
    let plan = |plan: &BTreeMap<String, BTreeMap<String, u64>>| {
        plan.iter().map(|(volume, devices)| (volume.clone(), to_pb_devices(devices))).collect()
    };
    pb::Resource {
        cpu_quota_limit: resources.cpu_limit.cores(),
        cpu_quota_request: resources.cpu_request.cores(),
        cpu: allotment
            .cores
            .iter()
            .map(|(core, pieces)| (core.clone(), (*pieces).try_into().unwrap_or(i32::MAX)))
            .collect(),
        memory_limit: resources.memory_limit.wire(),
        memory_request: resources.memory_request.wire(),
        storage_limit: resources.storage_limit.wire(),
        storage_request: resources.storage_request.wire(),
        volumes_limit: volumes(&allotment.volumes_limit),
        volumes_request: volumes(&allotment.volumes_request),
        volume_plan_limit: plan(&allotment.volume_plan_limit),
        volume_plan_request: plan(&allotment.volume_plan_request),
    }
}

/// Without the devices of its volumes.
pub(crate) fn without_plans(mut resource: pb::Resource) -> pb::Resource {
    resource.volume_plan_limit.clear();
    resource.volume_plan_request.clear();
    resource
}

fn to_pb_devices(devices: &BTreeMap<String, u64>) -> pb::Volume {
    pb::Volume { volume: devices.iter().map(|(device, bytes)| (device.clone(), MemoryBytes(*bytes).wire())).collect() }
}

/// The word for a placement's state.
pub fn state_word(state: PlacementState) -> &'static str {
    use PlacementState::*;
    match state {
        Planned => "planned",
        Created => "created",
        Running => "running",
        Removing => "removing",
    }
}

/// The same of what is there: who has ended does not run, although nobody removed it.
fn shown_state(state: PlacementState, status: &pb::WorkloadStatus) -> &'static str {
    if state == PlacementState::Running && status.exit.is_some() && !status.running {
        return "exited";
    }
    state_word(state)
}

fn isolation(runtime: &str) -> &'static str {
    [RuntimeKind::Process, RuntimeKind::Fake, RuntimeKind::Docker]
        .into_iter()
        .find(|kind| kind.as_str() == runtime)
        .map(RuntimeKind::isolation)
        .unwrap_or_default()
}

/// Published addresses by network, `ip:port,ip:port`: the ports that `ERU_META` publishes on each address of the status.
fn publish(view: &WorkloadView, networks: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    if networks.is_empty() {
        return BTreeMap::new();
    }
    let meta = view.placement.spec.labels.get(labels::ERU_META);
    let ports = meta.and_then(|text| serde_json::from_str::<Meta>(text).ok()).and_then(|meta| meta.publish);
    let ports = ports.unwrap_or_default();
    if ports.is_empty() {
        return BTreeMap::new();
    }
    let addresses = |ip: &String| ports.iter().map(|port| format!("{ip}:{port}")).collect::<Vec<_>>().join(",");
    networks.iter().map(|(network, ip)| (network.clone(), addresses(ip))).collect()
}
