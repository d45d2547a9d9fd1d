//! How the set is, told to whoever asks.

use super::lane::Queued;
use super::memory::chain;
use super::{Leaving, Worker};
use crate::Error;
use crate::shown::{Desired, Shown};
use eru_api::controller::Condition;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

impl Worker {
    pub(super) fn name(&self) -> String {
        self.tools.desired.borrow().set.name.clone()
    }

    /// Takes note of an error of the store, or of a record that it does not take.
    ///
    /// # Errors
    /// [`Error::Deposed`]: that one is everybody's.
    pub(super) fn store_failed(&mut self, error: Error) -> Result<(), Error> {
        match error {
            Error::Deposed => Err(error),
            error => {
                self.note_store_failure(&error);
                self.turn_by(self.store_pause.pending());
                Ok(())
            }
        }
    }

    pub(super) fn note_store_failure(&mut self, error: &Error) {
        let text = chain(error);
        if self.store_pause.failed(&text, self.tools.clock.now()) {
            tracing::warn!(set = %self.name(), error = %text, "the records of a set cannot be stored or read");
        }
        let shown = (**self.tools.shown.borrow()).clone();
        self.publish(shown);
    }

    pub(super) fn publish_blind(&self, desired: &Desired, problem: String) {
        let mut shown = self.tools.shown.borrow().beside(&desired.set);
        shown.plain = format!("nothing is done while the core is not heard: {problem}");
        shown.status.updated_at_ms = self.tools.clock.now().0;
        self.publish(shown);
    }

    /// Shows how the set is, with all that fails.
    pub(super) fn publish(&self, mut shown: Shown) {
        shown.say(self.conditions(), &self.waits());
        let is_news = self.tools.shown.send_if_modified(|known| {
            let is_news = !known.says_the_same_as(&shown);
            if is_news {
                *known = Arc::new(shown);
            }
            is_news
        });
        if is_news {
            self.tools.version.send_modify(|version| *version += 1);
        }
    }

    /// What keeps failing for the set as a whole.
    fn conditions(&self) -> Vec<Condition> {
        let mut all = Vec::new();
        for pause in [&self.store_pause, &self.progress_pause] {
            let what = "its records cannot be stored or read";
            all.extend(pause.trouble().map(|trouble| trouble.condition("store-failed", what)));
        }
        for (generation, lane) in self.lanes.iter().filter(|(_, lane)| !lane.is_idle()) {
            let what = format!("a create of generation {generation} is asked for again");
            all.extend(lane.pause.trouble().map(|trouble| trouble.condition("create-failed", &what)));
            let now = Instant::now();
            let since = lane.unanswered(now).map(|(_, since)| since).min();
            all.extend(since.map(|since| {
                let (len, what) = (lane.unanswered(now).count(), "creates");
                let text = format!("{len} {what} of generation {generation} are not answered by the core for long");
                Condition { reason: "create-unanswered".to_owned(), text, since_ms: since.0, ..Condition::default() }
            }));
        }
        let mut failed: Vec<_> = self
            .leaving
            .iter()
            .filter_map(|(id, leaving)| match leaving {
                Leaving::Failed(pause) => pause.trouble().map(|trouble| (id, trouble)),
                Leaving::UnderWay(_) | Leaving::Gone(_) => None,
            })
            .collect();
        // The one that fails for longest stands for all.
        failed.sort_by_key(|(id, trouble)| (trouble.since, *id));
        all.extend(
            failed
                .first()
                .map(|(id, trouble)| trouble.condition("remove-failed", &format!("workload {id} cannot be removed"))),
        );
        let what = "its workloads cannot be listed";
        all.extend(self.list_pause.trouble().map(|trouble| trouble.condition("list-failed", what)));
        all
    }

    /// Why slots wait for a create, and until when (0 = until something happens).
    fn waits(&self) -> BTreeMap<u32, (String, i64)> {
        let mut waits = BTreeMap::new();
        for lane in self.lanes.values() {
            if let Some(trouble) = lane.pause.trouble() {
                waits.extend(lane.waiting().map(|slot| (slot, (trouble.text.clone(), trouble.retry_at.0))));
            }
            let text = "the core has not answered the create for long";
            waits.extend(lane.unanswered(Instant::now()).map(|(slot, _)| (slot, (text.to_owned(), 0))));
        }
        let for_room = |(_, queued): &(Instant, Queued)| {
            let reason = queued.refused.clone().unwrap_or_default();
            (queued.create.slot, (reason, 0))
        };
        waits.extend(self.for_room.iter().map(for_room));
        waits
    }
}
