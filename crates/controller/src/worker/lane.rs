//! The creates of one generation: what waits, what is under way, how many may be.
//!
//! Each generation has a lane of its own, so that a newer one that core refuses or hangs on holds up no replacement of the
//! one that works.

use super::pause::Pause;
use eru_reconcile::{Create, Millis, SlowStart};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// Creates of one lane under way at once: enough to keep a core busy, few enough to stop early.
const WIDTH_MAX: usize = 16;
/// A create that is not answered for so long does not hold up the others, and is told of. It may well be at work: an image
/// is being pulled, say.
const SLOW_AFTER: Duration = Duration::from_secs(5);
/// Failures in a row after which it is doubted that this generation can be made: one may be bad luck.
const DOUBT_AFTER: u32 = 3;
/// Most creates of one lane under way, those that take long among them.
const SENT_MAX: usize = 64;

/// A create that is decided and on record, and waits to be sent.
pub(super) struct Queued {
    pub create: Create,
    /// It may have been sent before, so that it may have happened.
    pub was_sent: bool,
    /// Why it was refused first while the set was making room, and how often it was.
    pub refused: Option<String>,
    pub refusals: u32,
}

/// The creates of one generation.
pub(super) struct Lane {
    queue: VecDeque<Queued>,
    /// When those that are under way were sent, by slot and epoch.
    sent: BTreeMap<(u32, u64), (Instant, Millis)>,
    pace: SlowStart,
    pub pause: Pause,
}

impl Queued {
    pub(super) fn new(create: Create, was_sent: bool) -> Self {
        Self { create, was_sent, refused: None, refusals: 0 }
    }

    fn key(&self) -> (u32, u64) {
        (self.create.slot, self.create.epoch)
    }
}

impl Lane {
    pub(super) fn new() -> Self {
        let pace = SlowStart::new(WIDTH_MAX);
        Self { queue: VecDeque::new(), sent: BTreeMap::new(), pace, pause: Pause::new() }
    }

    /// Puts a create at the end.
    pub(super) fn push(&mut self, queued: Queued) {
        self.queue.push_back(queued);
    }

    /// Puts a create at the beginning.
    pub(super) fn push_front(&mut self, queued: Queued) {
        self.queue.push_front(queued);
    }

    /// The next create to send, or when to look again.
    pub(super) fn next(&mut self, now: Instant) -> Result<Queued, Option<Instant>> {
        let slow_at = self.sent.values().map(|(at, _)| *at + SLOW_AFTER).filter(|at| *at > now);
        let (under_way, look_at) = (slow_at.clone().count(), slow_at.min());
        if self.queue.is_empty() {
            return Err(look_at);
        }
        if let Some(until) = self.pause.pending() {
            return Err(Some(look_at.map_or(until, |at| at.min(until))));
        }
        if self.pace.room(under_way) == 0 || self.sent.len() >= SENT_MAX {
            return Err(look_at);
        }
        self.queue.pop_front().ok_or(look_at)
    }

    /// Takes out a create that surely never left, also while the others wait.
    pub(super) fn take_unsent(&mut self) -> Option<Queued> {
        let at = self.queue.iter().position(|queued| !queued.was_sent)?;
        self.queue.remove(at)
    }

    /// A create is sent.
    pub(super) fn sent(&mut self, queued: &Queued, at: Instant, now: Millis) {
        self.sent.insert(queued.key(), (at, now));
    }

    /// A create was answered; when it had been sent.
    pub(super) fn answered(&mut self, queued: &Queued) -> Option<Instant> {
        self.sent.remove(&queued.key()).map(|(at, _)| at)
    }

    pub(super) fn succeeded(&mut self) {
        self.pace.succeeded();
        self.pause.succeeded();
    }

    /// A create failed, for a reason that is the slot's own.
    pub(super) fn refused(&mut self) {
        self.pace.failed();
        self.pause.wait();
    }

    /// A create failed, and is asked for again after the others; whether that is news.
    pub(super) fn again(&mut self, queued: Queued, text: &str, now: Millis) -> bool {
        self.pace.failed();
        self.queue.push_back(queued);
        self.pause.failed(text, now)
    }

    /// Whether creates of this generation keep failing, or are not answered for long.
    pub(super) fn is_in_doubt(&self, now: Instant) -> bool {
        let is_failing = self.pause.trouble().is_some_and(|trouble| trouble.failures >= DOUBT_AFTER);
        !self.is_idle() && (is_failing || self.unanswered(now).next().is_some())
    }

    pub(super) fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.sent.is_empty()
    }

    /// Whether it has this create.
    pub(super) fn has(&self, key: (u32, u64)) -> bool {
        self.sent.contains_key(&key) || self.queue.iter().any(|queued| queued.key() == key)
    }

    /// The slots whose creates wait to be sent.
    pub(super) fn waiting(&self) -> impl Iterator<Item = u32> {
        self.queue.iter().map(|queued| queued.create.slot)
    }

    /// The slots whose creates are not answered for long, and since when.
    pub(super) fn unanswered(&self, now: Instant) -> impl Iterator<Item = (u32, Millis)> {
        self.sent
            .iter()
            .filter(move |(_, (at, _))| now >= *at + SLOW_AFTER)
            .map(|((slot, _), (_, since))| (*slot, *since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eru_reconcile::CreateReason;

    fn queued(slot: u32) -> Queued {
        let create = Create { slot, epoch: 1, generation: 1, op_id: format!("u-{slot}-1"), reason: CreateReason::New };
        Queued::new(create, false)
    }

    fn send(lane: &mut Lane, now: Instant) -> Result<u32, Option<Instant>> {
        let next = lane.next(now)?;
        lane.sent(&next, now, Millis(0));
        Ok(next.create.slot)
    }

    #[tokio::test]
    async fn one_that_hangs_holds_up_the_others_for_a_moment_only() {
        let (mut lane, t0) = (Lane::new(), Instant::now());
        (0..200).for_each(|slot| lane.push(queued(slot)));
        assert_eq!(send(&mut lane, t0), Ok(0));
        assert_eq!(send(&mut lane, t0), Err(Some(t0 + SLOW_AFTER)));
        assert_eq!(lane.unanswered(t0).count(), 0);
        let mut now = t0 + SLOW_AFTER;
        assert_eq!(lane.unanswered(now).collect::<Vec<_>>(), [(0, Millis(0))]);
        // If all of them hang, it ends somewhere.
        let mut sent = 1;
        while send(&mut lane, now).is_ok() {
            (sent, now) = (sent + 1, now + SLOW_AFTER);
        }
        assert_eq!(sent, SENT_MAX);
        assert!(lane.has((0, 1)) && lane.has((199, 1)) && !lane.has((199, 2)));
    }

    #[tokio::test]
    async fn one_that_fails_is_tried_after_the_others() {
        let (mut lane, t0) = (Lane::new(), Instant::now());
        (0..2).for_each(|slot| lane.push(queued(slot)));
        let first = lane.next(t0).ok().unwrap();
        assert!(lane.again(first, "no answer", Millis(1)));
        assert_eq!(lane.pause.trouble().unwrap().failures, 1);
        let until = send(&mut lane, t0).unwrap_err().unwrap();
        tokio::time::sleep_until(until).await;
        assert_eq!(send(&mut lane, until), Ok(1));
        lane.answered(&queued(1));
        lane.succeeded();
        assert_eq!((send(&mut lane, until), lane.pause.trouble()), (Ok(0), None));
    }
}
