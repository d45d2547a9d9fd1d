//! Single workloads, and what is done with them.

use super::{check, service::CoreService};
use crate::{
    cache::{Wanted, WorkloadView, to_pb_workload},
    cluster::{Error, Result},
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
    /// One round trip that is shared; a few more for an id that the cache does not know.
    pub(super) async fn views(&self, ids: &[EngineId]) -> Result<Vec<Arc<WorkloadView>>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let (cache, kv) = (&self.cluster.cache, &*self.cluster.kv);
        let fresh = cache.fresh(kv, Wanted::Workloads(ids)).await?;
        let mut views = Vec::with_capacity(ids.len());
        for id in ids {
            let view = match fresh.workload(id) {
                Some(view) => Some(view),
                // The store has the last word on what is not there.
                None => cache.past(kv, Wanted::Workloads(std::slice::from_ref(id))).await?.workload(id),
            };
            views.push(view.ok_or_else(|| Error::no_workload(id))?);
        }
        Ok(views)
    }
}
