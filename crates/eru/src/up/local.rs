//! This machine's nodes in its own core.

use anyhow::{Context, Result};
use eru_api::pb;
use eru_client::Client;
use eru_runtime::TlsMaterial;
use eru_types::{NodeName, PodName};
use tonic::Code;

/// Endpoint of the plain commands of the process that core runs in.
const ENDPOINT: &str = "process://local";

/// A node that is to be there.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Its pod.
    pub pod: PodName,
    /// Its name.
    pub node: NodeName,
    /// Where its engine is.
    pub endpoint: String,
    /// Certificates for its engine.
    pub tls: Option<TlsMaterial>,
}

/// The node is there, and is another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "node {node} is registered in pod {pod} with endpoint {endpoint}: remove it, choose another name with --node, or that \
     pod with --pod"
)]
pub struct Conflict {
    node: NodeName,
    pod: String,
    endpoint: String,
}

/// Adds the pod and the node of plain commands where they are missing. What is there already is left as it is: its owner
/// may have changed it.
///
/// # Errors
/// What core answered; or [`Conflict`].
pub async fn register(client: &Client, pod: &PodName, node: &NodeName) -> Result<()> {
    let registration = Registration { pod: pod.clone(), node: node.clone(), endpoint: ENDPOINT.into(), tls: None };
    // Before the pod is added: what is refused leaves nothing behind.
    if is_there(client, &registration).await? {
        return Ok(());
    }
    let options = pb::AddPodOptions { name: pod.to_string(), desc: "this machine".into() };
    match client.core().add_pod(options).await {
        Err(status) if status.code() != Code::AlreadyExists => {
            return Err(status).context(format!("cannot add pod {pod}"));
        }
        _ => {}
    }
    add_node(client, &registration).await
}

/// Adds a node where it is missing.
///
/// # Errors
/// What core answered; or [`Conflict`].
pub async fn add_node(client: &Client, registration: &Registration) -> Result<()> {
    let Registration { pod, node, endpoint, tls } = registration;
    let mut options = pb::AddNodeOptions {
        nodename: node.to_string(),
        endpoint: endpoint.clone(),
        podname: pod.to_string(),
        ..pb::AddNodeOptions::default()
    };
    if let Some(TlsMaterial { ca, cert, key }) = tls {
        (options.ca, options.cert, options.key) = (ca.clone(), cert.clone(), key.clone());
    }
    match client.core().add_node(options).await {
        Ok(_) => return Ok(()),
        Err(status) if status.code() == Code::AlreadyExists => {}
        Err(status) => return Err(status).context(format!("cannot add node {node}")),
    }
    is_there(client, registration).await.map(drop)
}

/// Whether the node is there.
async fn is_there(client: &Client, registration: &Registration) -> Result<bool> {
    let Registration { pod, node, endpoint, .. } = registration;
    let options = pb::GetNodeOptions { nodename: node.to_string(), ..pb::GetNodeOptions::default() };
    let found = match client.core().get_node(options).await {
        Ok(found) => found.into_inner(),
        Err(status) if status.code() == Code::NotFound => return Ok(false),
        Err(status) => return Err(status).context(format!("cannot get node {node}")),
    };
    if found.endpoint != *endpoint || found.podname != pod.as_str() {
        return Err(Conflict { node: node.clone(), pod: found.podname, endpoint: found.endpoint }.into());
    }
    Ok(true)
}

/// This machine's host name as a node name; `local` when it is not one.
pub fn host_node() -> NodeName {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    NodeName::new(host.trim()).unwrap_or_else(|_| NodeName::new("local").expect("a plain word is a name"))
}
