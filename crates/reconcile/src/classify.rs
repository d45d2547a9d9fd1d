//! Step 1: what each instance is. The first rule that fits decides.
//!
//! | instance | class |
//! | --- | --- |
//! | of another owner | foreign |
//! | being removed | removing |
//! | node lost | lost |
//! | report expired, or node in doubt and no proof of an exit | live, unknown or as reported |
//! | ended; the runtime may restart it and has had less than 3 s | live, restarting |
//! | ended | dead |
//! | healthy | live, healthy |
//! | unhealthy, was healthy before, for longer than `unhealthy_after` | dead |
//! | unhealthy, never was healthy, for longer than `healthy_deadline` | dead |
//! | else | live, unhealthy or starting |

use crate::plan::{KeepReason, RemoveReason};
use crate::work::Work;
use crate::{Instance, InstancePhase, Millis, NodeState, View};
use std::collections::BTreeSet;

/// What a runtime with a restart policy has for a restart of its own before the instance counts as dead.
const ENGINE_WINDOW: Millis = Millis::seconds(3);

/// An instance and what it is.
#[derive(Debug, Clone)]
pub(crate) struct Seen<'a> {
    pub instance: &'a Instance,
    pub class: Class,
    /// State of its node, when that is in doubt.
    pub doubt: Option<KeepReason>,
}

/// What an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Foreign,
    Removing,
    Lost,
    Dead(RemoveReason),
    Live(Health),
}

/// How a live instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    Healthy,
    Starting,
    Unhealthy,
    /// Unhealthy for long enough to be replaced, but so are most others.
    CommonCause,
    Restarting,
    Unknown,
}

impl Seen<'_> {
    pub fn is_live(&self) -> bool {
        matches!(self.class, Class::Live(_))
    }

    /// Healthy, and on a node that is not in doubt.
    pub fn is_reliable(&self) -> bool {
        self.class == Class::Live(Health::Healthy) && self.doubt.is_none()
    }

    /// Why a live instance stays when nothing else is decided about it.
    pub fn keep_reason(&self) -> KeepReason {
        let Class::Live(health) = self.class else { return KeepReason::Foreign };
        self.doubt.unwrap_or(match health {
            Health::Healthy => KeepReason::Serving,
            Health::Starting => KeepReason::Starting,
            Health::Unhealthy => KeepReason::Unhealthy,
            Health::CommonCause => KeepReason::CommonCause,
            Health::Restarting => KeepReason::EngineRestarts,
            Health::Unknown => KeepReason::Unknown,
        })
    }
}

/// Fills `seen`, takes instances of unknown slots on record, notes what has become healthy and closes the intents whose
/// instances are there.
pub(crate) fn classify<'a>(work: &mut Work<'a>, view: &'a View) {
    let mut instances: Vec<&Instance> = view.instances.iter().collect();
    let is_own = |instance: &Instance| instance.owner == work.set.uid;
    instances.sort_by_key(|instance| (instance.slot, !is_own(instance), instance.epoch, &instance.id));
    instances.dedup_by_key(|instance| &instance.id);
    for instance in &instances {
        if instance.owner == work.set.uid {
            take_on_record(work, instance);
        }
    }
    for instance in instances {
        let doubt = match work.node_state(&instance.node) {
            NodeState::Suspect => Some(KeepReason::NodeSuspect),
            NodeState::Unwatched => Some(KeepReason::NodeUnwatched),
            NodeState::New | NodeState::Ready | NodeState::Lost => None,
        };
        let class = class_of(work, instance, doubt.is_some());
        work.seen.push(Seen { instance, class, doubt });
    }
    guard_common_cause(work);
    settle_dead_and_gone(work);
}

fn take_on_record(work: &mut Work<'_>, instance: &Instance) {
    let slot = work.slots.entry(instance.slot).or_insert_with(|| crate::Slot {
        slot: instance.slot,
        // A slot that nothing is remembered of is taken for wanted; the surplus step decides otherwise if need be.
        active: true,
        ..crate::Slot::default()
    });
    slot.epoch = slot.epoch.max(instance.epoch);
    if instance.healthy && instance.phase == InstancePhase::Running {
        slot.healthy_epoch = slot.healthy_epoch.max(instance.epoch);
    }
    if slot.intent.as_ref().is_some_and(|intent| intent.epoch == instance.epoch) {
        slot.intent = None;
    }
}

