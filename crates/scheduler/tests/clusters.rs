//! Hundreds of thousands of small clusters at random: every plan is linted, no input panics, equal inputs give equal plans.

#![allow(clippy::unwrap_used)]

mod support;

use eru_scheduler::{Content, NodeSnapshot, PartsUsed, Readiness, Request, Share, Strategy, lint, plan};
use eru_types::{CpuQuota, Demand, MemoryBytes, NodeName, Resources, Volume};
use std::{collections::BTreeMap, sync::Arc};
use support::{Asked, Node};

/// xorshift64*: the same numbers in every run, told by the seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % sides
    }

    fn one<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.roll(of.len() as u64) as usize]
    }

    fn once_in(&mut self, times: u64) -> bool {
        self.roll(times) == 0
    }

    /// A number of any size, the odd ones among them.
    fn odd(&mut self) -> u64 {
        let random = (self.roll(1 << 31) << 31) | self.roll(1 << 31);
        self.one(&[0, 1, 9, 100, random, u64::from(u32::MAX), i64::MAX as u64, u64::MAX])
    }
}

fn node(dice: &mut Dice, number: u64, odd: bool) -> NodeSnapshot {
    let cores = 2 + dice.roll(6);
    let pieces = |dice: &mut Dice| {
        if odd && dice.once_in(9) { dice.odd() as u32 } else { dice.one(&[0, 100, 100, 100, 200, 300, 130]) }
    };
    let amount = |dice: &mut Dice, most| if odd && dice.once_in(5) { dice.odd() } else { dice.roll(most) };
    let mut made = Node {
        name: format!("n{number}"),
        labels: Some(dice.roll(4))
            .filter(|zone| *zone > 0)
            .map(|zone| ("zone".to_owned(), zone.to_string()))
            .into_iter()
            .collect(),
        readiness: dice.one(&[
            Readiness::Ready,
            Readiness::Ready,
            Readiness::Ready,
            Readiness::Bypassed,
            Readiness::Lost,
        ]),
        images: !dice.once_in(12),
        commands: dice.once_in(3),
        cores: (0..cores).map(|core| (core.to_string(), pieces(dice))).collect(),
        memory: amount(dice, 90),
        memory_used: amount(dice, 10),
        storage: amount(dice, 400),
        count: dice.roll(4) as u32,
        ..Node::default()
    };
    if dice.once_in(2) {
        // Sometimes a core that is not there.
        made.numa = (0..cores + dice.roll(2)).map(|core| (core.to_string(), dice.roll(3).to_string())).collect();
        made.numa_memory = (0..dice.roll(4)).map(|group| (group.to_string(), amount(dice, 20))).collect();
    }
    made.volumes = (0..dice.roll(4)).map(|device| (format!("/d{device}"), amount(dice, 60))).collect();
    let share_of = |dice: &mut Dice, all: u64| if dice.roll(3) > 0 { 0 } else { dice.roll(all.clamp(1, 1 << 30) + 3) };
    made.used = PartsUsed {
        cores: made.cores.iter().map(|(core, pieces)| (core.clone(), share_of(dice, u64::from(*pieces)))).collect(),
        numa_memory: made.numa_memory.iter().map(|(group, bytes)| (group.clone(), share_of(dice, *bytes))).collect(),
        devices: made
            .volumes
            .iter()
            .map(|(device, bytes)| {
                (device.clone(), (share_of(dice, *bytes), dice.roll(2) as u32, u32::from(dice.once_in(9))))
            })
            .collect(),
    };
    made.snapshot()
}

fn demand(dice: &mut Dice, odd: bool) -> Option<Demand> {
    let amount = |dice: &mut Dice, most| if odd && dice.once_in(6) { dice.odd() } else { dice.roll(most) };
    let resources = Resources {
        cpu_request: CpuQuota(if odd && dice.once_in(8) { dice.odd() } else { dice.roll(22) * 100_000 }),
        memory_request: MemoryBytes(amount(dice, 6)),
        storage_request: MemoryBytes(amount(dice, 4)),
        ..Resources::default()
    };
    let volume = |dice: &mut Dice, i: u64| {
        let flags = dice.one(&["rw", "rw", "mrw", "ro"]);
        let source = if dice.once_in(6) { "/x" } else { "AUTO" };
        let size = if odd && dice.once_in(9) { dice.odd() >> 1 } else { dice.roll(25) };
        format!("{source}:/v{i}:{flags}:{size}").parse::<Volume>().ok()
    };
    let len = if dice.once_in(3) { dice.roll(4) } else { 0 };
    let volumes: Vec<Volume> = (0..len).filter_map(|i| volume(dice, i)).collect();
    Demand::new(resources, dice.once_in(2), volumes.clone(), volumes).ok()
}

