//! The sheet that the steps write on, one after the other.

use crate::classify::{Class, Health, Seen};
use crate::plan::{Create, CreateReason, Hold, Keep, KeepReason, Remove, RemoveReason, Resolve};
use crate::{Intent, Millis, Node, NodeState, Set, Slot, View, backoff, missing};
use std::collections::{BTreeMap, BTreeSet};

/// What is known and decided so far.
pub(crate) struct Work<'a> {
    pub set: &'a Set,
    pub now: Millis,
    pub nodes: BTreeMap<&'a str, &'a Node>,
    /// Ordered by slot, epoch and id, so that nothing depends on the order of the view.
    pub seen: Vec<Seen<'a>>,
    pub slots: BTreeMap<u32, Slot>,
    pub verdicts: BTreeMap<&'a str, Verdict>,
    /// Instances that are to go when enough others are healthy: indices of `seen`.
    pub leaving: Vec<(usize, RemoveReason)>,
    /// Removals in the order they were decided.
    pub removes: Vec<Remove>,
    pub creates: Vec<Create>,
    pub holds: Vec<Hold>,
    pub resolves: Vec<Resolve>,
    pub wake_at: Millis,
    /// Slots with a hold of their own.
    pub waiting: BTreeSet<u32>,
    /// Whether too many nodes vanished at once.
    pub held: bool,
}

/// What becomes of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Keep(KeepReason),
    Remove,
}

impl<'a> Work<'a> {
    pub fn new(set: &'a Set, view: &'a View, now: Millis) -> Self {
        Self {
            set,
            now,
            nodes: view.nodes.iter().map(|node| (node.name.as_str(), node)).collect(),
            seen: Vec::new(),
            slots: view.slots.iter().map(|slot| (slot.slot, slot.clone())).collect(),
            verdicts: BTreeMap::new(),
            leaving: Vec::new(),
            removes: Vec::new(),
            creates: Vec::new(),
            holds: Vec::new(),
            resolves: Vec::new(),
            wake_at: Millis(0),
            waiting: BTreeSet::new(),
            held: false,
        }
    }

    pub fn node_state(&self, node: &str) -> NodeState {
        self.nodes.get(node).map_or(NodeState::Ready, |node| node.state)
    }

    /// Asks to be run again at `at`, if that is to come.
    pub fn wake(&mut self, at: Millis) {
        if at > self.now && (self.wake_at == Millis(0) || at < self.wake_at) {
            self.wake_at = at;
        }
    }

    pub fn hold(&mut self, what: impl Into<String>, reason: impl Into<String>, until: Millis) {
        self.wake(until);
        self.holds.push(Hold { what: what.into(), reason: reason.into(), until });
    }

    pub fn hold_slot(&mut self, number: u32, reason: impl Into<String>, until: Millis) {
        self.waiting.insert(number);
        self.hold(format!("slot {number}"), reason, until);
    }

    pub fn keep(&mut self, index: usize, reason: KeepReason) {
        self.verdicts.insert(&self.seen[index].instance.id, Verdict::Keep(reason));
    }

    pub fn remove(&mut self, index: usize, reason: RemoveReason, healthy_min: u32) {
        let id = &self.seen[index].instance.id;
        self.verdicts.insert(id, Verdict::Remove);
        self.removes.push(Remove { id: id.clone(), reason, healthy_min });
    }

    /// Gives out the next epoch of a slot.
    pub fn create(&mut self, number: u32, generation: u64, reason: CreateReason) {
        let slot = self.slots.get_mut(&number).expect("only slots on record are filled");
        slot.epoch += 1;
        let epoch = slot.epoch;
        let op_id = missing::op_id(&self.set.uid, number, epoch);
        slot.intent = Some(Intent { op_id: op_id.clone(), epoch, generation, sent_at: self.now });
        self.creates.push(Create { slot: number, epoch, generation, op_id, reason });
    }

    /// Indices of the live instances of a slot, oldest epoch first.
    pub fn live(&self, slot: u32) -> Vec<usize> {
        self.indices(slot, |class| matches!(class, Class::Live(_)))
    }

    /// Indices of the instances of a slot that are on lost nodes, oldest epoch first.
    pub fn lost(&self, slot: u32) -> Vec<usize> {
        self.indices(slot, |class| matches!(class, Class::Lost))
    }

    fn indices(&self, slot: u32, wanted: impl Fn(&Class) -> bool) -> Vec<usize> {
        let start = self.seen.partition_point(|seen| seen.instance.slot < slot);
        let in_slot = |i: &usize| self.seen[*i].instance.slot == slot;
        (start..self.seen.len()).take_while(in_slot).filter(|i| wanted(&self.seen[*i].class)).collect()
    }

    pub fn active(&self) -> Vec<u32> {
        self.slots.values().filter(|slot| slot.active).map(|slot| slot.slot).collect()
    }

    /// Instances that can be relied on: healthy, and on a node that is not in doubt.
    pub fn healthy_count(&self) -> usize {
        self.seen.iter().filter(|seen| seen.is_reliable()).count()
    }

    /// Whether this slot could not be updated to the newest generation.
    pub fn is_stalled(&self) -> bool {
        self.slots.values().any(|slot| slot.active && slot.stalled_generation == self.set.generation)
    }

    /// Whether creates of the newest generation are refused again and again, or end before they are healthy.
    fn is_failing(&self) -> bool {
        self.slots.values().any(|slot| {
            let is_newest = slot.active && slot.failed_generation == self.set.generation;
            is_newest && slot.failures >= backoff::ROLLOUT_TRIES && slot.healthy_epoch < slot.failed_epoch
        })
    }

    /// What a missing instance is made of: the newest generation, or the last that worked while the newest is known
    /// not to, or cannot be made: a rollout goes on trying, but takes none away from those that are wanted.
    pub fn generation_to_fill(&self) -> u64 {
        let is_doubtful = self.is_stalled() || self.is_failing() || self.set.in_doubt;
        if self.set.stable_generation != 0 && is_doubtful { self.set.stable_generation } else { self.set.generation }
    }

    /// Whether something of the slot is on its way: an open create or an instance that is starting.
    pub fn is_starting(&self, number: u32) -> bool {
        self.slots.get(&number).is_some_and(|slot| slot.intent.is_some())
            || self.live(number).iter().any(|i| self.seen[*i].class == Class::Live(Health::Starting))
    }

    pub fn into_keeps(verdicts: BTreeMap<&'a str, Verdict>) -> Vec<Keep> {
        let keep = |(id, verdict): (&str, Verdict)| match verdict {
            Verdict::Keep(reason) => Some(Keep { id: id.to_owned(), reason }),
            Verdict::Remove => None,
        };
        verdicts.into_iter().filter_map(keep).collect()
    }
}
