//! What holds for every view, however odd.

use eru_reconcile::{
    Instance, InstancePhase, Intent, Millis, Node, NodeState, Plan, Policy, Set, Slot, Strategy as SetStrategy, View,
    reconcile,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const NOW: Millis = Millis(10_000_000);

fn time() -> impl Strategy<Value = Millis> {
    prop_oneof![Just(Millis(0)), (0..400_000_i64).prop_map(|ago| NOW - Millis(ago))]
}

fn phase() -> impl Strategy<Value = InstancePhase> {
    use InstancePhase::{Exited, Removing, Running, Starting, Unknown};
    prop_oneof![1 => Just(Starting), 5 => Just(Running), 1 => Just(Exited), 1 => Just(Removing), 1 => Just(Unknown)]
}

fn node_state() -> impl Strategy<Value = NodeState> {
    use NodeState::{Lost, New, Ready, Suspect, Unwatched};
    prop_oneof![3 => Just(Ready), 1 => Just(New), 1 => Just(Suspect), 2 => Just(Lost), 1 => Just(Unwatched)]
}

prop_compose! {
    fn instance()(
        slot in 0..7_u32, epoch in 1..5_u64, generation in 1..4_u64, node in 0..5_u8, phase in phase(),
        healthy in prop::bool::weighted(0.7), since in time(), started_at in time(), exit_known: bool,
        own in prop::bool::weighted(0.9),
    ) -> Instance {
        Instance {
            id: String::new(), owner: if own { "set" } else { "other" }.into(), slot, epoch, generation,
            node: format!("n{node}"), phase, healthy: healthy && phase == InstancePhase::Running, since, started_at,
            exit_known, reason: "reason".into(),
        }
    }
}

prop_compose! {
    fn slot()(
        slot in 0..7_u32, active in prop::bool::weighted(0.8), epoch in 0..6_u64, intent in prop::option::of(time()),
        failures in 0..9_u32, retry_at in -90_000..90_000_i64, failed_epoch in 0..6_u64, failed_generation in 0..4_u64,
        healthy_epoch in 0..6_u64, stalled_generation in 0..4_u64,
    ) -> Slot {
        let intent = intent.map(|sent_at| Intent { op_id: "op".into(), epoch, generation: 1, sent_at });
        let retry_at = NOW + Millis(retry_at);
        let reason = String::new();
        Slot { slot, active, epoch, intent, failures, retry_at, failed_epoch, failed_generation, healthy_epoch,
            stalled_generation, reason }
    }
}

prop_compose! {
    fn view()(
        mut instances in prop::collection::vec(instance(), 0..12), slots in prop::collection::vec(slot(), 0..6),
        nodes in prop::collection::vec((node_state(), time()), 0..5),
    ) -> View {
        // An epoch of a slot is given out once.
        let mut given_out = BTreeSet::new();
        instances.retain(|i| given_out.insert((i.owner.clone(), i.slot, i.epoch)));
        for (index, instance) in instances.iter_mut().enumerate() {
            instance.id = format!("i{index:02}");
        }
        let by_number: BTreeMap<u32, Slot> = slots.into_iter().map(|slot| (slot.slot, slot)).collect();
        let nodes = nodes.into_iter().enumerate();
        let nodes = nodes.map(|(i, (state, since))| Node { name: format!("n{i}"), state, since }).collect();
        View { slots: by_number.into_values().collect(), instances, nodes }
    }
}

prop_compose! {
    fn set()(
        generation in 1..4_u64, stable in 0..4_u64, count in 0..6_u32, engine_restarts: bool,
        removing in prop::bool::weighted(0.1), in_doubt in prop::bool::ANY, keep in prop::sample::select(Policy::ALL.to_vec()),
    ) -> Set {
        Set {
            uid: "set".into(), generation, stable_generation: stable.min(generation), count,
            strategy: SetStrategy { keep: keep.1, ..SetStrategy::default() }, engine_restarts, removing, in_doubt,
        }
    }
}

fn node_is(view: &View, name: &str, states: &[NodeState]) -> bool {
    let state = view.nodes.iter().find(|node| node.name == name).map_or(NodeState::Ready, |node| node.state);
    states.contains(&state)
}

/// Own instances that are healthy on nodes that are not in doubt.
fn healthy<'a>(view: &'a View) -> BTreeSet<&'a str> {
    let counts = |i: &&'a Instance| {
        i.owner == "set"
            && i.healthy
            && i.phase == InstancePhase::Running
            && node_is(view, &i.node, &[NodeState::New, NodeState::Ready])
    };
    view.instances.iter().filter(counts).map(|i| i.id.as_str()).collect()
}

