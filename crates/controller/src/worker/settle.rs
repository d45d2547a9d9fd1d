//! What became of the acts.

use super::lane::Queued;
use super::pause::Pause;
use super::{Acted, GONE_AFTER, Leaving, Worker};
use crate::Error;
use crate::act::Outcome;
use eru_reconcile::{Remove, RemoveReason, Resolve, Slot, create_failed};
use std::collections::BTreeSet;
use std::time::Duration;
use tokio::time::Instant;

/// How long a create that was refused waits at most for the removals of its set.
const ROOM_WAIT: Duration = Duration::from_secs(5);
/// How often it does: others of its set may take the room that was made, but a removal that fails again and again makes none.
const ROOM_TRIES: u32 = 5;

/// The outcome. Which act has panicked is not known, so that the worker ends with it and the next one begins anew: what was
/// under way is on record. Acts are aborted only with the worker.
fn settled(acted: Result<Acted, tokio::task::JoinError>) -> Acted {
    acted.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

impl Worker {
    /// Notes an outcome. If the store fails in that, the create stays open and is looked for when it is overdue.
    pub(super) async fn settle_or_wait(&mut self, acted: Result<Acted, tokio::task::JoinError>) -> Result<(), Error> {
        match self.settle(acted).await {
            Ok(()) => Ok(()),
            Err(error) => self.store_failed(error),
        }
    }

    async fn settle(&mut self, acted: Result<Acted, tokio::task::JoinError>) -> Result<(), Error> {
        match settled(acted) {
            Acted::Created(queued, outcome) => self.settle_create(queued, outcome).await,
            Acted::Removed(remove, outcome) => {
                self.settle_remove(remove, outcome);
                Ok(())
            }
            Acted::Listed(resolves, found) => self.settle_list(resolves, found).await,
        }
    }

    async fn settle_create(&mut self, mut queued: Queued, outcome: Outcome) -> Result<(), Error> {
        let (slot, epoch, generation) = (queued.create.slot, queued.create.epoch, queued.create.generation);
        let (is_making_room, room_made_at) = (self.is_making_room(), self.room_made_at);
        let sent_at = self.lane(generation).answered(&queued);
        let reason = match outcome {
            Outcome::Done(id) => {
                tracing::debug!(workload = %id, slot, "an instance was created");
                self.lane(generation).succeeded();
                return Ok(());
            }
            Outcome::Refused(reason) => reason,
            Outcome::Unsent(reason) => {
                self.ask_again(queued, &reason);
                return Ok(());
            }
            Outcome::Unknown(reason) => {
                queued.was_sent = true;
                self.ask_again(queued, &reason);
                return Ok(());
            }
        };
        let was_making_room =
            is_making_room || matches!((sent_at, room_made_at), (Some(sent), Some(made)) if made > sent);
        // One that was seen for a moment has had its room.
        if was_making_room && queued.refusals < ROOM_TRIES && self.is_open(&queued.create) {
            // What is on its way out may be just what there is no room for.
            tracing::debug!(slot, epoch, error = %reason, "a create waits for the removals of its set");
            queued.refusals += 1;
            // A repeat may be refused only for being one; the first word is the one that says why.
            queued.refused.get_or_insert(reason);
            self.for_room.push((Instant::now() + ROOM_WAIT, queued));
            return Ok(());
        }
        self.lane(generation).refused();
        tracing::warn!(slot, epoch, error = %reason, "an instance was not created");
        let reason = queued.refused.unwrap_or(reason);
        if let Some(slot) = self.slots.get(&slot) {
            self.put_slot(create_failed(slot, epoch, generation, self.tools.clock.now(), &reason)).await?;
        }
        Ok(())
    }

    fn ask_again(&mut self, queued: Queued, reason: &str) {
        let (slot, epoch, now) = (queued.create.slot, queued.create.epoch, self.tools.clock.now());
        if self.lane(queued.create.generation).again(queued, reason, now) {
            tracing::warn!(slot, epoch, error = %reason, "a create is asked for again");
        }
    }

    fn settle_remove(&mut self, remove: Remove, outcome: Outcome) {
        let Remove { id, reason, .. } = remove;
        let mut pause = match self.leaving.remove(&id) {
            Some(Leaving::UnderWay(pause)) => pause,
            _ => Pause::new(),
        };
        self.room_made_at = Some(Instant::now());
        // The room of one is for one.
        let now = Instant::now();
        if let Some((until, _)) = self.for_room.iter_mut().find(|(until, _)| *until > now) {
            *until = now;
        }
        match outcome {
            Outcome::Done(_) => {
                self.leaving.insert(id.clone(), Leaving::Gone(Instant::now() + GONE_AFTER));
                // What was leaving before is not of this removal.
                if reason == RemoveReason::SetRemoved {
                    self.removed.push(id);
                }
            }
            Outcome::Refused(reason) | Outcome::Unsent(reason) | Outcome::Unknown(reason) => {
                if pause.failed(&reason, self.tools.clock.now()) {
                    tracing::warn!(workload = %id, error = %reason, "an instance was not removed");
                }
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
        let found: BTreeSet<String> = match found {
            Ok(found) => found.into_iter().map(|(op_id, _)| op_id).collect(),
            Err(error) => {
                if self.list_pause.failed(&error.to_string(), self.tools.clock.now()) {
                    tracing::warn!(%error, "workloads cannot be listed");
                }
                return Ok(());
            }
        };
        // A create that core has is shown by the stream sooner or later.
        self.list_pause.wait();
        for Resolve { slot, epoch, op_id } in resolves.into_iter().filter(|resolve| !found.contains(&resolve.op_id)) {
            let intent = |slot: &&Slot| slot.intent.as_ref().is_some_and(|intent| intent.epoch == epoch);
            let Some((of, generation)) = self
                .slots
                .get(&slot)
                .filter(intent)
                .and_then(|slot| slot.intent.as_ref().map(|intent| (slot, intent.generation)))
            else {
                continue;
            };
            tracing::warn!(slot, epoch, op_id, "a create has left nothing");
            // Counted as a failure: a core that says yes and makes nothing, or what nobody can see, is asked less and less.
            let text = "the core has nothing of what it was asked to create";
            self.put_slot(create_failed(of, epoch, generation, self.tools.clock.now(), text)).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::act::Actor;
    use crate::clock::Clock;
    use crate::observe::Observer;
    use crate::record::SetRecord;
    use crate::shown::{Desired, Shown};
    use crate::store::Store;
    use crate::worker::Tools;
    use eru_api::controller::ReplicaSetSpec;
    use eru_client::{Client, ClientOptions};
    use eru_kv::{Embedded, EmbeddedOptions};
    use eru_reconcile::{Create, CreateReason, Intent, Millis, Strategy};
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use tokio::sync::watch;
    use tokio_util::sync::CancellationToken;

    fn desired(removing: bool) -> Desired {
        let set = SetRecord {
            name: "web".into(),
            uid: "u".into(),
            generation: 1,
            template_generation: 1,
            count: 1,
            strategy: Strategy::default(),
            removing,
            created_at_ms: 0,
            other: serde_json::Map::new(),
        };
        Desired { set, specs: BTreeMap::from([(1, ReplicaSetSpec::default())]) }
    }

    /// A worker without a core, with one open create.
    fn worker(
        kv: Arc<dyn eru_kv::Kv>,
        wish: watch::Receiver<Arc<Desired>>,
        stop: CancellationToken,
    ) -> (Worker, Create) {
        let client = Client::connect(&["127.0.0.1:1".to_owned()], ClientOptions::default()).unwrap();
        let clock = Clock::start();
        let mut worker = Worker::new(Tools {
            observer: Observer::start(client.clone(), clock, stop),
            actor: Actor::new(&client, "web", "u", 1),
            store: Store::new(kv, Vec::new()),
            clock,
            desired: wish,
            shown: watch::Sender::new(Arc::new(Shown::default())),
            version: watch::Sender::new(0),
        });
        let op_id = "u-0-1".to_owned();
        let intent = Intent { op_id: op_id.clone(), epoch: 1, generation: 1, sent_at: Millis(0) };
        let slot = Slot { slot: 0, epoch: 1, active: true, intent: Some(intent), ..Slot::default() };
        worker.slots.insert(0, slot);
        (worker, Create { slot: 0, epoch: 1, generation: 1, op_id, reason: CreateReason::New })
    }

    #[tokio::test]
    async fn a_yes_that_made_nothing_is_a_failure_and_one_that_made_something_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let kv = Embedded::open(folder.path(), EmbeddedOptions::default()).unwrap();
        let (stop, (_wish, wish)) = (CancellationToken::new(), watch::channel(Arc::new(desired(false))));
        let _stops = stop.clone().drop_guard();
        let (mut worker, create) = worker(kv, wish, stop);
        let queued = Queued::new(create.clone(), false);
        worker.settle(Ok(Acted::Created(queued, Outcome::Done(String::new())))).await.unwrap();
        let resolves = vec![Resolve { slot: 0, epoch: 1, op_id: create.op_id.clone() }];
        let list = |found| Ok(Acted::Listed(resolves.clone(), found));
        worker.settle(list(Ok(vec![(create.op_id, "id1".to_owned())]))).await.unwrap();
        assert!(worker.slots[&0].intent.is_some() && worker.slots[&0].failures == 0, "it is shown sooner or later");
        worker.settle(list(Ok(vec![("u-0-7".to_owned(), "id7".to_owned())]))).await.unwrap();
        let slot = &worker.slots[&0];
        assert_eq!((slot.intent.is_some(), slot.failures), (false, 1));
        assert_eq!(slot.reason, "the core has nothing of what it was asked to create");
        // A list that was asked for before says nothing about what was decided since.
        worker.settle(list(Ok(Vec::new()))).await.unwrap();
        assert_eq!(worker.slots[&0].failures, 1);
    }

    /// A worker without a core, whose only create has this outcome; then what becomes of it when the set is removed:
    /// whether it is sent again, and whether it is still on record.
    async fn after_removal(was_sent: bool, outcome: Outcome) -> (bool, bool) {
        let folder = tempfile::tempdir().unwrap();
        let kv = Embedded::open(folder.path(), EmbeddedOptions::default()).unwrap();
        let (stop, (_wish, wish)) = (CancellationToken::new(), watch::channel(Arc::new(desired(false))));
        let _stops = stop.clone().drop_guard();
        let (mut worker, create) = worker(kv, wish, stop);
        worker.settle(Ok(Acted::Created(Queued::new(create, was_sent), outcome))).await.unwrap();
        worker.lane(1).pause.succeeded();
        worker.start_creates(&desired(true)).await.unwrap();
        (!worker.acts.is_empty(), worker.slots[&0].intent.is_some())
    }

    #[tokio::test]
    async fn a_create_that_never_left_is_dropped_with_the_wish_for_it() {
        let text = || "no core".to_owned();
        assert_eq!(after_removal(false, Outcome::Unsent(text())).await, (false, false));
        // What may have been sent has to be found out.
        assert_eq!(after_removal(true, Outcome::Unsent(text())).await, (true, true));
        assert_eq!(after_removal(false, Outcome::Unknown(text())).await, (true, true));
    }

    #[tokio::test]
    async fn a_set_that_is_removed_waits_for_no_create_that_was_refused() {
        for for_room in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let kv = Embedded::open(folder.path(), EmbeddedOptions::default()).unwrap();
            let (stop, (_wish, wish)) = (CancellationToken::new(), watch::channel(Arc::new(desired(false))));
            let _stops = stop.clone().drop_guard();
            let (mut worker, create) = worker(kv, wish, stop);
            worker.lane(1).refused();
            worker.lane(1).refused();
            if for_room {
                worker.leaving.insert("other".to_owned(), Leaving::UnderWay(Pause::new()));
                worker.for_room.push((Instant::now() + ROOM_WAIT, Queued::new(create, true)));
            } else {
                worker.lane(1).push(Queued::new(create, false));
            }
            worker.start_creates(&desired(true)).await.unwrap();
            assert!(worker.slots[&0].intent.is_none(), "for room: {for_room}");
            assert!(worker.for_room.is_empty() && worker.lane(1).is_idle());
        }
    }

    #[tokio::test]
    #[should_panic(expected = "an act went wrong")]
    async fn a_panic_in_an_act_is_the_workers() {
        let panicked = tokio::spawn(async { panic!("an act went wrong") }).await;
        let _: Acted = settled(panicked);
    }
}
