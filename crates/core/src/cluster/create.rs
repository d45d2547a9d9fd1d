//! What an engine is asked to make of a placement.

use crate::record::{NodeRecord, Placement};
use eru_config::core::Docker;
use eru_runtime::{CreateRequest, RuntimeKind};
use std::net::IpAddr;

/// The request for a placement on its node.
pub(crate) fn create_request(placement: &Placement, node: &NodeRecord, docker: &Docker) -> CreateRequest {
    let spec = &placement.spec;
    let mut extras = spec.extras.clone();
    if docker.local_dns && extras.dns.is_empty() && host(&node.endpoint).parse::<IpAddr>().is_ok() {
        extras.dns.push(host(&node.endpoint).to_owned());
    }
    CreateRequest {
        name: placement.name.clone(),
        labels: spec.labels.clone(),
        image: spec.image.clone(),
        command: spec.command.clone(),
        env: environment(placement, node),
        dir: spec.dir.clone(),
        user: spec.user.clone(),
        resources: placement.resources,
        allotment: placement.allotment.clone(),
        networks: spec.networks.clone(),
        publish: spec.publish.iter().filter_map(|port| port.parse().ok()).collect(),
        restart: spec.restart.clone(),
        privileged: spec.privileged,
        extras,
    }
}

/// The user's variables, then ours in the order of the original. Made anew for each instance: none sees another's.
fn environment(placement: &Placement, node: &NodeRecord) -> Vec<(String, String)> {
    let user = placement.spec.env.iter().filter_map(|pair| pair.split_once('='));
    let mut ours = vec![
        ("APP_NAME", placement.app().to_string()),
        ("ERU_POD", placement.pod.to_string()),
        ("ERU_NODE_NAME", placement.node.to_string()),
        ("ERU_WORKLOAD_SEQ", placement.seq.to_string()),
        ("ERU_MEMORY", placement.resources.memory_limit.to_string()),
        ("ERU_STORAGE", placement.resources.storage_limit.to_string()),
    ];
    let cores = &placement.allotment.cores;
    if !cores.is_empty() {
        let cores = serde_json::to_string(cores).expect("a map of names to numbers is JSON");
        ours.push(("ERU_CPU", cores));
    }
    if node.runtime == RuntimeKind::Docker.as_str() {
        ours.push(("ERU_NODE_IP", host(&node.endpoint).to_owned()));
    }
    let user = user.map(|(name, value)| (name.to_owned(), value.to_owned()));
    user.chain(ours.into_iter().map(|(name, value)| (name.to_owned(), value))).collect()
}

/// The host of an endpoint; empty when it is on this machine.
fn host(endpoint: &str) -> &str {
    let Some(authority) = endpoint.strip_prefix("tcp://") else { return "" };
    let host = authority.trim_end_matches('/').rsplit_once(':').map_or(authority, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_of_endpoints() {
        for (endpoint, want) in [
            ("unix:///var/run/docker.sock", ""),
            ("tcp://10.0.0.1:2376", "10.0.0.1"),
            ("tcp://node-1.lan:2376/", "node-1.lan"),
            ("tcp://[fd00::1]:2376", "fd00::1"),
            ("fake://n1", ""),
        ] {
            assert_eq!(host(endpoint), want);
        }
    }
}
