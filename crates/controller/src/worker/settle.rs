//! What became of the acts.

use super::pause::Pause;
use super::{Acted, GONE_AFTER, Leaving, Queued, Worker};
use crate::Error;
use crate::act::Outcome;
use eru_reconcile::{Create, Resolve, create_failed, forget_intent};
use std::collections::BTreeSet;
use tokio::time::Instant;

impl Worker {
    /// Notes an outcome. If the store fails in that, the create stays open and is looked for when it is overdue.
    pub(super) async fn settle_or_wait(&mut self, acted: Result<Acted, tokio::task::JoinError>) -> Result<(), Error> {
        match self.settle(acted).await {
            Err(Error::Store(error)) => {
                tracing::warn!(%error, "the outcome of an act could not be stored");
                Ok(())
            }
            result => result,
        }
    }

    async fn settle(&mut self, acted: Result<Acted, tokio::task::JoinError>) -> Result<(), Error> {
        match acted.expect("acts do not panic and are aborted only with the worker") {
            Acted::Created(create, outcome) => self.settle_create(create, outcome).await,
            Acted::Removed(id, outcome) => {
                self.settle_remove(id, outcome);
                Ok(())
            }
            Acted::Listed(resolves, found) => self.settle_list(resolves, found).await,
        }
    }

    async fn settle_create(&mut self, create: Create, outcome: Outcome) -> Result<(), Error> {
        self.creating.remove(&(create.slot, create.epoch));
        match outcome {
            Outcome::Done(id) => {
                tracing::debug!(workload = %id, slot = create.slot, "an instance was created");
                self.pace.succeeded();
                self.pause.succeeded();
                return Ok(());
            }
            Outcome::Refused(reason) => {
                tracing::warn!(slot = create.slot, epoch = create.epoch, error = %reason, "an instance was not created");
                if let Some(slot) = self.slots.get(&create.slot) {
                    let failed = create_failed(slot, create.epoch, create.generation, self.tools.clock.now(), &reason);
                    self.put_slot(failed).await?;
                }
            }
            Outcome::Unsent(reason) | Outcome::Unknown(reason) => {
                tracing::warn!(slot = create.slot, epoch = create.epoch, error = %reason, "a create is asked for again");
                self.queue.push_front(Queued { create, was_sent: true });
            }
        }
        self.pace.failed();
        self.pause.failed();
        Ok(())
    }

    fn settle_remove(&mut self, id: String, outcome: Outcome) {
        let mut pause = match self.leaving.remove(&id) {
            Some(Leaving::UnderWay(pause)) => pause,
            _ => Pause::new(),
        };
        match outcome {
            Outcome::Done(_) => {
                self.leaving.insert(id.clone(), Leaving::Gone(Instant::now() + GONE_AFTER));
                if self.tools.desired.borrow().set.removing {
                    self.removed.push(id);
                }
            }
            Outcome::Refused(reason) | Outcome::Unsent(reason) | Outcome::Unknown(reason) => {
                tracing::debug!(workload = %id, error = %reason, "an instance was not removed");
                pause.failed();
                self.leaving.insert(id, Leaving::Failed(pause));
            }
        }
    }

    async fn settle_list(
        &mut self,
        resolves: Vec<Resolve>,
        found: Result<Vec<(String, String)>, eru_client::Error>,
    ) -> Result<(), Error> {
        self.listing = false;
        // A create that core has is shown by the stream sooner or later.
        self.list_pause.failed();
        let found: BTreeSet<String> = match found {
            Ok(found) => found.into_iter().map(|(op_id, _)| op_id).collect(),
            Err(error) => {
                tracing::warn!(%error, "workloads cannot be listed");
                return Ok(());
            }
        };
        for resolve in resolves.into_iter().filter(|resolve| !found.contains(&resolve.op_id)) {
            if let Some(slot) = self.slots.get(&resolve.slot) {
                tracing::warn!(slot = resolve.slot, epoch = resolve.epoch, "a create has left nothing");
                self.put_slot(forget_intent(slot, resolve.epoch)).await?;
            }
        }
        Ok(())
    }
}
