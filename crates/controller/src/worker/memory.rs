//! What a worker has on record: read at the start, written before it acts.

use super::Worker;
use super::lane::Queued;
use crate::Error;
use crate::record::ProgressRecord;
use eru_kv::Durability;
use eru_reconcile::{Create, CreateReason, FAILURE_DELAY_MAX, Plan, Slot};
use tokio::time::Instant;

impl Worker {
    /// Reads what is stored. Creates that were open are sent again: core answers with what they made.
    pub(super) async fn remember(&mut self) {
        let (slots, progress) = loop {
            match self.tools.store.load_slots(&self.uid).await {
                Ok(loaded) => break loaded,
                Err(error) => {
                    self.note_store_failure(&error);
                    tokio::time::sleep_until(self.store_pause.pending().unwrap_or_else(Instant::now)).await;
                }
            }
        };
        self.store_pause.succeeded();
        self.progress = progress;
        let now = self.tools.clock.now();
        for mut slot in slots {
            // The system's clock may have been set back in between.
            slot.retry_at = slot.retry_at.min(now + FAILURE_DELAY_MAX);
            if let Some(intent) = &mut slot.intent {
                intent.sent_at = now;
                let create = Create {
                    slot: slot.slot,
                    epoch: intent.epoch,
                    generation: intent.generation,
                    op_id: intent.op_id.clone(),
                    reason: CreateReason::New,
                };
                self.lane(create.generation).push(Queued::new(create, true));
            }
            self.slots.insert(slot.slot, slot);
        }
    }

    /// Stores what the plan remembers. A create must be on disk before it is sent; the rest may follow within moments.
    pub(super) async fn persist(&mut self, plan: &Plan) -> Result<(), Error> {
        let durability = if plan.creates.is_empty() { Durability::Observed } else { Durability::Durable };
        let changed: Vec<&Slot> = plan.slots.iter().filter(|slot| self.slots.get(&slot.slot) != Some(slot)).collect();
        self.tools.store.put_slots(&self.uid, &changed, durability).await?;
        for slot in changed {
            self.slots.insert(slot.slot, slot.clone());
        }
        Ok(())
    }

    /// Stores which generation works. If that fails it is tried again later; nothing else depends on it.
    pub(super) async fn persist_progress(&mut self, plan: &Plan) -> Result<(), Error> {
        if plan.stable_generation == self.progress.stable_generation {
            return Ok(());
        }
        if let Some(until) = self.progress_pause.pending() {
            self.turn_by(Some(until));
            return Ok(());
        }
        let progress = ProgressRecord { stable_generation: plan.stable_generation, other: self.progress.other.clone() };
        match self.tools.store.put_progress(&self.uid, &progress).await {
            Ok(()) => {
                self.progress = progress;
                self.progress_pause.succeeded();
            }
            Err(Error::Deposed) => return Err(Error::Deposed),
            Err(error) => {
                let text = chain(&error);
                if self.progress_pause.failed(&text, self.tools.clock.now()) {
                    tracing::warn!(set = %self.name(), error = %text, "it cannot be stored which generation of a set works");
                }
                self.turn_by(self.progress_pause.pending());
            }
        }
        Ok(())
    }

    /// Whether a create is on record as one that nothing was seen of.
    pub(super) fn is_open(&self, create: &Create) -> bool {
        let intent = self.slots.get(&create.slot).and_then(|slot| slot.intent.as_ref());
        intent.is_some_and(|intent| intent.epoch == create.epoch)
    }

    pub(super) async fn put_slot(&mut self, slot: Slot) -> Result<(), Error> {
        self.tools.store.put_slots(&self.uid, &[&slot], Durability::Observed).await?;
        self.slots.insert(slot.slot, slot);
        Ok(())
    }
}

/// An error with all its causes, on one line.
pub(super) fn chain(error: &Error) -> String {
    let causes = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
