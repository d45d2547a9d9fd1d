//! Each strategy against what defines it, one instance after the other.

#![allow(clippy::unwrap_used)]

use eru_scheduler::strategy::{Slot, Strategy, spread};
use proptest::prelude::*;

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

/// The definition of GLOBAL: `need` times the node that is the least used with one more, of equals the first.
fn global_by_definition(slots: &[Slot], need: u64) -> Option<Vec<u64>> {
    let mut added = vec![0; slots.len()];
    for _ in 0..need {
        let level = |i: usize| slots[i].usage + slots[i].rate * (added[i] + 1) as f64;
        let open = (0..slots.len()).filter(|i| added[*i] < slots[*i].capacity);
        let least = open.min_by(|a, b| level(*a).total_cmp(&level(*b)).then(a.cmp(b)))?;
        added[least] += 1;
    }
    Some(added)
}

/// All ways to give at most its capacity to each slot.
fn all_ways(slots: &[Slot]) -> Vec<Vec<u64>> {
    slots.iter().fold(vec![vec![]], |ways, slot| {
        let more = |way: Vec<u64>| (0..=slot.capacity).map(move |n| [way.clone(), vec![n]].concat());
        ways.into_iter().flat_map(more).collect()
    })
}

fn slots_of(nodes: &[(u64, u64)]) -> Vec<Slot> {
    nodes.iter().map(|(capacity, count)| Slot { capacity: *capacity, count: *count, ..Slot::default() }).collect()
}

proptest! {
    #[test]
    fn auto_is_what_it_is_defined_to_be(
        nodes in proptest::collection::vec((1u64..12, 0u64..12), 1..12),
        need in 1u32..80,
        limit in 0u32..16,
    ) {
        let slots = slots_of(&nodes);
        let got = spread(Strategy::Auto, &slots, need, limit).ok();
        prop_assert_eq!(got, auto_by_definition(&slots, need.into(), limit.into()));
    }

    #[test]
    fn auto_leaves_the_least_uneven_counts(
        nodes in proptest::collection::vec((1u64..4, 0u64..4), 1..5),
        need in 1u64..10,
    ) {
        let slots = slots_of(&nodes);
        let Ok(got) = spread(Strategy::Auto, &slots, need as u32, 0) else {
            prop_assert!(slots.iter().map(|s| s.capacity).sum::<u64>() < need);
            return Ok(());
        };
        // The sum of squares is the least when the counts are as even as they can be.
        let squares = |way: &[u64]| slots.iter().zip(way).map(|(s, n)| (s.count + n).pow(2)).sum::<u64>();
        let least = all_ways(&slots).into_iter().filter(|way| way.iter().sum::<u64>() == need).map(|way| squares(&way)).min();
        prop_assert_eq!(Some(squares(&got)), least);
    }

    #[test]
    fn global_is_what_it_is_defined_to_be(
        nodes in proptest::collection::vec((1u64..9, 0u8..8, 0u8..5), 1..9),
        need in 1u32..60,
    ) {
        // Few different numbers, so that many are equal.
        let slots: Vec<Slot> = nodes.iter().map(|(capacity, usage, rate)| Slot {
            capacity: *capacity, usage: f64::from(*usage) / 8.0, rate: f64::from(*rate) * 0.1, count: 0,
        }).collect();
        prop_assert_eq!(spread(Strategy::Global, &slots, need, 0).ok(), global_by_definition(&slots, need.into()));
    }

    #[test]
    fn fill_and_each_find_nodes_whenever_there_are_some(
        nodes in proptest::collection::vec((1u64..5, 0u64..5), 1..6),
        need in 1u64..6,
        limit in 0usize..6,
    ) {
        let slots = slots_of(&nodes);
        let wanted = if limit == 0 { slots.len() } else { limit };
        let able = slots.iter().filter(|s| s.capacity >= need).count();
        match spread(Strategy::Each, &slots, need as u32, limit as u32) {
            Ok(added) => {
                prop_assert_eq!(added.iter().filter(|n| **n == need).count(), wanted);
                prop_assert!(slots.iter().zip(&added).all(|(s, n)| (*n == need || *n == 0) && *n <= s.capacity));
                // Those with the most room are taken.
                let taken = slots.iter().zip(&added).filter(|(_, n)| **n > 0).map(|(s, _)| s.capacity).min();
                let left = slots.iter().zip(&added).filter(|(_, n)| **n == 0).map(|(s, _)| s.capacity).max();
                prop_assert!(left.is_none_or(|left| taken >= Some(left)));
            }
            Err(_) => prop_assert!(able < wanted || able == 0),
        }
        let able = slots.iter().filter(|s| s.capacity + s.count >= need).count();
        match spread(Strategy::Fill, &slots, need as u32, limit as u32) {
            Ok(added) => {
                let filled = slots.iter().zip(&added).filter(|(s, n)| s.count + **n >= need).count();
                prop_assert!(filled >= wanted);
                prop_assert!(slots.iter().zip(&added).all(|(s, n)| *n == 0 || (s.count + n == need && *n <= s.capacity)));
                // No choice of as many nodes takes fewer instances.
                let missing = |s: &Slot| need.saturating_sub(s.count);
                let mut least: Vec<u64> = slots.iter().filter(|s| s.count + s.capacity >= need).map(missing).collect();
                least.sort_unstable();
                prop_assert_eq!(added.iter().sum::<u64>(), least[..wanted].iter().sum::<u64>());
            }
            Err(_) => {
                let full = slots.iter().filter(|s| s.count >= need).count();
                prop_assert!(able < wanted || full >= wanted);
            }
        }
    }

    #[test]
    fn drained_uses_the_fewest_nodes_that_keep_their_order(
        nodes in proptest::collection::vec((1u64..6, 0u64..3), 1..8),
        need in 1u64..40,
    ) {
        let slots = slots_of(&nodes);
        let Ok(added) = spread(Strategy::Drained, &slots, need as u32, 0) else {
            prop_assert!(slots.iter().map(|s| s.capacity).sum::<u64>() < need);
            return Ok(());
        };
        prop_assert_eq!(added.iter().sum::<u64>(), need);
        // Whoever got something is not larger than whoever has room left, and one at most is not full.
        let partly = slots.iter().zip(&added).filter(|(s, n)| **n > 0 && **n < s.capacity).count();
        prop_assert!(partly <= 1);
        let open = slots.iter().zip(&added).filter(|(s, n)| **n < s.capacity).map(|(s, _)| s.capacity).min();
        let used = slots.iter().zip(&added).filter(|(_, n)| **n > 0).map(|(s, _)| s.capacity).max();
        prop_assert!(open.is_none_or(|open| used <= Some(open)));
    }

    #[test]
    fn no_input_panics(
        nodes in proptest::collection::vec((any::<u64>(), any::<u64>(), any::<f64>(), any::<f64>()), 0..6),
        need in any::<u32>(),
        limit in any::<u32>(),
    ) {
        let slots: Vec<Slot> = nodes
            .iter()
            .map(|(capacity, count, usage, rate)| Slot { capacity: *capacity, count: *count, usage: *usage, rate: *rate })
            .collect();
        for strategy in [Strategy::Auto, Strategy::Fill, Strategy::Each, Strategy::Drained, Strategy::Global] {
            for limit in [0, limit] {
                if let Ok(added) = spread(strategy, &slots, need, limit) {
                    prop_assert!(slots.iter().zip(&added).all(|(s, n)| *n <= s.capacity));
                }
            }
        }
    }
}