fn removed(plan: &Plan) -> BTreeSet<&str> {
    plan.removes.iter().map(|remove| remove.id.as_str()).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn each_instance_has_one_verdict(set in set(), view in view()) {
        let plan = reconcile(&set, &view, NOW);
        let mut ids: Vec<&str> =
            plan.removes.iter().map(|r| r.id.as_str()).chain(plan.keeps.iter().map(|k| k.id.as_str())).collect();
        ids.sort_unstable();
        let all: Vec<&str> = view.instances.iter().map(|i| i.id.as_str()).collect();
        prop_assert_eq!(ids, all);
    }

    #[test]
    fn nothing_of_others_is_removed(set in set(), view in view()) {
        let plan = reconcile(&set, &view, NOW);
        for instance in view.instances.iter().filter(|i| i.owner != "set") {
            prop_assert!(!removed(&plan).contains(instance.id.as_str()));
        }
    }

    #[test]
    fn never_below_by_its_own_act(set in set(), view in view()) {
        prop_assume!(!set.removing);
        let plan = reconcile(&set, &view, NOW);
        let before = healthy(&view);
        let after = before.difference(&removed(&plan)).count();
        prop_assert!(after >= before.len().min(set.count as usize), "{} -> {after}: {plan:#?}", before.len());
        // In any order of execution each removal of a healthy one asks core for enough others.
        for remove in plan.removes.iter().filter(|remove| before.contains(remove.id.as_str())) {
            prop_assert_eq!(remove.healthy_min, set.count);
        }
    }

    #[test]
    fn never_above_by_its_own_act(set in set(), view in view()) {
        let plan = reconcile(&set, &view, NOW);
        if set.removing {
            prop_assert!(plan.creates.is_empty());
        }
        let active: Vec<&Slot> = plan.slots.iter().filter(|slot| slot.active).collect();
        if !set.removing {
            prop_assert_eq!(active.len(), set.count as usize);
        }
        for create in &plan.creates {
            let slot = active.iter().find(|slot| slot.slot == create.slot).expect("only active slots are filled");
            prop_assert_eq!(slot.intent.as_ref().map(|i| (i.epoch, &i.op_id)), Some((create.epoch, &create.op_id)));
            // Its epoch is the newest of all that were ever seen or given out.
            prop_assert!(view.instances.iter().all(|i| i.owner != "set" || i.slot != create.slot || i.epoch < create.epoch));
            prop_assert!(view.slots.iter().all(|s| s.slot != create.slot || s.epoch < create.epoch));
        }
        // At most one create is for a slot that has a live instance: that of a rollout.
        let is_rollout = |reason| reason == eru_reconcile::CreateReason::Rollout;
        let surge = plan.creates.iter().filter(|create| is_rollout(create.reason)).count();
        prop_assert!(surge <= 1 && (surge == 0 || plan.creates.len() == 1));
    }

    #[test]
    fn run_again_it_creates_nothing_and_forgets_nothing(set in set(), view in view()) {
        let plan = reconcile(&set, &view, NOW);
        let again = reconcile(&set, &View { slots: plan.slots.clone(), ..view.clone() }, NOW);
        prop_assert_eq!(&again.creates, &[]);
        prop_assert_eq!(&again.slots, &plan.slots);
        for slot in &view.slots {
            let next = plan.slots.iter().find(|next| next.slot == slot.slot).expect("slots stay on record");
            prop_assert!(next.epoch >= slot.epoch && next.failed_epoch >= slot.failed_epoch);
        }
    }

    #[test]
    fn order_does_not_matter(set in set(), view in view(), seed: u64) {
        let plan = reconcile(&set, &view, NOW);
        let mut shuffled = view.clone();
        let key = |text: &str| text.bytes().fold(seed, |h, b| (h ^ u64::from(b)).wrapping_mul(0x0100_0000_01b3));
        shuffled.instances.sort_by_key(|i| key(&i.id));
        shuffled.nodes.sort_by_key(|n| key(&n.name));
        shuffled.slots.sort_by_key(|s| key(&s.slot.to_string()));
        shuffled.instances.extend(view.instances.first().cloned());
        prop_assert_eq!(reconcile(&set, &shuffled, NOW), plan);
    }

    #[test]
    fn it_wakes_for_what_waits(set in set(), view in view()) {
        let plan = reconcile(&set, &view, NOW);
        prop_assert!(plan.wake_at == Millis(0) || plan.wake_at > NOW);
        for hold in plan.holds.iter().filter(|hold| hold.until > NOW) {
            prop_assert!(plan.wake_at > NOW && plan.wake_at <= hold.until);
        }
        // Until then nothing changes by time alone.
        if plan.wake_at > NOW + Millis(1) {
            let early = reconcile(&set, &View { slots: plan.slots.clone(), ..view }, plan.wake_at - Millis(1));
            prop_assert_eq!(early.creates, &[]);
            prop_assert_eq!(early.removes, plan.removes);
        }
    }
}
