//! A small world with nodes that die and come back, instances that end or fall sick, creates that fail or lose their
//! answer, a controller that forgets and views that are old; and the real reconcile function in it.
//!
//! `ERU_SIM_SEED=N` replays one run.

use eru_reconcile::{
    Instance, InstancePhase, Millis, Node, NodeState, Plan, Set, Slot, Strategy, View, create_failed, forget_intent,
    reconcile,
};
use std::collections::BTreeMap;

const NODES: usize = 5;
const STEP: Millis = Millis(500);
/// Silence after which a node is suspect, and after which it is lost.
const SUSPECT_AFTER: Millis = Millis::seconds(6);
const LOST_AFTER: Millis = Millis::seconds(8);

struct Rng(u64);

impl Rng {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

#[derive(Clone)]
struct Truth {
    op_id: String,
    slot: u32,
    epoch: u64,
    generation: u64,
    node: usize,
    started_at: Millis,
    healthy_at: Option<Millis>,
    sick: bool,
    ended: bool,
}

struct World {
    seed: u64,
    rng: Rng,
    now: Millis,
    set: Set,
    slots: Vec<Slot>,
    /// When each node was heard of last; `None` = it is alive.
    silent_since: [Option<Millis>; NODES],
    instances: BTreeMap<String, Truth>,
    /// What the controller saw of each instance and node, and since when: its memory, lost when it restarts.
    seen: BTreeMap<String, (InstancePhase, bool, Millis)>,
    seen_nodes: BTreeMap<String, (NodeState, Millis)>,
    old_view: Option<View>,
    bad_generation: u64,
    made: usize,
    acts: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng(seed);
        let set = Set {
            uid: "set".into(),
            generation: 1,
            stable_generation: 0,
            count: 1 + rng.below(5) as u32,
            strategy: Strategy::default(),
            engine_restarts: false,
            removing: false,
            in_doubt: false,
        };
        Self {
            seed,
            rng,
            now: Millis(1_000_000),
            set,
            slots: Vec::new(),
            silent_since: [None; NODES],
            instances: BTreeMap::new(),
            seen: BTreeMap::new(),
            seen_nodes: BTreeMap::new(),
            old_view: None,
            bad_generation: 0,
            made: 0,
            acts: 0,
        }
    }

    fn node_state(&self, node: usize) -> NodeState {
        match self.silent_since[node] {
            Some(since) if self.now >= since + LOST_AFTER => NodeState::Lost,
            Some(since) if self.now >= since + SUSPECT_AFTER => NodeState::Suspect,
            _ => NodeState::Ready,
        }
    }

    /// What core shows of an instance: of a silent node, what was last reported.
    fn is_healthy(&self, truth: &Truth) -> bool {
        !truth.ended && !truth.sick && truth.healthy_at.is_some_and(|at| self.now >= at)
    }

    fn view(&mut self) -> View {
        let now = self.now;
        let mut nodes = Vec::new();
        for node in 0..NODES {
            let (name, state) = (format!("n{node}"), self.node_state(node));
            let seen = self.seen_nodes.entry(name.clone()).or_insert((state, now));
            if seen.0 != state {
                *seen = (state, now);
            }
            nodes.push(Node { name, state, since: seen.1 });
        }
        let mut instances = Vec::new();
        let truths = self.instances.clone();
        for (id, truth) in &truths {
            let healthy = self.is_healthy(truth);
            let phase = match (truth.ended, now < truth.started_at + Millis(300)) {
                (true, _) => InstancePhase::Exited,
                (false, true) => InstancePhase::Starting,
                (false, false) => InstancePhase::Running,
            };
            let healthy = healthy && phase == InstancePhase::Running;
            let seen = self.seen.entry(id.clone()).or_insert((phase, healthy, now));
            if (seen.0, seen.1) != (phase, healthy) {
                *seen = (phase, healthy, now);
            }
            instances.push(Instance {
                id: id.clone(),
                owner: "set".into(),
                slot: truth.slot,
                epoch: truth.epoch,
                generation: truth.generation,
                node: format!("n{}", truth.node),
                phase,
                healthy,
                since: seen.2,
                started_at: truth.started_at,
                exit_known: truth.ended,
                reason: String::new(),
            });
        }
        View { slots: self.slots.clone(), instances, nodes }
    }

