//! Step 2: failures are counted once, and a slot that keeps failing waits longer each time.

use crate::classify::{Class, Health};
use crate::plan::RemoveReason;
use crate::work::Work;
use crate::{Millis, Slot};

/// Longest wait between two tries of a slot.
pub const FAILURE_DELAY_MAX: Millis = Millis::seconds(60);
/// Shortest time of health after which earlier failures are forgotten.
const FORGET_AFTER_MIN: Millis = Millis::seconds(60);
/// Failures before health after which a generation is not what the missing are made of any more, and exits after which its
/// rollout stops: one may be bad luck, three in a row are the spec's.
pub(crate) const ROLLOUT_TRIES: u32 = 3;
/// Longest reason that is remembered of a failure, in bytes.
const REASON_BYTES_MAX: usize = eru_types::limits::REASON_BYTES_MAX;

/// The wait after so many failures in a row: 0, 1, 2, 4 and so on up to 60 s.
pub fn delay_after(failures: u32) -> Millis {
    match failures {
        0 | 1 => Millis(0),
        n => Millis(1000_i64 << (n - 2).min(16)).min(FAILURE_DELAY_MAX),
    }
}

/// The slot after the create of `epoch`, of this generation, failed for certain. Its intent may be closed already: what
/// could not start is seen for a moment, and is gone before the answer comes.
#[must_use]
pub fn create_failed(slot: &Slot, epoch: u64, generation: u64, now: Millis, reason: &str) -> Slot {
    let mut slot = slot.clone();
    slot.intent.take_if(|intent| intent.epoch == epoch);
    charge(&mut slot, generation, epoch, now, reason);
    slot
}

/// The slot after it was found out that the create of `epoch` never happened. It is no failure of the slot.
#[must_use]
pub fn forget_intent(slot: &Slot, epoch: u64) -> Slot {
    let mut slot = slot.clone();
    slot.intent.take_if(|intent| intent.epoch == epoch);
    slot
}

fn charge(slot: &mut Slot, generation: u64, epoch: u64, now: Millis, reason: &str) {
    if epoch <= slot.failed_epoch {
        return;
    }
    if generation != slot.failed_generation {
        slot.failures = 0;
    }
    slot.failed_epoch = epoch;
    slot.failed_generation = generation;
    slot.failures = slot.failures.saturating_add(1);
    slot.retry_at = now + delay_after(slot.failures);
    slot.reason = excerpt(reason);
}

/// The beginning of a reason, cut at a character.
fn excerpt(reason: &str) -> String {
    let end = (0..=reason.len().min(REASON_BYTES_MAX)).rev().find(|i| reason.is_char_boundary(*i)).unwrap_or(0);
    reason[..end].to_owned()
}

/// Counts the failures that are new, stops the rollout that they show to be bad, and forgets failures after health.
pub(crate) fn count_failures(work: &mut Work<'_>) {
    let has_older = work.seen.iter().any(|seen| seen.is_live() && seen.instance.generation != work.set.generation);
    let can_go_back =
        has_older || !matches!(work.set.stable_generation, 0) && work.set.stable_generation != work.set.generation;
    for index in 0..work.seen.len() {
        let seen = work.seen[index].clone();
        let Some(slot) = work.slots.get_mut(&seen.instance.slot) else { continue };
        let instance = seen.instance;
        match seen.class {
            Class::Dead(cause) if instance.epoch > slot.failed_epoch => {
                charge(slot, instance.generation, instance.epoch, work.now, &failure_text(cause, &instance.reason));
                let was_healthy = instance.epoch <= slot.healthy_epoch;
                let hopeless = cause == RemoveReason::NeverHealthy || slot.failures >= ROLLOUT_TRIES;
                if instance.generation == work.set.generation && can_go_back && !was_healthy && hopeless {
                    slot.stalled_generation = instance.generation;
                }
            }
            Class::Live(Health::Healthy) if slot.failures > 0 && instance.epoch > slot.failed_epoch => {
                let forget_after = FORGET_AFTER_MIN.max(Millis(3 * delay_after(slot.failures).0));
                if work.now >= instance.since + forget_after {
                    slot.failures = 0;
                    slot.retry_at = Millis(0);
                    slot.reason.clear();
                } else {
                    work.wake(instance.since + forget_after);
                }
            }
            _ => {}
        }
    }
}

fn failure_text(cause: RemoveReason, reason: &str) -> String {
    let what = match cause {
        RemoveReason::NeverHealthy => "did not become healthy in time",
        RemoveReason::Unhealthy => "stayed unhealthy",
        _ => "ended",
    };
    if reason.is_empty() { what.to_owned() } else { format!("{what}: {reason}") }
}

/// Until when the slot must not be tried with this generation; a generation that has not failed yet may at once.
pub(crate) fn blocked_until(slot: &Slot, generation: u64, now: Millis) -> Option<Millis> {
    (slot.failed_generation == generation && slot.retry_at > now).then_some(slot.retry_at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Intent;

    #[test]
    fn delays_double_up_to_a_minute() {
        let delays: Vec<i64> = (0..10).map(|n| delay_after(n).0 / 1000).collect();
        assert_eq!(delays, [0, 0, 1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(delay_after(u32::MAX), FAILURE_DELAY_MAX);
    }

    #[test]
    fn a_failed_create_counts_once_and_only_for_its_epoch() {
        let intent = Intent { op_id: "op".into(), epoch: 3, generation: 1, sent_at: Millis(0) };
        let slot = Slot { epoch: 3, intent: Some(intent), ..Slot::default() };
        let failed = create_failed(&slot, 3, 1, Millis(9), "no room");
        assert_eq!((failed.failures, failed.retry_at, failed.intent.as_ref()), (1, Millis(9), None));
        assert_eq!(create_failed(&failed, 3, 1, Millis(10), "again"), failed);
        assert_eq!(create_failed(&failed, 2, 1, Millis(10), "late"), failed);
        assert_eq!(forget_intent(&slot, 3), Slot { epoch: 3, ..Slot::default() });
    }

    #[test]
    fn a_create_that_was_seen_and_vanished_before_it_was_refused_counts() {
        let intent = Intent { op_id: "op".into(), epoch: 4, generation: 1, sent_at: Millis(0) };
        let slot = Slot { epoch: 4, intent: Some(intent), ..Slot::default() };
        let failed = create_failed(&slot, 3, 1, Millis(9), "cannot execute");
        assert_eq!((failed.failures, failed.reason.as_str()), (1, "cannot execute"));
        assert_eq!(failed.intent, slot.intent);
    }

    #[test]
    fn long_reasons_are_cut_at_a_character() {
        let slot = &mut Slot::default();
        charge(slot, 1, 1, Millis(0), &"é".repeat(REASON_BYTES_MAX));
        assert_eq!(slot.reason, "é".repeat(REASON_BYTES_MAX / 2));
    }
}
