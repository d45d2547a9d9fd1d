//! Step 7: a newer generation moves in, one slot at a time, the new instance first.

use crate::classify::{Class, Health, Seen};
use crate::plan::CreateReason;
use crate::work::Work;
use crate::{Millis, NodeState, backoff, returns};

/// Starts the next slot's update if nothing else is on its way.
pub(crate) fn roll(work: &mut Work<'_>) {
    let newest = work.set.generation;
    let is_old = |seen: &Seen<'_>| seen.is_live() && seen.instance.generation != newest;
    if work.is_stalled() || !work.seen.iter().any(is_old) {
        return;
    }
    // One that is still on its way out takes room, too.
    let is_going =
        |seen: &Seen<'_>| seen.class == Class::Removing && work.node_state(&seen.instance.node) != NodeState::Lost;
    if work.seen.iter().any(is_going) {
        return;
    }
    let mut next: Option<(bool, u32)> = None;
    for number in work.active() {
        let live = work.live(number);
        let Some(owner) = returns::owner(work, &live).map(|i| work.seen[i].clone()) else {
            // The slot is empty, waits, or has just got a create: the set is not whole, so nothing is added to that.
            return;
        };
        if work.slots[&number].intent.is_some() || live.len() > 1 {
            return;
        }
        if owner.doubt.is_some() {
            let reason = format!("the rollout waits for node {}", owner.instance.node);
            work.hold_slot(number, reason, Millis(0));
            return;
        }
        if owner.instance.generation != newest {
            let is_healthy = owner.class == Class::Live(Health::Healthy);
            next = next.into_iter().chain([(is_healthy, number)]).min();
        } else if !is_proven(work, owner.class, owner.instance.since) {
            return;
        }
    }
    let Some((_, number)) = next else { return };
    match backoff::blocked_until(&work.slots[&number], newest, work.now) {
        Some(until) => {
            let slot = &work.slots[&number];
            let reason = format!("update failed {} times in a row: {}", slot.failures, slot.reason);
            work.hold_slot(number, reason, until);
        }
        None => work.create(number, newest, CreateReason::Rollout),
    }
}

/// Whether an instance of the newest generation has been healthy long enough for the next one to follow.
fn is_proven(work: &mut Work<'_>, class: Class, since: Millis) -> bool {
    let at = since + work.set.strategy.min_healthy;
    work.wake(at);
    class == Class::Live(Health::Healthy) && work.now >= at
}

/// The last generation that had all its instances healthy, as of now.
pub(crate) fn stable_generation(work: &mut Work<'_>) -> u64 {
    let newest = work.set.generation;
    let active = work.active();
    if active.is_empty() {
        return work.set.stable_generation;
    }
    for number in active {
        let live = work.live(number);
        let Some(owner) = returns::owner(work, &live).map(|i| work.seen[i].clone()) else {
            return work.set.stable_generation;
        };
        if owner.instance.generation != newest || !is_proven(work, owner.class, owner.instance.since) {
            return work.set.stable_generation;
        }
    }
    newest
}
