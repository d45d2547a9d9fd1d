//! Deploys, and what is done with workloads afterwards.

use super::{error::refusal_code, placing::to_pb_capacity, service::CoreService, streams::Answers};
use crate::{
    cache::wire::{to_pb_resource, without_plans},
    cluster::{
        DeployOutcome, DeployRequest, Result,
        control::{ControlOutcome, ControlRequest},
        dissociate::DissociateOutcome,
        remove::{RemoveOutcome, RemoveRequest},
    },
};
use eru_api::pb;
use futures::{StreamExt, stream};
use tokio::sync::mpsc;

impl CoreService {
    pub(super) async fn capacity(&self, request: pb::DeployOptions) -> Result<pb::CapacityMessage> {
        let request = DeployRequest::for_capacity(&request)?;
        self.cluster.cache.linearizable().await?;
        let capacity = self.cluster.calculate_capacity(&request).await?;
        Ok(to_pb_capacity(&capacity))
    }

    pub(super) async fn workload_create(
        &self,
        request: pb::DeployOptions,
    ) -> Result<Answers<pb::CreateWorkloadMessage>> {
        let request = DeployRequest::from_pb(&request)?;
        self.cluster.cache.linearizable().await?;
        Ok(answers(self.cluster.deploy(request).await?, created))
    }

    pub(super) async fn workload_remove(
        &self,
        request: pb::RemoveWorkloadOptions,
    ) -> Result<Answers<pb::RemoveWorkloadMessage>> {
        let request = RemoveRequest::from_pb(&request)?;
        self.cluster.cache.linearizable().await?;
        Ok(answers(self.cluster.remove(request).await?, removed))
    }

    pub(super) async fn workload_dissociate(
        &self,
        request: pb::DissociateWorkloadOptions,
    ) -> Result<Answers<pb::DissociateWorkloadMessage>> {
        self.cluster.cache.linearizable().await?;
        Ok(answers(self.cluster.dissociate(&request.ids).await?, dissociated))
    }

    pub(super) async fn workload_control(
        &self,
        request: pb::ControlWorkloadOptions,
    ) -> Result<Answers<pb::ControlWorkloadMessage>> {
        let request = ControlRequest::from_pb(&request)?;
        self.cluster.cache.linearizable().await?;
        Ok(answers(self.cluster.control(request).await?, controlled))
    }
}

/// The outcomes as they come, as messages.
pub(super) fn answers<T: Send + 'static, M: Send + 'static>(
    outcomes: mpsc::Receiver<T>,
    message: fn(T) -> M,
) -> Answers<M> {
    stream::unfold(outcomes, move |mut outcomes| async move {
        let outcome = outcomes.recv().await?;
        Some((Ok(message(outcome)), outcomes))
    })
    .boxed()
}

pub(super) fn created(outcome: DeployOutcome) -> pb::CreateWorkloadMessage {
    let text = |name: Option<String>| name.unwrap_or_default();
    pb::CreateWorkloadMessage {
        podname: outcome.pod,
        nodename: text(outcome.node.map(|node| node.to_string())),
        id: text(outcome.id.map(|id| id.to_string())),
        ident: text(outcome.name.as_ref().map(|name| name.ident.to_string())),
        name: text(outcome.name.map(|name| name.to_string())),
        success: outcome.error.is_empty(),
        error: outcome.error,
        code: outcome.refused.map_or(0, |kind| refusal_code(kind) as i32),
        publish: outcome.publish,
        hook: outcome.hook.into(),
        // As the original has it: the plans are in the workload itself.
        resource: Some(without_plans(to_pb_resource(&outcome.resources, &outcome.allotment))),
        op_id: outcome.op_id,
    }
}

fn removed(outcome: RemoveOutcome) -> pb::RemoveWorkloadMessage {
    pb::RemoveWorkloadMessage {
        id: outcome.id,
        success: outcome.error.is_empty(),
        // The original has no place of its own for it.
        hook: outcome.error.clone(),
        error: outcome.error,
    }
}

fn dissociated(outcome: DissociateOutcome) -> pb::DissociateWorkloadMessage {
    pb::DissociateWorkloadMessage { id: outcome.id, error: outcome.error }
}

fn controlled(outcome: ControlOutcome) -> pb::ControlWorkloadMessage {
    pb::ControlWorkloadMessage { id: outcome.id, error: outcome.error, hook: outcome.hook.into() }
}
