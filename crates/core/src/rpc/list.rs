//! Lists of workloads.

use super::{check, service::CoreService, streams::Answers};
use crate::{
    cache::{WorkloadFilter, WorkloadView, to_pb_workload},
    cluster::{Error, Result},
    watch::{Frame, serve::Frames},
};
use eru_api::pb;
use eru_kv::Revision;
use eru_types::{limits::LIST_LEN_MAX, name::excerpt};
use futures::{StreamExt, stream};
use std::{sync::Arc, time::Duration};

/// How long a list waits for the revision that it must not be older than.
const MIN_REVISION_PATIENCE: Duration = Duration::from_secs(5);
/// Longest name of an owner, in bytes: that of a key's segment.
const OWNER_BYTES_MAX: usize = 128;

impl CoreService {
    /// The workloads, encoded: the bytes that subscribers get as well.
    pub(crate) async fn workload_frames(&self, request: pb::ListWorkloadsOptions) -> Result<Frames> {
        let views = self.listed(request).await?;
        Ok(stream::iter(views).map(|view| Ok(Frame::listed(&view))).boxed())
    }

    pub(super) async fn workload_list(&self, request: pb::ListWorkloadsOptions) -> Result<Answers<pb::Workload>> {
        let views = self.listed(request).await?;
        Ok(stream::iter(views).map(|view| Ok(to_pb_workload(&view))).boxed())
    }

    async fn listed(&self, request: pb::ListWorkloadsOptions) -> Result<Vec<Arc<WorkloadView>>> {
        if request.owner.len() > OWNER_BYTES_MAX {
            let text = format!("owner must be at most {OWNER_BYTES_MAX} bytes, got \"{}\"", excerpt(&request.owner));
            return Err(Error::Invalid(text));
        }
        let filter = WorkloadFilter {
            app: check::optional_app(&request.appname)?,
            entrypoint: check::optional_entrypoint(&request.entrypoint)?,
            node: check::optional_node(&request.nodename)?,
            pod: check::optional_pod(&request.podname)?,
            owner: request.owner,
            labels: check::labels(request.labels)?,
        };
        let limit = match usize::try_from(request.limit) {
            Ok(0) => usize::MAX,
            Ok(limit) => limit,
            Err(_) => return Err(Error::Invalid(format!("limit must be 0 (all) or more, got {}", request.limit))),
        };
        self.catch_up(request.min_revision).await?;
        let mut views = self.cluster.cache.workloads(&filter);
        views.truncate(limit);
        Ok(views)
    }

    pub(super) async fn workload_list_node(&self, request: pb::GetNodeOptions) -> Result<pb::Workloads> {
        let node = check::node(&request.nodename)?;
        let labels = check::labels(request.labels)?;
        self.cluster.cache.linearizable().await?;
        if self.cluster.cache.node(&node).is_none() {
            return Err(Error::no_node(&node));
        }
        let filter = WorkloadFilter { node: Some(node), labels, ..WorkloadFilter::default() };
        let workloads = self.cluster.cache.workloads(&filter).iter().map(|view| to_pb_workload(view)).collect();
        Ok(pb::Workloads { workloads })
    }

    pub(super) async fn workload_get_many(&self, request: pb::WorkloadIDs) -> Result<pb::Workloads> {
        check::list_len("ids", request.ids.len(), LIST_LEN_MAX)?;
        let views = self.views(&check::workloads(&request.ids)?).await?;
        Ok(pb::Workloads { workloads: views.iter().map(|view| to_pb_workload(view)).collect() })
    }

    /// Makes sure that the cache is not older than the client wants.
    async fn catch_up(&self, min_revision: i64) -> Result<()> {
        if min_revision < 0 {
            return Err(Error::Invalid(format!("min_revision must be 0 or more, got {min_revision}")));
        }
        self.cluster.cache.linearizable().await?;
        let cache = &self.cluster.cache;
        if min_revision == 0 || cache.wait_for(Revision(min_revision), MIN_REVISION_PATIENCE).await {
            return Ok(());
        }
        let now = cache.revision();
        Err(Error::Unavailable(format!("min_revision {min_revision} is ahead of the store, which is at {now}")))
    }
}
