//! A set as the API shows it.

use crate::record::SetRecord;
use eru_api::controller::{Condition, ReplicaSet, ReplicaSetSpec, Slot as SlotMessage, Status as StatusMessage};
use eru_reconcile::{Instance, Millis, Phase, Plan, Set};
use std::collections::{BTreeMap, BTreeSet};

/// What a set is to be.
#[derive(Debug, Clone, PartialEq)]
pub struct Desired {
    /// The set.
    pub set: SetRecord,
    /// Its specs by generation.
    pub specs: BTreeMap<u64, ReplicaSetSpec>,
}

impl Desired {
    /// The same, as the reconcile function knows it; `in_doubt`: the newest generation cannot be made at the moment.
    pub fn to_set(&self, stable_generation: u64, in_doubt: bool) -> Set {
        let set = &self.set;
        let template = self.specs.get(&set.template_generation);
        Set {
            uid: set.uid.clone(),
            generation: set.template_generation,
            stable_generation,
            count: set.count,
            strategy: set.strategy,
            engine_restarts: template.is_some_and(crate::spec::engine_restarts),
            removing: set.removing,
            in_doubt,
        }
    }

    /// The spec of the newest generation.
    pub fn spec(&self) -> ReplicaSetSpec {
        self.specs.get(&self.set.generation).cloned().unwrap_or_default()
    }
}

/// How a set is, as its worker last saw it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Shown {
    /// As a whole.
    pub status: StatusMessage,
    /// The sentence of the status before what keeps failing was added to it.
    pub plain: String,
    /// Slot by slot.
    pub slots: Vec<SlotMessage>,
    /// Generations that instances or open creates are made of, and the last that worked.
    pub generations: BTreeSet<u64>,
    /// The generation of the set that this speaks of.
    pub of: u64,
}

impl Shown {
    /// Before anything was seen.
    pub fn nothing_seen(set: &SetRecord, message: String) -> Self {
        let status = StatusMessage {
            want: small(set.count),
            phase: "starting".to_owned(),
            message: message.clone(),
            ..StatusMessage::default()
        };
        Self { status, plain: message, of: set.generation, ..Self::default() }
    }

    /// The same beside a wish that its worker has not looked at yet: the figures are those that were seen, but what was true
    /// of the old wish is not said of the new one.
    pub fn beside(&self, set: &SetRecord) -> Self {
        let mut shown = self.clone();
        let is_removing = self.status.phase == Phase::Removing.to_string();
        if self.of == set.generation && is_removing == set.removing {
            return shown;
        }
        let phase = match set.count {
            _ if set.removing => Phase::Removing,
            _ if set.template_generation > self.of => Phase::Rolling,
            count if self.status.running > small(count) => Phase::Surplus,
            _ => Phase::Starting,
        };
        shown.of = set.generation;
        shown.status.want = small(set.count);
        shown.status.phase = phase.to_string();
        shown.plain = match phase {
            Phase::Removing => format!("{} instances are still there", self.status.running),
            _ => format!("{} of {} healthy", self.status.healthy, set.count),
        };
        let conditions = std::mem::take(&mut shown.status.conditions);
        shown.say(conditions, &BTreeMap::new());
        shown
    }

