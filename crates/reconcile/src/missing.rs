//! Step 5: the breaker. Step 6: slots without an instance get one.

use crate::plan::{CreateReason, Resolve};
use crate::work::Work;
use crate::{Millis, Slot, backoff};
use std::collections::BTreeSet;

/// Longest time that a set waits when too many of its nodes vanish at once.
pub const HOLD_MAX: Millis = Millis::seconds(60);
/// Fewest nodes that must vanish at once for the set to wait.
const HOLD_NODES_MIN: usize = 3;
/// How long an answered or unanswered create may stay unseen before it is looked for.
pub const INTENT_TTL: Millis = Millis::seconds(30);

/// The name of the create of one epoch of one slot: the same whoever decides it, so that a repeat finds its instance.
pub fn op_id(uid: &str, slot: u32, epoch: u64) -> String {
    format!("{uid}-{slot}-{epoch}")
}

/// Whether too many of the set's nodes are lost with instances that have not been replaced: then it is more likely that
/// we are cut off than that they died.
pub(crate) fn check_breaker(work: &mut Work<'_>) {
    let mut nodes = BTreeSet::new();
    let mut lost = BTreeSet::new();
    for number in work.active() {
        nodes.extend(work.live(number).into_iter().chain(work.lost(number)).map(|i| node_of(work, i)));
        lost.extend(lost_owner(work, number).map(|i| node_of(work, i)));
    }
    if lost.len() < HOLD_NODES_MIN || lost.len() * 2 <= nodes.len() {
        return;
    }
    let since = lost.iter().filter_map(|name| work.nodes.get(name)).map(|node| node.since).min().unwrap_or_default();
    let until = since + HOLD_MAX;
    if work.now < until {
        work.held = true;
        let (lost, all) = (lost.len(), nodes.len());
        work.hold("set", format!("{lost} of {all} nodes of the set were lost at once; nothing is replaced yet"), until);
    }
}

fn node_of<'a>(work: &Work<'a>, index: usize) -> &'a str {
    work.seen[index].instance.node.as_str()
}

/// The instance on a lost node that owns the slot and has not been replaced.
fn lost_owner(work: &Work<'_>, number: u32) -> Option<usize> {
    let slot = work.slots.get(&number)?;
    let is_empty = slot.intent.is_none() && work.live(number).is_empty();
    let owner = work.lost(number).into_iter().find(|i| work.seen[*i].instance.epoch == slot.epoch);
    owner.filter(|_| is_empty)
}

/// Creates what is missing, unless it waits.
pub(crate) fn fill(work: &mut Work<'_>) {
    let generation = work.generation_to_fill();
    for number in work.active() {
        let slot = &work.slots[&number];
        if slot.intent.is_some() || !work.live(number).is_empty() {
            continue;
        }
        let is_lost = lost_owner(work, number).is_some();
        if is_lost && work.held {
            continue;
        }
        if let Some(until) = backoff::blocked_until(slot, generation, work.now) {
            let reason = format!("failed {} times in a row: {}", slot.failures, slot.reason);
            work.hold_slot(number, reason, until);
            continue;
        }
        let reason = match slot.epoch {
            0 => CreateReason::New,
            _ if is_lost => CreateReason::NodeLost,
            epoch if epoch == slot.failed_epoch => CreateReason::Failed,
            _ => CreateReason::Vanished,
        };
        work.create(number, generation, reason);
    }
}

/// Notes the creates that nothing has been seen of for too long. Those of slots that were given up are among them: they
/// end when their instances appear, or when they are found never to have been.
pub(crate) fn find_overdue(work: &mut Work<'_>) {
    let open = |slot: &Slot| slot.intent.as_ref().map(|intent| (slot.slot, intent.clone()));
    for (slot, intent) in work.slots.values().filter_map(open).collect::<Vec<_>>() {
        let overdue_at = intent.sent_at + INTENT_TTL;
        work.wake(overdue_at);
        if work.now >= overdue_at {
            work.resolves.push(Resolve { slot, epoch: intent.epoch, op_id: intent.op_id });
        }
    }
}
