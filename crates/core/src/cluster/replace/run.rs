//! All replacements of one request.

use super::ReplaceRequest;
use crate::{
    cache::WorkloadFilter,
    cluster::{
        Cluster, DeployOutcome, DeployRequest, Error, Result, deploy::check_size, hook::OutputRoom,
        remove::RemoveOutcome,
    },
    record::PlacementState,
};
use futures::{StreamExt, stream};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot};

/// What became of one replacement.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplaceOutcome {
    /// The new workload, if it came to that.
    pub create: Option<DeployOutcome>,
    /// The old one, and what its hooks said.
    pub remove: RemoveOutcome,
    /// What the hooks of the old one said.
    pub hook: Vec<u8>,
    /// Why it failed; empty = done.
    pub error: String,
}

impl Cluster {
    /// Replaces workloads; one outcome for each, in the order in which they are done. It goes on when the caller leaves.
    /// Workloads of another pod than the one that is asked for are left out.
    ///
    /// # Errors
    /// [`Error::NotFound`] without the pod, [`Error::Precondition`] when the owner's epoch is old, [`Error::Exists`] when a
    /// request with its op id came before; what concerns one workload is in its outcome.
    pub async fn replace(self: &Arc<Self>, mut request: ReplaceRequest) -> Result<mpsc::Receiver<ReplaceOutcome>> {
        if let Some(owner) = &request.deploy.owner {
            self.tasks.fences.check(&*self.kv, owner).await?;
        }
        if let Some(pod) = &request.deploy.filter.pod {
            self.check_pod(pod).await?;
        }
        self.settle_log(&mut request.deploy);
        check_size(&request.deploy, &self.core_id, &self.instance)?;
        if request.ids.is_empty() {
            request.ids = self.all_of(&request.deploy).await?;
        }
        let at_a_time =
            request.deploy.count.min(u32::try_from(self.settings.max_concurrency).unwrap_or(u32::MAX)).max(1);
        let room = self.tasks.room(at_a_time).await;
        let (outcomes, receiver) = mpsc::channel(request.ids.len().max(1));
        let (begun, beginning) = oneshot::channel();
        let (cluster, request) = (self.clone(), Arc::new(request));
        self.tasks.spawn(async move {
            let claimed = cluster.claim_op(&request).await;
            let goes_on = claimed.is_ok();
            // A caller that left does not want to know.
            let _ = begun.send(claimed);
            if !goes_on {
                return;
            }
            let output = OutputRoom::default();
            let one = |(seq, id): (usize, String)| {
                let (cluster, request, output) = (cluster.clone(), request.clone(), output.clone());
                async move { cluster.replace_one(&id, seq, &request, &output).await }
            };
            let ids = request.ids.clone().into_iter().enumerate();
            let mut done = stream::iter(ids).map(one).buffer_unordered(at_a_time as usize);
            while let Some(outcome) = done.next().await {
                // A caller that left does not stop it.
                let Some(outcome) = outcome else { continue };
                let _ = outcomes.send(outcome).await;
            }
            drop(room);
        })?;
        beginning.await.map_err(|_| Error::Unavailable("the core is stopping".into()))??;
        Ok(receiver)
    }

    /// The workloads that a request means that names none.
    async fn all_of(&self, request: &DeployRequest) -> Result<Vec<String>> {
        self.cache.linearizable().await?;
        let filter = WorkloadFilter {
            app: Some(request.app.clone()),
            entrypoint: Some(request.entrypoint.clone()),
            pod: request.filter.pod.clone(),
            ..WorkloadFilter::default()
        };
        let nodes = &request.filter.includes;
        let meant = self.cache.workloads(&filter).into_iter().filter(|view| {
            view.placement.state == PlacementState::Running
                && (nodes.is_empty() || nodes.contains(&view.placement.node))
                && !request.filter.excludes.contains(&view.placement.node)
        });
        let mut ids: Vec<String> = meant.filter_map(|view| view.id().map(ToString::to_string)).collect();
        ids.sort_unstable();
        Ok(ids)
    }
}