fn class_of(work: &mut Work<'_>, instance: &Instance, in_doubt: bool) -> Class {
    let (set, now) = (work.set, work.now);
    if instance.owner != set.uid {
        return Class::Foreign;
    }
    if instance.phase == InstancePhase::Removing {
        return Class::Removing;
    }
    if work.node_state(&instance.node) == NodeState::Lost {
        return Class::Lost;
    }
    let was_healthy = work.slots.get(&instance.slot).is_some_and(|slot| slot.healthy_epoch >= instance.epoch);
    match instance.phase {
        InstancePhase::Unknown => Class::Live(Health::Unknown),
        InstancePhase::Exited if in_doubt && !instance.exit_known => Class::Live(Health::Unknown),
        InstancePhase::Exited if set.engine_restarts && now < instance.since + ENGINE_WINDOW => {
            work.wake(instance.since + ENGINE_WINDOW);
            Class::Live(Health::Restarting)
        }
        InstancePhase::Exited => Class::Dead(RemoveReason::Exited),
        InstancePhase::Running if instance.healthy => Class::Live(Health::Healthy),
        InstancePhase::Starting | InstancePhase::Running | InstancePhase::Removing => {
            let (health, span, end) = if was_healthy {
                (Health::Unhealthy, set.strategy.unhealthy_after, RemoveReason::Unhealthy)
            } else {
                (Health::Starting, set.strategy.healthy_deadline, RemoveReason::NeverHealthy)
            };
            // A silent node's instances may be well; their time does not run.
            if in_doubt {
                return Class::Live(health);
            }
            let deadline = instance.since + span;
            work.wake(deadline);
            if now < deadline { Class::Live(health) } else { Class::Dead(end) }
        }
    }
}

/// When most of a set is unhealthy at once, the cause is hardly the instances: they are replaced a quarter of the set
/// at a time instead of all at once.
fn guard_common_cause(work: &mut Work<'_>) {
    // Of a slot only the newest counts; older ones have a successor already.
    let is_sick = |i: &usize| {
        let seen = &work.seen[*i];
        let is_newest = work.slots.get(&seen.instance.slot).is_some_and(|slot| {
            let successor = work.seen.get(i + 1).filter(|next| next.instance.slot == slot.slot);
            successor.is_none_or(|next| next.class == Class::Foreign)
        });
        is_newest && matches!(seen.class, Class::Dead(RemoveReason::Unhealthy | RemoveReason::NeverHealthy))
    };
    let sick: Vec<usize> = (0..work.seen.len()).filter(is_sick).collect();
    let count = work.set.count as usize;
    if sick.len() < 2 || sick.len() * 2 <= count {
        return;
    }
    // Those whose failure has been counted are having their turn.
    let has_turn = |i: &usize| {
        let instance = work.seen[*i].instance;
        work.slots.get(&instance.slot).is_some_and(|slot| instance.epoch <= slot.failed_epoch)
    };
    let (decided, waiting): (Vec<usize>, Vec<usize>) = sick.into_iter().partition(has_turn);
    let mut busy: BTreeSet<u32> = decided.iter().map(|i| work.seen[*i].instance.slot).collect();
    busy.extend(work.slots.keys().filter(|slot| work.is_starting(**slot)));
    let turns = (count / 4).max(1).saturating_sub(busy.len());
    for index in waiting.into_iter().skip(turns) {
        work.seen[index].class = Class::Live(Health::CommonCause);
    }
}

/// Verdicts that depend on nothing else.
fn settle_dead_and_gone(work: &mut Work<'_>) {
    for index in 0..work.seen.len() {
        match work.seen[index].class {
            Class::Foreign => work.keep(index, KeepReason::Foreign),
            Class::Removing => work.keep(index, KeepReason::BeingRemoved),
            Class::Lost => work.keep(index, KeepReason::NodeLost),
            Class::Dead(reason) => work.remove(index, reason, 0),
            Class::Live(_) => {}
        }
    }
}
