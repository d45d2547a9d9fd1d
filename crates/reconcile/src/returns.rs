//! Step 3: slots with several live instances, because a lost node came back or a newer generation is moving in.
//!
//! One of them owns the slot. The others wait, take over, or leave; how they leave is the surplus step's.

use crate::classify::{Class, Health, Seen};
use crate::plan::{KeepReason, RemoveReason};
use crate::work::Work;
use crate::{Millis, Policy};
use std::cmp::Reverse;

/// Decides who owns each contested slot.
pub(crate) fn settle_returns(work: &mut Work<'_>) {
    for number in work.active() {
        let live = work.live(number);
        match live.len() {
            0 => {}
            1 => work.keep(live[0], work.seen[live[0]].keep_reason()),
            _ => contest(work, &live),
        }
    }
}

/// Index of the live instance that owns the slot.
pub(crate) fn owner(work: &Work<'_>, live: &[usize]) -> Option<usize> {
    match live {
        [only] => Some(*only),
        _ => live.iter().copied().min_by_key(|i| rank(work, &work.seen[*i])),
    }
}

/// Smaller is better.
fn rank(work: &Work<'_>, seen: &Seen<'_>) -> (u8, bool, i64, Reverse<u64>, String) {
    let instance = seen.instance;
    let health = match seen.class {
        Class::Live(Health::Healthy) if seen.doubt.is_none() => 0,
        Class::Live(Health::Healthy) => 1,
        Class::Live(Health::Starting | Health::Unknown | Health::Restarting) => 2,
        _ => 3,
    };
    let epoch = i64::try_from(instance.epoch).unwrap_or(i64::MAX);
    // An unknown start is taken for the latest.
    let start = if instance.started_at == Millis(0) { i64::MAX } else { instance.started_at.0 };
    let (merit, tie) = match work.set.strategy.keep {
        Policy::Best => (start, Reverse(instance.epoch)),
        Policy::Longest => (start, Reverse(u64::MAX - instance.epoch)),
        Policy::Original => (epoch, Reverse(0)),
        Policy::Replacement => (-epoch, Reverse(0)),
        Policy::Healthiest => (instance.since.0, Reverse(instance.epoch)),
    };
    (health, instance.generation != work.set.generation, merit, tie, instance.id.clone())
}

fn contest(work: &mut Work<'_>, live: &[usize]) {
    let owner_index = owner(work, live).expect("a contest has instances");
    let owner = work.seen[owner_index].clone();
    let newest = work.set.generation;
    let settled_at =
        live.iter().map(|i| work.seen[*i].instance.since + work.set.strategy.return_settle).max().unwrap_or_default();
    work.keep(owner_index, owner.keep_reason());
    for &index in live.iter().filter(|i| **i != owner_index) {
        let other = work.seen[index].clone();
        let generation = other.instance.generation;
        if let Some(doubt) = other.doubt {
            // Nothing on a silent node can be removed now, and it may yet turn out to be the one to keep.
            work.keep(index, doubt);
        } else if generation == newest && owner.instance.generation != newest {
            // The only better thing about the owner is that it is healthy already.
            work.keep(index, KeepReason::TakingOver);
        } else if generation != newest && !other.is_reliable() {
            work.leaving.push((index, RemoveReason::Outdated));
        } else if !owner.is_reliable() {
            work.keep(index, KeepReason::Settling);
        } else if generation != newest && owner.instance.generation == newest {
            leave_at(work, index, owner.instance.since + work.set.strategy.min_healthy, true);
        } else {
            leave_at(work, index, settled_at, false);
        }
    }
}

fn leave_at(work: &mut Work<'_>, index: usize, at: Millis, superseded: bool) {
    if work.now >= at {
        let reason = if superseded { RemoveReason::Superseded } else { RemoveReason::Surplus };
        work.leaving.push((index, reason));
    } else {
        work.wake(at);
        work.keep(index, if superseded { KeepReason::HandingOver } else { KeepReason::Settling });
    }
}
