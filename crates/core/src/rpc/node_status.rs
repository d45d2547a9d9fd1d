//! Signs of life of nodes, as the original's agents give them.

use super::{check, service::CoreService};
use crate::{
    cache::Wanted,
    cluster::{Error, Result},
};
use eru_api::pb;

impl CoreService {
    pub(super) async fn node_status_set(&self, request: pb::SetNodeStatusOptions) -> Result<pb::Empty> {
        let node = check::node(&request.nodename)?;
        self.cluster.set_node_status(&node, request.ttl).await?;
        Ok(pb::Empty {})
    }

    pub(super) async fn node_status_get(
        &self,
        request: pb::GetNodeStatusOptions,
    ) -> Result<pb::NodeStatusStreamMessage> {
        let name = check::node(&request.nodename)?;
        let cache = self.cluster.cache.fresh(&*self.cluster.kv, Wanted::Node(&name)).await?;
        let view = cache.node(&name).ok_or_else(|| Error::missing(format_args!("/status:node/{name}")))?;
        Ok(pb::NodeStatusStreamMessage {
            nodename: name.to_string(),
            podname: view.record.pod.to_string(),
            alive: view.available(),
            error: String::new(),
            state: view.state().as_str().to_owned(),
            generation: view.verdict.generation,
        })
    }
}