    fn fault(&mut self) {
        let ids: Vec<String> = self.instances.keys().cloned().collect();
        let any = |rng: &mut Rng| (!ids.is_empty()).then(|| ids[rng.below(ids.len())].clone());
        match self.rng.below(60) {
            0 | 1 => {
                if let Some(truth) = any(&mut self.rng).and_then(|id| self.instances.get_mut(&id)) {
                    truth.ended = true;
                }
            }
            2 => {
                if let Some(truth) = any(&mut self.rng).and_then(|id| self.instances.get_mut(&id)) {
                    truth.sick = true;
                }
            }
            3 => {
                if let Some(truth) = any(&mut self.rng).and_then(|id| self.instances.get_mut(&id)) {
                    truth.sick = false;
                }
            }
            4 => {
                // Removed behind our back.
                if let Some(id) = any(&mut self.rng) {
                    self.instances.remove(&id);
                }
            }
            5 => {
                let node = self.rng.below(NODES);
                self.silent_since[node].get_or_insert(self.now);
            }
            6 | 7 => self.silent_since[self.rng.below(NODES)] = None,
            8 => self.set.count = self.rng.below(6) as u32,
            9 if self.rng.one_in(2) => self.set.generation += 1,
            10 if self.rng.one_in(3) => {
                self.set.generation += 1;
                self.bad_generation = self.set.generation;
            }
            11 => {
                self.seen.clear();
                self.seen_nodes.clear();
            }
            _ => {}
        }
    }

    /// One decision and its execution; `calm` = nothing goes wrong in it.
    fn step(&mut self, calm: bool) {
        self.now = self.now + STEP;
        let fresh = self.view();
        let stale = !calm && self.rng.one_in(4);
        let mut view = if stale { self.old_view.take().unwrap_or_else(|| fresh.clone()) } else { fresh.clone() };
        view.slots = self.slots.clone();
        self.old_view = Some(fresh);
        let plan = reconcile(&self.set, &view, self.now);
        self.check_plan(&view, &plan);
        self.slots = plan.slots.clone();
        self.set.stable_generation = plan.stable_generation;
        self.acts += plan.creates.len() + plan.removes.len();
        for create in &plan.creates {
            let slot =
                self.slots.iter().position(|slot| slot.slot == create.slot).expect("created slots are on record");
            if !calm && self.rng.one_in(10) {
                self.slots[slot] = create_failed(&self.slots[slot], create.epoch, create.generation, self.now, "no");
            } else if calm || !self.rng.one_in(12) {
                self.make(create.slot, create.epoch, create.generation, &create.op_id);
            }
        }
        for resolve in &plan.resolves {
            if !self.instances.values().any(|truth| truth.op_id == resolve.op_id) {
                let slot =
                    self.slots.iter().position(|slot| slot.slot == resolve.slot).expect("resolved slots are on record");
                self.slots[slot] = forget_intent(&self.slots[slot], resolve.epoch);
            }
        }
        for remove in &plan.removes {
            let others = self.instances.iter().filter(|(id, truth)| {
                **id != remove.id && self.node_state(truth.node) == NodeState::Ready && self.is_healthy(truth)
            });
            let refused = (others.count() as u32) < remove.healthy_min;
            let reachable = self.instances.get(&remove.id).is_some_and(|t| self.silent_since[t.node].is_none());
            if reachable && !refused {
                self.instances.remove(&remove.id);
            }
        }
    }

    fn make(&mut self, slot: u32, epoch: u64, generation: u64, op_id: &str) {
        let ready: Vec<usize> = (0..NODES).filter(|n| self.silent_since[*n].is_none()).collect();
        let Some(node) = (!ready.is_empty()).then(|| ready[self.rng.below(ready.len())]) else { return };
        self.made += 1;
        let delay = Millis(500 + self.rng.below(3000) as i64);
        let is_bad = generation == self.bad_generation;
        let truth = Truth {
            op_id: op_id.to_owned(),
            slot,
            epoch,
            generation,
            node,
            started_at: self.now,
            healthy_at: (!is_bad).then_some(self.now + delay),
            sick: false,
            ended: is_bad && self.rng.one_in(2),
        };
        self.instances.insert(format!("i{}", self.made), truth);
    }

