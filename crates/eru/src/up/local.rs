//! This machine as a node of its own core.

use anyhow::{Context, Result};
use eru_api::pb;
use eru_client::Client;
use eru_types::{NodeName, PodName};
use tonic::Code;

/// Endpoint of the plain commands of the process that core runs in.
const ENDPOINT: &str = "process://local";

/// Adds the pod and the node where they are missing. What is there already is left as it is: its owner may have changed it.
///
/// # Errors
/// What core answered; or that the node is there in another pod or with another runtime.
pub async fn register(client: &Client, pod: &PodName, node: &NodeName) -> Result<()> {
    let options = pb::AddPodOptions { name: pod.to_string(), desc: "this machine".into() };
    match client.core().add_pod(options).await {
        Err(status) if status.code() != Code::AlreadyExists => {
            return Err(status).context(format!("cannot add pod {pod}"));
        }
        _ => {}
    }
    let options = pb::AddNodeOptions {
        nodename: node.to_string(),
        endpoint: ENDPOINT.into(),
        podname: pod.to_string(),
        ..pb::AddNodeOptions::default()
    };
    match client.core().add_node(options).await {
        Ok(_) => return Ok(()),
        Err(status) if status.code() == Code::AlreadyExists => {}
        Err(status) => return Err(status).context(format!("cannot add node {node}")),
    }
    let options = pb::GetNodeOptions { nodename: node.to_string(), ..pb::GetNodeOptions::default() };
    let found = client.core().get_node(options).await.with_context(|| format!("cannot get node {node}"))?.into_inner();
    anyhow::ensure!(
        found.endpoint == ENDPOINT && found.podname == pod.as_str(),
        "node {node} is registered in pod {} with endpoint {}: choose another name with --node, or that pod with --pod",
        found.podname,
        found.endpoint
    );
    Ok(())
}

/// This machine's host name as a node name; `local` when it is not one.
pub fn host_node() -> NodeName {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    NodeName::new(host.trim()).unwrap_or_else(|_| NodeName::new("local").expect("a plain word is a name"))
}
