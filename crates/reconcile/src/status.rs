//! Step 9: how the set is, in figures, one word and one sentence. No time that passes is in it, so that a status
//! changes only when something does.

use crate::classify::{Class, Health, Seen};
use crate::plan::{Phase, SlotState, SlotStatus, Status};
use crate::work::Work;
use crate::{InstancePhase, returns};

/// Describes the set as the plan leaves it.
pub(crate) fn describe(work: &Work<'_>, stable_generation: u64) -> Status {
    let slots: Vec<SlotStatus> = work.active().into_iter().map(|number| describe_slot(work, number)).collect();
    let live = || work.seen.iter().filter(|seen| seen.is_live());
    let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let intents = work.slots.values().filter(|slot| slot.active && slot.intent.is_some()).count();
    let starting = live().filter(|seen| seen.class == Class::Live(Health::Starting)).count();
    let newest = |seen: &&Seen<'_>| seen.instance.generation == work.set.generation;
    let mut status = Status {
        want: work.set.count,
        running: count(live().filter(|seen| seen.instance.phase == InstancePhase::Running).count()),
        healthy: count(work.healthy_count()),
        updated: count(live().filter(newest).count()),
        starting: count(starting + intents),
        surplus: count(live().count()).saturating_sub(work.set.count),
        slots,
        ..Status::default()
    };
    // A rollout is over when its last instance has been healthy long enough.
    let is_unproven = work.set.count > 0 && stable_generation != 0 && stable_generation != work.set.generation;
    status.phase = phase(work, &status, is_unproven);
    status.message = message(work, &status);
    status
}

fn describe_slot(work: &Work<'_>, number: u32) -> SlotStatus {
    let slot = &work.slots[&number];
    let Some(seen) = returns::owner(work, &work.live(number)).map(|i| &work.seen[i]) else {
        let (state, reason) = match (&slot.intent, work.waiting.contains(&number)) {
            (Some(_), _) => (SlotState::Starting, slot.reason.clone()),
            (None, true) => (SlotState::Backoff, slot.reason.clone()),
            (None, false) if work.held => (SlotState::Held, "its node is lost".to_owned()),
            (None, false) => (SlotState::Missing, slot.reason.clone()),
        };
        return SlotStatus { slot: number, id: String::new(), state, reason };
    };
    let (state, reason) = match seen.class {
        _ if seen.doubt.is_some() => {
            (SlotState::Unknown, format!("node {} is {}", seen.instance.node, doubt_word(seen)))
        }
        Class::Live(Health::Healthy) => (SlotState::Healthy, String::new()),
        Class::Live(Health::Starting) => (SlotState::Starting, first_of(&seen.instance.reason, &slot.reason)),
        Class::Live(Health::Unknown) => (SlotState::Unknown, "its report has expired".to_owned()),
        _ => (SlotState::Unhealthy, seen.instance.reason.clone()),
    };
    SlotStatus { slot: number, id: seen.instance.id.clone(), state, reason }
}

fn doubt_word(seen: &Seen<'_>) -> &'static str {
    match seen.doubt {
        Some(crate::KeepReason::NodeUnwatched) => "unwatched",
        _ => "suspect",
    }
}

fn first_of(a: &str, b: &str) -> String {
    if a.is_empty() { b } else { a }.to_owned()
}

fn phase(work: &Work<'_>, status: &Status, is_unproven: bool) -> Phase {
    let is_outdated = |seen: &Seen<'_>| seen.is_live() && seen.instance.generation != work.set.generation;
    let state = |wanted: &[SlotState]| status.slots.iter().any(|slot| wanted.contains(&slot.state));
    if work.set.removing {
        Phase::Removing
    } else if work.held {
        Phase::Held
    } else if work.is_stalled() {
        Phase::Stalled
    } else if work.seen.iter().any(is_outdated) {
        Phase::Rolling
    } else if state(&[
        SlotState::Backoff,
        SlotState::Unhealthy,
        SlotState::Unknown,
        SlotState::Missing,
        SlotState::Held,
    ]) {
        Phase::Degraded
    } else if state(&[SlotState::Starting]) {
        Phase::Starting
    } else if is_unproven {
        Phase::Rolling
    } else if status.surplus > 0 {
        Phase::Surplus
    } else {
        Phase::Healthy
    }
}

fn message(work: &Work<'_>, status: &Status) -> String {
    let whole = format!("{} of {} healthy", status.healthy, status.want);
    let trouble = status.slots.iter().find(|slot| !slot.reason.is_empty());
    match status.phase {
        Phase::Removing => {
            let left = work.seen.iter().filter(|seen| seen.class != Class::Foreign).count();
            format!("{left} instances are still there")
        }
        Phase::Held => work.holds.iter().find(|hold| hold.what == "set").map_or(whole, |hold| hold.reason.clone()),
        Phase::Stalled => {
            let slot = work.slots.values().find(|slot| slot.active && slot.stalled_generation == work.set.generation);
            let (number, reason) = slot.map_or((0, ""), |slot| (slot.slot, slot.reason.as_str()));
            format!("generation {} stopped at slot {number}: {reason}; {whole}", work.set.generation)
        }
        Phase::Rolling => match work.holds.iter().find(|hold| hold.what.starts_with("slot")) {
            Some(hold) => format!("{} of {} updated; {}: {}", status.updated, status.want, hold.what, hold.reason),
            None => format!("{} of {} updated, {whole}", status.updated, status.want),
        },
        Phase::Degraded | Phase::Starting => match trouble {
            Some(slot) => format!("{whole}; slot {}: {}", slot.slot, slot.reason),
            None => whole,
        },
        Phase::Surplus => format!("{whole}, {} too many", status.surplus),
        Phase::Healthy => whole,
    }
}
