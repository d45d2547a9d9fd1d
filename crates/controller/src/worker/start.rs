//! The acts of a plan are sent.

use super::pause::Pause;
use super::{Acted, Leaving, Queued, REMOVES_MAX, Worker};
use crate::Error;
use crate::shown::Desired;
use eru_api::controller::ReplicaSetSpec;
use eru_reconcile::{Remove, Resolve, forget_intent};

impl Worker {
    pub(super) async fn start_creates(&mut self, desired: &Desired) -> Result<(), Error> {
        if let Some(until) = self.pause.pending() {
            self.turn_by(Some(until));
            return Ok(());
        }
        while self.pace.room(self.creating.len()) > 0 {
            let Some(queued) = self.queue.pop_front() else { return Ok(()) };
            let Queued { create, was_sent } = &queued;
            let Some(slot) = self.slots.get(&create.slot).cloned() else { continue };
            if slot.intent.as_ref().is_none_or(|intent| intent.epoch != create.epoch) {
                continue;
            }
            let generation = create.generation;
            let is_wanted = slot.active
                && !desired.set.removing
                && (generation == desired.set.template_generation || generation == self.progress.stable_generation);
            let spec = desired.specs.get(&generation).cloned();
            match spec {
                Some(spec) if is_wanted || *was_sent => self.start_create(queued, spec),
                _ if *was_sent => {}
                _ => self.put_slot(forget_intent(&slot, create.epoch)).await?,
            }
        }
        Ok(())
    }

    fn start_create(&mut self, queued: Queued, spec: ReplicaSetSpec) {
        self.creating.insert((queued.create.slot, queued.create.epoch));
        let actor = self.tools.actor.clone();
        self.acts.spawn(async move {
            let outcome = actor.create(&queued.create, &spec).await;
            Acted::Created(queued, outcome)
        });
    }

    pub(super) fn start_removes(&mut self, desired: &Desired, removes: Vec<Remove>) {
        for remove in removes {
            if let Some(Leaving::Failed(pause)) = self.leaving.get(&remove.id)
                && let Some(until) = pause.pending()
            {
                self.turn_by(Some(until));
                continue;
            }
            if self.leaving.values().filter(|leaving| matches!(leaving, Leaving::UnderWay(_))).count() >= REMOVES_MAX {
                return;
            }
            tracing::info!(set = %desired.set.name, workload = %remove.id, reason = %remove.reason, "removing an instance");
            let pause = match self.leaving.remove(&remove.id) {
                Some(Leaving::Failed(pause)) => pause,
                _ => Pause::new(),
            };
            self.leaving.insert(remove.id.clone(), Leaving::UnderWay(pause));
            let actor = self.tools.actor.clone();
            self.acts.spawn(async move {
                let outcome = actor.remove(&remove).await;
                Acted::Removed(remove.id, outcome)
            });
        }
    }

    /// Finds out by a list what became of creates that nothing was seen of.
    pub(super) fn start_list(&mut self, resolves: &[Resolve]) {
        let is_idle = |resolve: &&Resolve| {
            let key = (resolve.slot, resolve.epoch);
            !self.creating.contains(&key) && !self.queue.iter().any(|q| (q.create.slot, q.create.epoch) == key)
        };
        let resolves: Vec<Resolve> = resolves.iter().filter(is_idle).cloned().collect();
        if resolves.is_empty() || self.listing {
            return;
        }
        if let Some(until) = self.list_pause.pending() {
            self.turn_by(Some(until));
            return;
        }
        self.listing = true;
        let actor = self.tools.actor.clone();
        self.acts.spawn(async move {
            let found = actor.list().await;
            Acted::Listed(resolves, found)
        });
    }
}
