//! The original's strategy vectors, and AUTO against the heap that defines it.

#![allow(clippy::unwrap_used)]

use eru_scheduler::{
    RefusalKind,
    strategy::{Slot, Strategy, spread},
};
use proptest::prelude::*;

fn slots(capacities: &[u64], counts: &[u64]) -> Vec<Slot> {
    capacities
        .iter()
        .enumerate()
        .map(|(i, c)| Slot { capacity: *c, count: counts.get(i).copied().unwrap_or(0), ..Slot::default() })
        .collect()
}

fn d() -> Vec<Slot> {
    slots(&[10, 10, 10, 10], &[2, 3, 5, 7])
}

fn finals(slots: &[Slot], added: &[u64]) -> Vec<u64> {
    let mut sums: Vec<u64> = slots.iter().zip(added).map(|(s, a)| s.count + a).collect();
    sums.sort_unstable();
    sums
}

#[test]
fn auto_finals() {
    for (need, want) in [
        (1, [3, 3, 5, 7]),
        (2, [3, 4, 5, 7]),
        (3, [4, 4, 5, 7]),
        (4, [4, 5, 5, 7]),
        (29, [11, 11, 12, 12]),
        (37, [12, 13, 14, 15]),
        (40, [12, 13, 15, 17]),
    ] {
        assert_eq!(finals(&d(), &spread(Strategy::Auto, &d(), need, 0).unwrap()), want, "need {need}");
    }
}

#[test]
fn auto_ties_limits_and_refusals() {
    let auto = |caps: &[u64], counts: &[u64], need, limit| spread(Strategy::Auto, &slots(caps, counts), need, limit);
    assert_eq!(auto(&[1, 2, 1, 5, 10], &[], 3, 0).unwrap(), [0, 1, 0, 1, 1]);
    assert_eq!(auto(&[10, 4, 4], &[1, 1, 10], 5, 0).unwrap(), [3, 2, 0]);
    assert_eq!(auto(&[4, 5, 4, 10], &[2, 2, 4, 0], 3, 0).unwrap(), [0, 0, 0, 3]);
    assert_eq!(auto(&[3, 4, 5, 10], &[], 3, 0).unwrap(), [0, 1, 1, 1]);
    assert_eq!(auto(&[3, 4, 5, 10], &[3, 5, 7, 10], 3, 6).unwrap(), [2, 1, 0, 0]);
    assert_eq!(
        auto(&[3, 4, 5, 10], &[3, 5, 7, 10], 3, 5).unwrap_err().to_string(),
        "reached nodelimit, a node can host at most 5 instances: not enough resource"
    );
    let refusal = auto(&[2, 2, 2], &[], 7, 0).unwrap_err();
    assert_eq!(refusal.to_string(), "not enough resource: need: 7, available: 6");
    assert_eq!(refusal.kind, RefusalKind::NotEnough);
    assert!(auto(&[1], &[], 2, 0).unwrap_err().to_string().contains("need: 2, available: 1"));
    assert!(auto(&[1], &[], 0, 0).unwrap_err().to_string().contains("bad `Count` value"));
}

#[test]
fn fill() {
    let fill = |slots: &[Slot], need, limit| spread(Strategy::Fill, slots, need, limit);
    assert_eq!(finals(&d(), &fill(&d(), 10, 0).unwrap()), [10, 10, 10, 10]);
    assert_eq!(finals(&d(), &fill(&d(), 5, 0).unwrap()), [5, 5, 5, 7]);
    assert_eq!(fill(&d(), 10, 2).unwrap(), [0, 0, 5, 3]);
    assert!(fill(&d(), 15, 0).unwrap_err().to_string().contains("fill up to 15 instances, require 2 nodes"));
    assert!(fill(&d(), 1, 0).unwrap_err().to_string().contains("each node has enough workloads"));
    let text = fill(&slots(&[0, 10], &[]), 1, 3).unwrap_err().to_string();
    assert_eq!(text, "not enough resource: node len 2 cannot alloc a fill node plan");
}