fn wanted(dice: &mut Dice, odd: bool) -> Option<Request> {
    let strategies =
        [Strategy::Auto, Strategy::Auto, Strategy::Fill, Strategy::Each, Strategy::Global, Strategy::Drained];
    let mut request = support::request(1, &Asked::default());
    request.demand = Arc::new(demand(dice, odd)?);
    request.strategy = dice.one(&strategies);
    request.count = if odd && dice.once_in(6) { dice.odd() as u32 } else { 1 + dice.roll(6) as u32 };
    request.nodes_limit = if dice.once_in(3) { dice.roll(4) as u32 } else { 0 };
    request.node_max = if dice.once_in(4) { dice.roll(5) as u32 } else { 0 };
    request.spread_label = if dice.once_in(4) { "zone".into() } else { String::new() };
    request.share = Share {
        base: if odd && dice.once_in(9) { dice.odd() as u32 } else { 100 },
        cores_max: Some(dice.roll(5) as u32).filter(|_| dice.once_in(4)),
    };
    request.content = if dice.once_in(6) { Content::Command } else { Content::Image };
    request.filter.all = dice.once_in(5);
    if dice.once_in(6) {
        request.filter.includes = [NodeName::new(format!("n{}", dice.roll(5))).unwrap()].into();
    } else if dice.once_in(6) {
        request.filter.excludes = [NodeName::new(format!("n{}", dice.roll(5))).unwrap()].into();
    }
    Some(request)
}

/// Plans on `clusters` clusters; returns how many found a place.
fn try_many(clusters: u64, odd: bool) -> u64 {
    let mut placed = 0;
    for seed in 1..=clusters {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let nodes: Vec<NodeSnapshot> = (0..1 + dice.roll(5)).map(|number| node(&mut dice, number, odd)).collect();
        let Some(request) = wanted(&mut dice, odd) else { continue };
        let refs: Vec<&NodeSnapshot> = nodes.iter().collect();
        let outcome = plan(&refs, &request);
        if let Ok(found) = &outcome {
            assert_eq!(lint(found, &refs, &request), [], "seed {seed}: {request:?}\non {nodes:?}\n{found:?}");
            placed += 1;
            if found.count() < 100_000 {
                check_allotments(seed, found, &nodes, &request);
            }
        }
        if seed.is_multiple_of(16) {
            let backwards: Vec<&NodeSnapshot> = nodes.iter().rev().collect();
            assert_eq!(plan(&backwards, &request), outcome, "seed {seed}");
        }
    }
    placed
}

/// What the placements say, counted as core counts it, does not take more than there is.
fn check_allotments(seed: u64, found: &eru_scheduler::Plan, nodes: &[NodeSnapshot], request: &Request) {
    for assignment in &found.assignments {
        let before = nodes.iter().find(|node| node.name == assignment.node).unwrap();
        let (mut singly, mut at_once) = (before.clone(), before.clone());
        let allotments = found.allotments(assignment);
        assert_eq!(allotments.len(), assignment.count as usize, "seed {seed}");
        for held in &allotments {
            singly.take(&request.app, &request.entrypoint, &request.demand.resources, held);
            let planned: BTreeMap<&String, _> = held.volume_plan_request.iter().collect();
            let scheduled: Vec<String> = request.demand.scheduled().map(|(_, volume)| volume.to_string()).collect();
            assert!(
                planned.keys().copied().eq(scheduled.iter().collect::<std::collections::BTreeSet<_>>()),
                "seed {seed}"
            );
        }
        at_once.apply(request, assignment);
        assert_eq!(singly.free, at_once.free, "seed {seed}: {request:?}");
        let shrunk = |(after, before): (&i32, &i32)| *after < 0 && after < before;
        assert!(!singly.free.cores.iter().zip(&before.free.cores).any(shrunk), "seed {seed}");
    }
}

#[test]
fn plans_of_ordinary_clusters_are_sound() {
    let placed = try_many(150_000, false);
    assert!(placed > 30_000, "only {placed} found a place: the clusters are too small to prove anything");
}

#[test]
fn odd_numbers_are_refused_or_planned_right() {
    let placed = try_many(100_000, true);
    assert!(placed > 10_000, "only {placed} found a place");
}
