//! Nodes.

use super::{
    check::{self, MAP_LEN_MAX, PEM_BYTES_MAX, TEXT_BYTES_MAX},
    node_wire::to_pb,
    service::CoreService,
};
use crate::{
    cache::{NodeView, Wanted},
    cluster::{
        Error, Result,
        node::{CORES_MAX, NewNode, NodeChange, SHARE_MAX},
    },
    record::Certificates,
};
use eru_api::pb;
use eru_types::{Labels, MemoryBytes, NodeName, name::excerpt};
use futures::{Stream, StreamExt, stream};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// Engines that are asked for one list at a time.
const ENGINES_AT_A_TIME: usize = 32;
/// Longest that a list may wait for engines, in seconds.
const LIST_TIMEOUT_S_MAX: i32 = 300;

impl CoreService {
    pub(super) async fn node_add(&self, request: pb::AddNodeOptions) -> Result<pb::Node> {
        let new = new_node(request)?;
        let name = new.name.clone();
        self.cluster.add_node(new).await?;
        Ok(to_pb(&*self.node_now(&name).await?))
    }

    pub(super) async fn node_remove(&self, request: pb::RemoveNodeOptions) -> Result<pb::Empty> {
        self.cluster.remove_node(&check::node(&request.nodename)?).await?;
        Ok(pb::Empty {})
    }

    pub(super) async fn node_get(&self, request: pb::GetNodeOptions) -> Result<pb::Node> {
        Ok(to_pb(&*self.node_named(request).await?))
    }

