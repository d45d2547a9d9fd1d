//! The acts of a plan are sent.

use super::lane::Queued;
use super::pause::Pause;
use super::{Acted, Leaving, REMOVES_MAX, Worker};
use crate::Error;
use crate::shown::Desired;
use eru_api::controller::ReplicaSetSpec;
use eru_reconcile::{Remove, Resolve, Slot, create_failed, forget_intent};
use tokio::time::Instant;

impl Worker {
    pub(super) async fn start_creates(&mut self, desired: &Desired) -> Result<(), Error> {
        if desired.set.removing {
            self.give_up_creates(desired).await?;
        }
        self.requeue_for_room();
        let (newest, stable) = (desired.set.template_generation, self.progress.stable_generation);
        self.lanes.retain(|generation, lane| !lane.is_idle() || *generation == newest || *generation == stable);
        for generation in self.lanes.keys().copied().collect::<Vec<_>>() {
            loop {
                let queued = match self.lane(generation).next(Instant::now()) {
                    Ok(queued) => queued,
                    Err(look_at) => {
                        self.turn_by(look_at);
                        break;
                    }
                };
                self.start_or_drop(desired, queued).await?;
            }
        }
        Ok(())
    }

    /// Drops what a set that is being removed surely has not made, whatever it waits for; what may have been made is found
    /// out first.
    async fn give_up_creates(&mut self, desired: &Desired) -> Result<(), Error> {
        for (_, mut queued) in std::mem::take(&mut self.for_room) {
            // It was refused.
            queued.was_sent = false;
            self.lane(queued.create.generation).push_front(queued);
        }
        for generation in self.lanes.keys().copied().collect::<Vec<_>>() {
            while let Some(queued) = self.lane(generation).take_unsent() {
                self.start_or_drop(desired, queued).await?;
            }
        }
        Ok(())
    }

    /// Sends a create, unless nobody wants it any more and it surely never left.
    async fn start_or_drop(&mut self, desired: &Desired, queued: Queued) -> Result<(), Error> {
        let Queued { create, was_sent, refused, .. } = &queued;
        let Some(slot) = self.slots.get(&create.slot).cloned() else { return Ok(()) };
        let generation = create.generation;
        if !self.is_open(create) {
            // It was seen for a moment and then refused: that is a failure like any other.
            return match refused.as_ref().filter(|_| !*was_sent) {
                Some(reason) => {
                    let failed = create_failed(&slot, create.epoch, generation, self.tools.clock.now(), reason);
                    self.put_slot_or_requeue(failed, queued).await
                }
                None => Ok(()),
            };
        }
        let is_wanted = slot.active
            && !desired.set.removing
            && (generation == desired.set.template_generation || generation == self.progress.stable_generation);
        let spec = desired.specs.get(&generation).cloned();
        match spec {
            Some(spec) if is_wanted || *was_sent => self.start_create(queued, spec),
            _ if *was_sent => {}
            _ => return self.put_slot_or_requeue(forget_intent(&slot, create.epoch), queued).await,
        }
        Ok(())
    }

    async fn put_slot_or_requeue(&mut self, slot: Slot, queued: Queued) -> Result<(), Error> {
        let stored = self.put_slot(slot).await;
        if stored.is_err() {
            self.lane(queued.create.generation).push_front(queued);
        }
        stored
    }

    fn start_create(&mut self, queued: Queued, spec: ReplicaSetSpec) {
        let now = self.tools.clock.now();
        self.lane(queued.create.generation).sent(&queued, Instant::now(), now);
        let actor = self.tools.actor.clone();
        self.acts.spawn(async move {
            let outcome = actor.create(&queued.create, &spec).await;
            Acted::Created(queued, outcome)
        });
    }

    /// Creates that waited for room are sent again when there is some, or when it takes too long.
    fn requeue_for_room(&mut self) {
        let (now, is_making_room) = (Instant::now(), self.is_making_room());
        for (until, queued) in std::mem::take(&mut self.for_room) {
            if is_making_room && now < until && self.is_open(&queued.create) {
                self.turn_by(Some(until));
                self.for_room.push((until, queued));
            } else {
                self.lane(queued.create.generation).push_front(queued);
            }
        }
    }

    /// Whether instances of the set are on their way out.
    pub(super) fn is_making_room(&self) -> bool {
        self.leaving.values().any(|leaving| matches!(leaving, Leaving::UnderWay(_)))
    }

    /// Ended instances are cleared away at once, beside the creation of their replacements: to wait for these gains nothing.
    pub(super) fn start_removes(&mut self, desired: &Desired, removes: &[Remove]) {
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
            let (actor, remove) = (self.tools.actor.clone(), remove.clone());
            self.acts.spawn(async move {
                let outcome = actor.remove(&remove).await;
                Acted::Removed(remove, outcome)
            });
        }
    }

    /// Finds out by a list what became of creates that nothing was seen of.
    pub(super) fn start_list(&mut self, resolves: &[Resolve]) {
        let is_idle = |resolve: &&Resolve| {
            let key = (resolve.slot, resolve.epoch);
            let waits_for_room = |(_, q): &(Instant, Queued)| (q.create.slot, q.create.epoch) == key;
            !self.lanes.values().any(|lane| lane.has(key)) && !self.for_room.iter().any(waits_for_room)
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