    /// What a plan says of a set of generation `of`.
    pub fn of(
        plan: &Plan,
        instances: &[Instance],
        networks: &BTreeMap<String, BTreeMap<String, String>>,
        of: u64,
        now: Millis,
    ) -> Self {
        let by_id: BTreeMap<&str, &Instance> = instances.iter().map(|i| (i.id.as_str(), i)).collect();
        let records: BTreeMap<u32, &eru_reconcile::Slot> = plan.slots.iter().map(|slot| (slot.slot, slot)).collect();
        let slot = |slot: &eru_reconcile::SlotStatus| {
            let record = records.get(&slot.slot);
            let instance = by_id.get(slot.id.as_str());
            SlotMessage {
                slot: small(slot.slot),
                epoch: wire(instance.map_or(record.map_or(0, |record| record.epoch), |instance| instance.epoch)),
                workload_id: slot.id.clone(),
                nodename: instance.map(|instance| instance.node.clone()).unwrap_or_default(),
                state: slot.state.to_string(),
                healthy: slot.state == eru_reconcile::SlotState::Healthy,
                failures: small(record.map_or(0, |record| record.failures)),
                retry_at_ms: record.map(|record| record.retry_at.0).filter(|at| *at > now.0).unwrap_or(0),
                reason: slot.reason.clone(),
                generation: wire(instance.map_or(0, |instance| instance.generation)),
                networks: networks.get(&slot.id).cloned().unwrap_or_default(),
            }
        };
        let status = &plan.status;
        let intents = plan.slots.iter().filter_map(|slot| slot.intent.as_ref()).map(|intent| intent.generation);
        Self {
            status: StatusMessage {
                want: small(status.want),
                running: small(status.running),
                healthy: small(status.healthy),
                updated: small(status.updated),
                starting: small(status.starting),
                surplus: small(status.surplus),
                phase: status.phase.to_string(),
                message: status.message.clone(),
                updated_at_ms: now.0,
                conditions: Vec::new(),
            },
            plain: status.message.clone(),
            slots: status.slots.iter().map(slot).collect(),
            generations: instances
                .iter()
                .map(|i| i.generation)
                .chain(intents)
                .chain([plan.stable_generation])
                .collect(),
            of,
        }
    }

    /// Adds what keeps failing, and why slots wait and until when.
    pub fn say(&mut self, conditions: Vec<Condition>, waits: &BTreeMap<u32, (String, i64)>) {
        let texts = [Some(self.plain.as_str()), conditions.first().map(|first| first.text.as_str())];
        let texts: Vec<&str> = texts.into_iter().flatten().filter(|text| !text.is_empty()).collect();
        self.status.message = texts.join("; ");
        self.status.conditions = conditions;
        for slot in self.slots.iter_mut().filter(|slot| slot.workload_id.is_empty()) {
            let Some((reason, retry_at)) = u32::try_from(slot.slot).ok().and_then(|slot| waits.get(&slot)) else {
                continue;
            };
            slot.reason.clone_from(reason);
            slot.retry_at_ms = *retry_at;
        }
    }

    /// Equal but for the time.
    pub fn says_the_same_as(&self, other: &Self) -> bool {
        let timeless = |shown: &Self| StatusMessage { updated_at_ms: 0, ..shown.status.clone() };
        self.slots == other.slots
            && self.generations == other.generations
            && self.of == other.of
            && timeless(self) == timeless(other)
    }
}

/// The set as the API shows it.
pub fn replica_set(desired: &Desired, shown: &Shown) -> ReplicaSet {
    let shown = shown.beside(&desired.set);
    ReplicaSet {
        spec: Some(desired.spec()),
        generation: wire(desired.set.generation),
        uid: desired.set.uid.clone(),
        created_at_ms: desired.set.created_at_ms,
        status: Some(shown.status),
        slots: shown.slots,
        removing: desired.set.removing,
    }
}

fn wire(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn small(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_true_of_the_old_wish_is_not_said_of_the_new_one() {
        let set = |generation, template_generation, count, removing| SetRecord {
            name: "web".into(),
            uid: "u".into(),
            generation,
            template_generation,
            count,
            strategy: eru_reconcile::Strategy::default(),
            removing,
            created_at_ms: 0,
            other: serde_json::Map::new(),
        };
        let mut seen = Shown::nothing_seen(&set(1, 1, 3, false), "3 of 3 healthy".into());
        (seen.status.running, seen.status.healthy, seen.status.phase) = (3, 3, "healthy".into());
        for (set, want, phase, message) in [
            (set(1, 1, 3, false), 3, "healthy", "3 of 3 healthy"),
            (set(2, 1, 5, false), 5, "starting", "3 of 5 healthy"),
            (set(2, 1, 1, false), 1, "surplus", "3 of 1 healthy"),
            (set(2, 2, 3, false), 3, "rolling", "3 of 3 healthy"),
            (set(1, 1, 3, true), 3, "removing", "3 instances are still there"),
        ] {
            let status = seen.beside(&set).status;
            assert_eq!((status.want, status.phase.as_str(), status.message.as_str()), (want, phase, message));
        }
        // What keeps failing is still said.
        let condition = Condition { text: "the store is full".into(), ..Condition::default() };
        seen.say(vec![condition], &BTreeMap::new());
        assert_eq!(seen.beside(&set(2, 1, 5, false)).status.message, "3 of 5 healthy; the store is full");
    }
}