    fn check_plan(&self, view: &View, plan: &Plan) {
        let seed = self.seed;
        assert_eq!(plan.removes.len() + plan.keeps.len(), view.instances.len(), "seed {seed}: one verdict each");
        let state = |name: &str| view.nodes.iter().find(|node| node.name == name).expect("a node of the view").state;
        let live = |i: &&Instance| i.phase != InstancePhase::Exited && state(&i.node) != NodeState::Lost;
        let healthy: Vec<&Instance> =
            view.instances.iter().filter(|i| i.healthy && state(&i.node) == NodeState::Ready).collect();
        let kept = healthy.iter().filter(|i| plan.keeps.iter().any(|keep| keep.id == i.id)).count();
        let want = self.set.count as usize;
        assert!(kept >= healthy.len().min(want), "seed {seed}: never below: {} -> {kept}, {plan:#?}", healthy.len());

        // Never above: one instance a slot, one more for a rollout, and those that came back.
        let active = |slot: u32| plan.slots.iter().any(|s| s.slot == slot && s.active);
        let mut by_slot: BTreeMap<u32, usize> = BTreeMap::new();
        view.instances.iter().filter(live).filter(|i| active(i.slot)).for_each(|i| {
            *by_slot.entry(i.slot).or_default() += 1;
        });
        let intents = plan.slots.iter().filter(|slot| slot.active && slot.intent.is_some()).count();
        if !plan.creates.is_empty() {
            assert!(by_slot.len() + intents <= want + 1 + self.lag(view), "seed {seed}: never above: {plan:#?}");
        }
    }

    /// Intents whose instances the view, being old, does not show as live any more or yet.
    fn lag(&self, view: &View) -> usize {
        let known = |slot: &&Slot| view.instances.iter().any(|i| i.slot == slot.slot);
        self.slots.iter().filter(|slot| slot.intent.is_some()).filter(known).count()
    }

    /// Why the set is not as it is to be; `None` = it is.
    fn difference(&self) -> Option<String> {
        let wrong = self
            .instances
            .values()
            .filter(|truth| truth.ended || !self.is_healthy(truth) || truth.generation != self.set.generation);
        let (wrong, all) = (wrong.count(), self.instances.len());
        (wrong > 0 || all != self.set.count as usize)
            .then(|| format!("{all} of {} instances, {wrong} of them wrong", self.set.count))
    }
}

fn run(seed: u64) {
    let mut world = World::new(seed);
    for _ in 0..1200 {
        world.fault();
        world.step(false);
    }
    // Faults stop: the spec is a good one, nodes are back, sick instances stay sick.
    world.silent_since = [None; NODES];
    world.set.generation += 1;
    let minutes = |n: i64| (n * 60_000 / STEP.0) as usize;
    let mut waited = 0;
    while let Some(difference) = world.difference() {
        world.step(true);
        waited += 1;
        assert!(waited < minutes(30), "seed {seed}: {difference}, slots {:#?}", world.slots);
    }
    // It must stay so: no act for ten minutes.
    world.step(true);
    let acts = world.acts;
    (0..minutes(10)).for_each(|_| world.step(true));
    assert_eq!(world.acts, acts, "seed {seed}: acts although all is well");
    assert_eq!(world.difference(), None, "seed {seed}");
    let view = world.view();
    let plan = reconcile(&world.set, &view, world.now);
    assert_eq!(plan.status.phase, eru_reconcile::Phase::Healthy, "seed {seed}: {}", plan.status.message);
}

#[test]
fn after_faults_the_set_becomes_and_stays_as_wanted() {
    match std::env::var("ERU_SIM_SEED") {
        Ok(seed) => run(seed.parse().expect("ERU_SIM_SEED is a number")),
        Err(_) => (0..150).for_each(run),
    }
}
