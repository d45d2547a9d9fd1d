//! Step 4: which slots a smaller set gives up. Step 8: instances that are to go leave, as far as enough others are
//! healthy.

use crate::classify::{Class, Health, Seen};
use crate::plan::{KeepReason, RemoveReason};
use crate::work::Work;
use crate::{Millis, Slot, returns};
use std::cmp::Reverse;
use std::collections::BTreeMap;

/// Makes as many slots active as instances are wanted.
pub(crate) fn fit_slots(work: &mut Work<'_>) {
    let (active, count) = (work.active(), work.set.count as usize);
    let given_up = if active.len() > count { victims(work, &active, active.len() - count) } else { Vec::new() };
    for number in given_up {
        work.slots.get_mut(&number).expect("active slots are on record").active = false;
    }
    for number in vacancies(work, count.saturating_sub(active.len())) {
        work.slots.entry(number).or_insert_with(|| Slot { slot: number, ..Slot::default() }).active = true;
    }
    for index in 0..work.seen.len() {
        let seen = &work.seen[index];
        let is_retired = work.slots.get(&seen.instance.slot).is_some_and(|slot| !slot.active);
        if is_retired && seen.is_live() {
            match seen.doubt {
                // A tombstone: removed when its node is back.
                Some(doubt) => work.keep(index, doubt),
                None => work.leaving.push((index, RemoveReason::ScaledDown)),
            }
        }
    }
}

/// What speaks for giving a slot up, smaller first: nothing there, starting, unhealthy; older generation; (most crowded
/// node;) node in doubt; more failures; younger; higher number.
type Worth = ((u8, bool), (bool, Reverse<u32>, Reverse<i64>, Reverse<u32>));

/// The slots to give up. Ranked again after each one: it changes how crowded its node is for the others.
fn victims(work: &Work<'_>, active: &[u32], len: usize) -> Vec<u32> {
    let mut crowd: BTreeMap<&str, usize> = BTreeMap::new();
    let mut left: Vec<(u32, Worth, Option<&str>)> = Vec::new();
    for number in active {
        let owner = returns::owner(work, &work.live(*number)).map(|i| &work.seen[i]);
        let node = owner.map(|seen| seen.instance.node.as_str());
        *crowd.entry(node.unwrap_or_default()).or_default() += 1;
        left.push((*number, worth(work, &work.slots[number], owner), node));
    }
    let mut victims = Vec::new();
    while victims.len() < len {
        let key =
            |(_, (first, last), node): &(u32, Worth, Option<&str>)| (*first, Reverse(node.map(|n| crowd[n])), *last);
        let Some(index) = (0..left.len()).min_by_key(|i| key(&left[*i])) else { break };
        let (number, _, node) = left.swap_remove(index);
        *crowd.entry(node.unwrap_or_default()).or_default() -= 1;
        victims.push(number);
    }
    victims
}

fn worth(work: &Work<'_>, slot: &Slot, owner: Option<&Seen<'_>>) -> Worth {
    let (failures, number) = (Reverse(slot.failures), Reverse(slot.slot));
    let Some(seen) = owner else {
        return ((u8::from(slot.intent.is_some()), false), (false, failures, Reverse(i64::MAX), number));
    };
    let health = match seen.class {
        Class::Live(Health::Starting) => 2,
        Class::Live(Health::Healthy) => 4,
        _ => 3,
    };
    let start = if seen.instance.started_at == Millis(0) { i64::MAX } else { seen.instance.started_at.0 };
    let is_newest = seen.instance.generation == work.set.generation;
    ((health, is_newest), (seen.doubt.is_none(), failures, Reverse(start), number))
}

/// The slots to use next: those that were given up and still have a healthy instance, then the lowest free numbers.
fn vacancies(work: &Work<'_>, len: usize) -> Vec<u32> {
    let is_free = |number: &u32| work.slots.get(number).is_none_or(|slot| !slot.active);
    let mut serving: Vec<u32> = work.seen.iter().filter(|seen| seen.is_reliable()).map(|s| s.instance.slot).collect();
    serving.dedup();
    let serving: Vec<u32> = serving.into_iter().filter(is_free).take(len).collect();
    let rest = (0..=u32::MAX).filter(|number| is_free(number) && !serving.contains(number)).take(len - serving.len());
    serving.iter().copied().chain(rest).collect()
}

/// Lets the leaving go, in the order of their worth, as long as enough others are healthy.
pub(crate) fn release(work: &mut Work<'_>) {
    let mut leaving = std::mem::take(&mut work.leaving);
    leaving.sort_by_key(|(index, reason)| {
        let seen = &work.seen[*index];
        (seen.class == Class::Live(Health::Healthy), *reason, seen.instance.slot, seen.instance.epoch)
    });
    let mut healthy = work.healthy_count();
    for (index, reason) in leaving {
        if !work.seen[index].is_reliable() {
            work.remove(index, reason, 0);
        } else if healthy > work.set.count as usize {
            healthy -= 1;
            work.remove(index, reason, work.set.count);
        } else {
            work.keep(index, KeepReason::TooFewHealthy);
        }
    }
}
