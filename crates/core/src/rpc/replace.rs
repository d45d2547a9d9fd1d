//! Replacements.

use super::{
    control::{answers, created},
    service::CoreService,
    streams::Answers,
};
use crate::cluster::{
    Result,
    replace::{ReplaceOutcome, ReplaceRequest},
};
use eru_api::pb;

impl CoreService {
    pub(super) async fn workload_replace(
        &self,
        request: pb::ReplaceOptions,
    ) -> Result<Answers<pb::ReplaceWorkloadMessage>> {
        let request = ReplaceRequest::from_pb(&request)?;
        Ok(answers(self.cluster.replace(request).await?, replaced))
    }
}

fn replaced(outcome: ReplaceOutcome) -> pb::ReplaceWorkloadMessage {
    let remove = pb::RemoveWorkloadMessage {
        id: outcome.remove.id,
        success: outcome.remove.error.is_empty(),
        hook: String::from_utf8_lossy(&outcome.hook).into_owned(),
        error: outcome.remove.error,
    };
    pb::ReplaceWorkloadMessage { create: outcome.create.map(created), remove: Some(remove), error: outcome.error }
}
