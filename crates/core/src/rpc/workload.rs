//! Single workloads, and what is done with them.

use super::{check, service::CoreService};
use crate::{
    cache::{WorkloadView, to_pb_workload},
    cluster::{Error, Result, read::read},
    keys,
};
use eru_api::pb;
use eru_types::EngineId;
use std::sync::Arc;

impl CoreService {
    pub(super) async fn workload_get(&self, request: pb::WorkloadId) -> Result<pb::Workload> {
        let id = check::workload(&request.id)?;
        let views = self.views(std::slice::from_ref(&id)).await?;
        let view = views.first().ok_or_else(|| Error::no_workload(&id))?;
        Ok(to_pb_workload(view))
    }

    /// The workloads of these ids, in their order; all of them or none.
    ///
    /// # Cost
    /// One round trip that is shared; one more for an id that the cache does not know.
    pub(super) async fn views(&self, ids: &[EngineId]) -> Result<Vec<Arc<WorkloadView>>> {
        if !ids.is_empty() {
            self.cluster.cache.linearizable().await?;
        }
        let mut views = Vec::with_capacity(ids.len());
        for id in ids {
            let view = match self.cluster.cache.workload(id) {
                Some(view) => view,
                None => self.look_up(id).await?,
            };
            views.push(view);
        }
        Ok(views)
    }

    /// A workload that the cache does not know: if the store does, the cache will.
    async fn look_up(&self, id: &EngineId) -> Result<Arc<WorkloadView>> {
        let found = read(&*self.cluster.kv, &[keys::index(id)]).await?;
        if found.values[0].is_some() {
            self.cluster.cache.linearizable().await?;
        }
        self.cluster.cache.workload(id).ok_or_else(|| Error::no_workload(id))
    }
}