    pub(super) async fn node_engine(&self, request: pb::GetNodeOptions) -> Result<pb::Engine> {
        let view = self.node_named(request).await?;
        Ok(pb::Engine { r#type: view.record.runtime.clone() })
    }

    pub(super) async fn node_set(&self, request: pb::SetNodeOptions) -> Result<pb::Node> {
        let name = check::node(&request.nodename)?;
        self.cluster.set_node(&name, &node_change(request)?).await?;
        Ok(to_pb(&*self.node_now(&name).await?))
    }

    /// The nodes of a list, with what their engines say of themselves unless that is not wanted.
    pub(super) async fn node_list(
        &self,
        request: pb::ListNodesOptions,
    ) -> Result<impl Stream<Item = pb::Node> + Send + 'static + use<>> {
        let pod = check::optional_pod(&request.podname)?;
        let labels = check::labels(request.labels)?;
        let patience = match request.timeout_in_second {
            0 => self.cluster.settings.connection_timeout,
            s if (1..=LIST_TIMEOUT_S_MAX).contains(&s) => Duration::from_secs(s.unsigned_abs().into()),
            s => return Err(Error::Invalid(format!("timeout_in_second must be 0 to {LIST_TIMEOUT_S_MAX}, got {s}"))),
        };
        self.cluster.cache.linearizable().await?;
        let down = |view: &NodeView| view.record.bypass || !view.available();
        let mut views = self.cluster.cache.nodes(pod.as_ref());
        views.retain(|view| (request.all || !down(view)) && view.record.labels.contains_all(&labels));
        let cluster = self.cluster.clone();
        Ok(stream::iter(views)
            .map(move |view| {
                let cluster = cluster.clone();
                async move {
                    let mut node = to_pb(&view);
                    if !request.skip_info {
                        node.info = match cluster.engine_text(&view.record, patience).await {
                            Ok(text) => text,
                            Err(error) => {
                                node.available = false;
                                error.to_string()
                            }
                        };
                    }
                    node
                }
            })
            .buffered(ENGINES_AT_A_TIME))
    }

    /// One node. The labels of the request are those of workloads, and mean nothing here.
    async fn node_named(&self, request: pb::GetNodeOptions) -> Result<Arc<NodeView>> {
        let name = check::node(&request.nodename)?;
        check::labels(request.labels)?;
        self.node_now(&name).await
    }

    async fn node_now(&self, name: &NodeName) -> Result<Arc<NodeView>> {
        let cache = self.cluster.cache.fresh(&*self.cluster.kv, Wanted::Node(name)).await?;
        cache.node(name).ok_or_else(|| Error::no_node(name))
    }
}

/// In the order and with the texts of the original, then by our own bounds.
fn new_node(request: pb::AddNodeOptions) -> Result<NewNode> {
    for (value, text) in [
        (&request.nodename, "node name is empty"),
        (&request.podname, "pod name is empty"),
        (&request.endpoint, "node endpoint is empty"),
    ] {
        if value.is_empty() {
            return Err(Error::Invalid(text.into()));
        }
    }
    let cores = check::not_negative("cpu", request.cpu.into())?;
    let share = check::not_negative("share", request.share.into())?;
    let memory = check::not_negative("memory", request.memory)?;
    let numa_memory = sizes("numa memory", &request.numa_memory)?;
    let volumes = sizes("volume size", &request.volume_map)?;
    let storage = check::not_negative("storage", request.storage)?;
    let bounded = |what: &str, value: u64, max: u32| {
        u32::try_from(value)
            .ok()
            .filter(|v| *v <= max)
            .ok_or_else(|| Error::Invalid(format!("{what} must be 0 to {max}, got {value}")))
    };
    let name = check::node(&request.nodename)?;
    let pod = check::pod(&request.podname)?;
    check::text("endpoint", &request.endpoint, TEXT_BYTES_MAX)?;
    let cores = bounded("cpu", cores, CORES_MAX)?;
    let share = bounded("share", share, SHARE_MAX)?;
    check::map_keys("numa", &request.numa, MAP_LEN_MAX)?;
    check::map_keys("numa_memory", &request.numa_memory, MAP_LEN_MAX)?;
    volume_devices("volume_map", &request.volume_map)?;
    for node in request.numa.values() {
        numa_node(node)?;
    }
    let pems = [request.ca, request.cert, request.key];
    pem_sizes(&pems)?;
    let total =
        volumes.values().try_fold(storage, |sum, size| sum.checked_add(*size)).filter(|sum| *sum <= i64::MAX as u64);
    if total.is_none() {
        return Err(Error::Invalid(format!("storage: with the volumes it would be more than {} bytes", i64::MAX)));
    }
    Ok(NewNode {
        name,
        pod,
        endpoint: request.endpoint,
        cores,
        share,
        memory: MemoryBytes(memory),
        storage: MemoryBytes(storage),
        labels: check::labels(request.labels)?,
        volumes,
        numa: request.numa,
        numa_memory,
        tls: Some(certificates(pems)).filter(|tls| !tls.is_empty()),
    })
}

fn node_change(request: pb::SetNodeOptions) -> Result<NodeChange> {
    check::text("endpoint", &request.endpoint, TEXT_BYTES_MAX)?;
    let tls = [request.ca, request.cert, request.key];
    pem_sizes(&tls)?;
    check::map_keys("delta_cpu", &request.delta_cpu, MAP_LEN_MAX)?;
    check::map_keys("delta_numa_memory", &request.delta_numa_memory, MAP_LEN_MAX)?;
    check::map_keys("numa", &request.numa, MAP_LEN_MAX)?;
    volume_devices("delta_volume", &request.delta_volume)?;
    for node in request.numa.values() {
        numa_node(node)?;
    }
    let bypass = match pb::TriOpt::try_from(request.bypass_opt) {
        Ok(pb::TriOpt::Keep) => None,
        Ok(pb::TriOpt::True) => Some(true),
        Ok(pb::TriOpt::False) => Some(false),
        Err(_) => {
            let text = format!("bypass_opt must be KEEP (0), TRUE (1) or FALSE (2), got {}", request.bypass_opt);
            return Err(Error::Invalid(text));
        }
    };
    let labels: Labels = check::labels(request.labels)?;
    Ok(NodeChange {
        bypass,
        workloads_down: request.workloads_down,
        endpoint: request.endpoint,
        tls: certificates(tls),
        labels,
        cpu: request.delta_cpu,
        memory: request.delta_memory,
        storage: request.delta_storage,
        volumes: request.delta_volume,
        numa: request.numa,
        numa_memory: request.delta_numa_memory,
    })
}

fn certificates([authority, certificate, key]: [String; 3]) -> Certificates {
    Certificates::new(authority, certificate, key)
}

fn sizes(what: &str, map: &BTreeMap<String, i64>) -> Result<BTreeMap<String, u64>> {
    map.iter().map(|(key, bytes)| Ok((key.clone(), check::not_negative(what, *bytes)?))).collect()
}

fn volume_devices<V>(field: &str, map: &BTreeMap<String, V>) -> Result<()> {
    check::map_keys(field, map, MAP_LEN_MAX)?;
    match map.keys().find(|dir| !dir.starts_with('/') || dir.split('/').any(|part| part == "..")) {
        Some(dir) => Err(Error::Invalid(format!(
            "{field}: a device must be an absolute path without \"..\", got \"{}\"",
            excerpt(dir)
        ))),
        None => Ok(()),
    }
}

fn numa_node(node: &str) -> Result<()> {
    if node.is_empty() {
        return Err(Error::Invalid("numa: the NUMA node of a core is empty".into()));
    }
    check::text("numa", node, check::KEY_BYTES_MAX)
}

fn pem_sizes(pems: &[String; 3]) -> Result<()> {
    for (field, pem) in ["ca", "cert", "key"].into_iter().zip(pems) {
        if pem.len() > PEM_BYTES_MAX {
            return Err(Error::Invalid(format!("{field}: {} bytes (at most {PEM_BYTES_MAX})", pem.len())));
        }
        if !pem.is_empty() && !pem.contains("-----BEGIN ") {
            // The value may be a private key and is not quoted.
            return Err(Error::Invalid(format!("{field}: not in PEM form: it must hold a line -----BEGIN ...-----")));
        }
    }
    Ok(())
}
