//! Forgetting a workload that goes on without us.

use super::{Cluster, Result, workload::distinct};
use crate::{
    keys,
    record::{self, DissociatedRecord, Versioned},
};
use eru_kv::Op;
use futures::{StreamExt, stream};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Workloads forgotten at a time; they share transactions.
const AT_A_TIME: usize = 256;

/// What became of one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DissociateOutcome {
    /// The engine id, as it was asked for.
    pub id: String,
    /// Why it failed; empty = forgotten.
    pub error: String,
}

impl Cluster {
    /// Forgets workloads: their room is free again, and their engines keep them. One outcome for each, in the order in
    /// which they are done. It goes on when the caller leaves.
    ///
    /// # Errors
    /// [`Error::Invalid`](super::Error::Invalid) for a list that is empty or too long.
    pub async fn dissociate(self: &Arc<Self>, ids: &[String]) -> Result<mpsc::Receiver<DissociateOutcome>> {
        let ids = distinct(ids)?;
        let (outcomes, receiver) = mpsc::channel(ids.len());
        let cluster = self.clone();
        self.tasks.spawn(async move {
            let one = |id: String| {
                let cluster = cluster.clone();
                async move {
                    let error = match cluster.dissociate_one(&id).await {
                        Ok(()) => String::new(),
                        Err(error) => error.to_string(),
                    };
                    DissociateOutcome { id, error }
                }
            };
            let mut done = stream::iter(ids).map(one).buffer_unordered(AT_A_TIME);
            while let Some(outcome) = done.next().await {
                // A caller that left does not stop it.
                let _ = outcomes.send(outcome).await;
            }
        })?;
        Ok(receiver)
    }

    async fn dissociate_one(&self, id: &str) -> Result<()> {
        let (current, _held) = self.hold_workload(id).await?;
        let name = current.placement.name.clone();
        // It is marked, or the sweep of what has no placement would take it for a left-over.
        let mark = current.placement.engine_id.as_ref().map(|id| {
            let mark = record::encode(&Versioned::new(DissociatedRecord { name }));
            Op::put(keys::dissociated(&current.placement.node, id), mark)
        });
        self.fault("dissociate.before_commit").await;
        self.forget(&current, mark.into_iter().collect()).await?;
        self.fault("dissociate.gone").await;
        Ok(())
    }
}
