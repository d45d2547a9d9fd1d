//! What workloads have been given, node by node.

use super::{
    check,
    node_wire::to_pb_resource,
    service::CoreService,
    streams::{Answers, known},
};
use crate::{
    cache::Wanted,
    cluster::{Error, Result},
};
use eru_api::pb;
use futures::{StreamExt, stream};

/// Workloads that are looked at in an engine at a time.
const INSPECTIONS_AT_A_TIME: usize = 16;

impl CoreService {
    pub(super) async fn pod_resource(&self, request: pb::GetPodOptions) -> Result<pb::PodResource> {
        let nodes_resource = self.resources(&request.name).await?;
        Ok(pb::PodResource { name: request.name, nodes_resource })
    }

    pub(super) async fn pod_resources_one_by_one(
        &self,
        request: pb::GetPodOptions,
    ) -> Result<Answers<pb::NodeResource>> {
        Ok(known(self.resources(&request.name).await?))
    }

    async fn resources(&self, pod: &str) -> Result<Vec<pb::NodeResource>> {
        let pod = check::optional_pod(pod)?;
        self.cluster.cache.linearizable().await?;
        // No pod is a pod without nodes, as in the original.
        let nodes = pod.map(|pod| self.cluster.cache.nodes(Some(&pod))).unwrap_or_default();
        Ok(nodes.iter().map(|node| to_pb_resource(node)).collect())
    }

    /// One node's resources, and which of its workloads its engine does not have. There is nothing to fix: what a node has
    /// given away is the sum over its placements.
    pub(super) async fn node_resource(&self, request: pb::GetNodeResourceOptions) -> Result<pb::NodeResource> {
        let options = request.opts.unwrap_or_default();
        let name = check::node(&options.nodename)?;
        check::labels(options.labels)?;
        let cache = self.cluster.cache.fresh(&*self.cluster.kv, Wanted::Node(&name)).await?;
        let view = cache.node(&name).ok_or_else(|| Error::no_node(&name))?;
        let mut resource = to_pb_resource(&view);
        let ids: Vec<_> = cache.placements_of(&name).iter().filter_map(|w| w.id().cloned()).collect();
        let patience = self.cluster.settings.connection_timeout;
        let mut missing = match self.cluster.engines.open(&view.record.record) {
            Err(error) => vec![format!("node {name}: its engine cannot be asked: {error}")],
            Ok(engine) => {
                stream::iter(ids)
                    .map(|id| {
                        let runtime = engine.runtime.clone();
                        async move {
                            match tokio::time::timeout(patience, runtime.inspect(&id)).await {
                                Ok(Ok(_)) => None,
                                Ok(Err(error)) => Some(format!("workload {id} inspect failed {error}")),
                                Err(_) => Some(format!("workload {id} inspect failed no answer in {patience:?}")),
                            }
                        }
                    })
                    .buffered(INSPECTIONS_AT_A_TIME)
                    .filter_map(|diff| async move { diff })
                    .collect()
                    .await
            }
        };
        resource.diffs.append(&mut missing);
        Ok(resource)
    }
}