#[test]
fn each() {
    let each = |slots: &[Slot], need, limit| spread(Strategy::Each, slots, need, limit);
    assert_eq!(finals(&d(), &each(&d(), 1, 0).unwrap()), [3, 4, 6, 8]);
    assert!(each(&d(), 100, 5).is_err());
    assert!(each(&d(), 100, 0).unwrap_err().to_string().contains("not enough capacity"));
    assert_eq!(each(&d(), 1, 1).unwrap().iter().sum::<u64>(), 1);
    let five = slots(&[1, 2, 3, 4, 5], &[]);
    assert!(each(&five, 4, 4).unwrap_err().to_string().contains("nodes with capacity of 4, require 4 nodes"));
    assert!(each(&five, 2, 0).unwrap_err().to_string().contains("of 2, require 5 nodes"));
}

#[test]
fn global_and_drained() {
    let slot = |usage, rate, capacity| Slot { usage, rate, capacity, count: 0 };
    let three = [slot(0.8, 0.05, 4), slot(0.5, 0.35, 1), slot(2.2, 0.05, 1)];
    assert_eq!(spread(Strategy::Global, &three, 3, 0).unwrap(), [2, 1, 0]);
    assert!(spread(Strategy::Global, &three, 100, 0).is_err());
    let big = [slot(0.8, 0.0, 10_000_000_000), slot(0.5, 0.0, 10_000_000_000), slot(2.2, 0.0, 10_000_000_000)];
    assert_eq!(spread(Strategy::Global, &big, 10, 0).unwrap(), [0, 10, 0]);
    let four = slots(&[10, 9, 10, 8], &[2, 3, 5, 7]);
    for (need, want) in [(1, [0, 0, 0, 1]), (3, [0, 0, 0, 3]), (10, [0, 2, 0, 8])] {
        assert_eq!(spread(Strategy::Drained, &four, need, 0).unwrap(), want);
    }
}

/// The definition of AUTO: `need` times the lowest node, of those the one with the most room, of those the first.
fn auto_by_definition(slots: &[Slot], need: u64, limit: u64) -> Option<Vec<u64>> {
    let mut added = vec![0; slots.len()];
    for _ in 0..need {
        let open = (0..slots.len())
            .filter(|i| added[*i] < slots[*i].capacity && (limit == 0 || slots[*i].count + added[*i] < limit));
        let lowest =
            open.min_by_key(|i| (slots[*i].count + added[*i], std::cmp::Reverse(slots[*i].capacity - added[*i]), *i))?;
        added[lowest] += 1;
    }
    Some(added)
}

proptest! {
    #[test]
    fn auto_is_what_it_is_defined_to_be(
        nodes in proptest::collection::vec((1u64..12, 0u64..12), 1..12),
        need in 1u32..80,
        limit in 0u32..16,
    ) {
        let slots: Vec<Slot> =
            nodes.iter().map(|(capacity, count)| Slot { capacity: *capacity, count: *count, ..Slot::default() }).collect();
        let got = spread(Strategy::Auto, &slots, need, limit).ok();
        prop_assert_eq!(got, auto_by_definition(&slots, need.into(), limit.into()));
    }

    #[test]
    fn no_input_panics(
        nodes in proptest::collection::vec((any::<u64>(), any::<u64>()), 0..6),
        need in any::<u32>(),
        limit in any::<u32>(),
    ) {
        let slots: Vec<Slot> =
            nodes.iter().map(|(capacity, count)| Slot { capacity: *capacity, count: *count, ..Slot::default() }).collect();
        for strategy in [Strategy::Auto, Strategy::Fill, Strategy::Each, Strategy::Drained] {
            let _ = spread(strategy, &slots, need, 0);
            let _ = spread(strategy, &slots, need, limit);
        }
        let _ = spread(Strategy::Global, &slots, need % 1000, limit);
    }
}
