//! Capacity and the named parts of plans against a slow search that tries everything.

#![allow(clippy::unwrap_used)]

mod support;

use eru_scheduler::{NodeSnapshot, Request, Share, capacities};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};
use support::{Asked, Node, request, run};

/// Pieces of a whole core here: small, so that everything can be tried.
const BASE: u32 = 10;

fn node(cores: &[u32]) -> Node {
    Node { cores: cores.iter().enumerate().map(|(i, pieces)| (i.to_string(), *pieces)).collect(), ..Node::default() }
}

fn bound(cpu: f64, cores_max: Option<u32>) -> Request {
    let asked = Asked { cpu, bind: true, ..Asked::default() };
    Request { share: Share { base: BASE, cores_max }, ..request(1, &asked) }
}

fn capacity(node: &NodeSnapshot, request: &Request) -> u64 {
    capacities(&[node], request).map_or(0, |found| found[0].1)
}

/// The most instances that the cores give, whole ones out of `whole` and fractions out of `cut`, tried one by one.
fn most(
    whole: &mut [u32],
    cut: &mut [u32],
    full: usize,
    fraction: u32,
    known: &mut HashMap<[Vec<u32>; 2], u64>,
) -> u64 {
    whole.sort_unstable();
    cut.sort_unstable();
    let key = [whole.to_vec(), cut.to_vec()];
    if let Some(most) = known.get(&key) {
        return *most;
    }
    let mut best = 0;
    for chosen in choices(whole.len(), full) {
        if chosen.iter().any(|i| whole[*i] < BASE) {
            continue;
        }
        let fractions: Vec<Option<usize>> =
            if fraction == 0 { vec![None] } else { (0..cut.len()).filter(|i| cut[*i] >= fraction).map(Some).collect() };
        for from in fractions {
            let (mut whole, mut cut) = (key[0].clone(), key[1].clone());
            chosen.iter().for_each(|i| whole[*i] -= BASE);
            if let Some(from) = from {
                cut[from] -= fraction;
            }
            best = best.max(1 + most(&mut whole, &mut cut, full, fraction, known));
        }
    }
    known.insert(key, best);
    best
}

/// All ways to choose `some` of `all`.
fn choices(all: usize, some: usize) -> Vec<Vec<usize>> {
    (0u32..1 << all)
        .filter(|bits| bits.count_ones() as usize == some)
        .map(|bits| (0..all).filter(|i| bits >> i & 1 == 1).collect())
        .collect()
}

/// Over all sets of whole cores that may be cut.
fn most_of_all(cores: &[u32], pieces: u32, cuts_max: usize) -> u64 {
    let (full, fraction) = ((pieces / BASE) as usize, pieces % BASE);
    let fragments: Vec<u32> = cores.iter().copied().filter(|free| !free.is_multiple_of(BASE)).collect();
    let whole: Vec<u32> = cores.iter().copied().filter(|free| *free > 0 && free.is_multiple_of(BASE)).collect();
    let cuts = 0..=if fraction == 0 { 0 } else { cuts_max.saturating_sub(fragments.len()).min(whole.len()) };
    let mut best = 0;
    for cut in cuts.flat_map(|n| choices(whole.len(), n)) {
        let mut uncut: Vec<u32> = (0..whole.len()).filter(|i| !cut.contains(i)).map(|i| whole[i]).collect();
        let mut cut: Vec<u32> = fragments.iter().copied().chain(cut.iter().map(|i| whole[*i])).collect();
        best = best.max(most(&mut uncut, &mut cut, full, fraction, &mut HashMap::new()));
    }
    best
}

/// The largest sum of the instances of one core and of the rest.
fn best_volumes(free: &mut Vec<u64>, sizes: &[u64], known: &mut HashMap<Vec<u64>, u64>) -> u64 {
    free.sort_unstable();
    if let Some(best) = known.get(free) {
        return *best;
    }
    let mut best = 0;
    let ways = sizes.iter().fold(vec![free.clone()], |states, size| {
        let place = |state: Vec<u64>| {
            (0..state.len())
                .filter(|i| state[*i] >= *size)
                .map(|i| {
                    let mut next = state.clone();
                    next[i] -= size;
                    next
                })
                .collect::<Vec<_>>()
        };
        let mut next: Vec<Vec<u64>> = states
            .into_iter()
            .flat_map(place)
            .map(|mut s| {
                s.sort_unstable();
                s
            })
            .collect();
        next.sort();
        next.dedup();
        next
    });
    for mut way in ways {
        best = best.max(1 + best_volumes(&mut way, sizes, known));
    }
    known.insert(free.clone(), best);
    best
}

fn volumes_node(free: &[u64]) -> Node {
    Node { volumes: free.iter().enumerate().map(|(i, bytes)| (format!("/d{i}"), *bytes)).collect(), ..Node::default() }
}

fn volumes_asked(sizes: &[u64], flags: &str) -> Asked {
    let volumes = sizes.iter().enumerate().map(|(i, size)| format!("AUTO:/v{i}:{flags}:{size}")).collect();
    Asked { volumes, ..Asked::default() }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// On nodes whose cores are over-sold equally or not at all, nothing fits more instances than ours does.
    #[test]
    fn bound_cores_hold_as_many_as_can_be(
        cores in proptest::collection::vec(0u32..=10, 1..6),
        oversold in 1u32..3,
        pieces in 1u32..32,
        cores_max in proptest::option::of(0u32..6),
    ) {
        let cores: Vec<u32> = cores.iter().map(|free| if *free == BASE { BASE * oversold } else { *free }).collect();
        let wanted = bound(f64::from(pieces) / 10.0, cores_max);
        let cuts_max = cores_max.map_or(usize::MAX, |max| max as usize);
        let snapshot = node(&cores).snapshot();
        // The binary arithmetic may cut a piece off; what is compared is what it makes of it.
        let pieces = (f64::from(pieces) / 10.0 * f64::from(BASE)).trunc() as u32;
        prop_assume!(pieces > 0);
        prop_assert_eq!(capacity(&snapshot, &wanted), most_of_all(&cores, pieces, cuts_max), "{:?} {}", cores, pieces);
    }

    /// Where cores are over-sold differently, the smallest are cut first, as the original does it; for each number of cuts
    /// nothing fits more.
    #[test]
    fn the_smallest_are_cut_first(units in proptest::collection::vec(0u32..4, 1..5), pieces in 1u32..26) {
        let cores: Vec<u32> = units.iter().map(|units| units * BASE).collect();
        let mut whole: Vec<u32> = cores.iter().copied().filter(|free| *free > 0).collect();
        whole.sort_unstable();
        let pieces = (f64::from(pieces) / 10.0 * f64::from(BASE)).trunc() as u32;
        prop_assume!(pieces > 0);
        let (full, fraction) = ((pieces / BASE) as usize, pieces % BASE);
        let cuts = 0..=if fraction == 0 { 0 } else { whole.len() };
        let want = cuts.map(|i| most(&mut whole[i..].to_vec(), &mut whole[..i].to_vec(), full, fraction, &mut HashMap::new()));
        let got = capacity(&node(&cores).snapshot(), &bound(f64::from(pieces) / 10.0, None));
        prop_assert_eq!(got, want.max().unwrap_or(0), "{:?} {}", cores, pieces);
    }

    /// Each number up to the capacity can be placed, at once and one by one, and the sums come out.
    #[test]
    fn what_is_counted_can_be_placed(
        cores in proptest::collection::vec(0u32..=30, 1..7),
        groups in proptest::collection::vec(0u8..3, 7),
        pieces in 1u32..32,
        memory in 0u64..4,
        group_memory in proptest::collection::vec(0u64..9, 3),
        cores_max in proptest::option::of(0u32..6),
    ) {
        let mut made = node(&cores);
        made.memory = 12;
        // Group 0 is none.
        made.numa = (0..cores.len()).filter(|i| groups[*i] > 0).map(|i| (i.to_string(), groups[i].to_string())).collect();
        made.numa_memory = (1..3).map(|g| (g.to_string(), group_memory[g])).collect();
        let snapshot = made.snapshot();
        let asked = Asked { cpu: f64::from(pieces) / 10.0, bind: true, memory, ..Asked::default() };
        let one = Request { share: Share { base: BASE, cores_max }, ..request(1, &asked) };
        let room = capacity(&snapshot, &one);
        for count in 1..=room {
            let many = Request { count: count as u32, ..one.clone() };
            let plan = run(std::slice::from_ref(&snapshot), &many).unwrap();
            let mut after = snapshot.clone();
            after.apply(&many, &plan.assignments[0]);
            let mut taken: BTreeMap<String, u32> = BTreeMap::new();
            let allotments = plan.allotments(&plan.assignments[0]);
            prop_assert_eq!(allotments.len() as u64, count);
            let mut singly = snapshot.clone();
            for allotment in allotments {
                for (core, pieces) in &allotment.cores {
                    *taken.entry(core.clone()).or_default() += pieces;
                }
                let (app, entrypoint) = support::key();
                singly.take(&app, &entrypoint, &many.demand.resources, &allotment);
            }
            prop_assert_eq!(&after, &singly, "applied at once and one by one");
            for (i, free) in cores.iter().enumerate() {
                prop_assert!(taken.get(&i.to_string()).copied().unwrap_or(0) <= *free);
            }
        }
        let more = Request { count: room as u32 + 1, ..one };
        prop_assert!(run(&[snapshot], &more).is_err());
    }

    /// NUMA: never fewer than the groups and the rest give when they are counted one after the other.
    #[test]
    fn groups_and_the_rest_are_added_up(cores in proptest::collection::vec(0u32..=1, 4), whole in 1u32..4) {
        let pieces: Vec<u32> = cores.iter().map(|on| on * BASE).collect();
        let mut made = node(&pieces);
        made.numa = (0..4).map(|i: usize| (i.to_string(), (i / 2).to_string())).collect();
        made.numa_memory = [("0".to_owned(), 100), ("1".to_owned(), 100)].into();
        let free = |range: std::ops::Range<usize>| cores[range].iter().sum::<u32>();
        let in_groups = free(0..2) / whole + free(2..4) / whole;
        let want = in_groups + (free(0..4) - in_groups * whole) / whole;
        prop_assert_eq!(capacity(&made.snapshot(), &bound(f64::from(whole), None)), u64::from(want));
    }

    /// Volumes of one instance: one volume, or several of one size, are placed as often as can be; several of different
    /// sizes at least as often as they fit wholly on one device each, and never more often than can be.
    #[test]
    fn volumes_are_placed_as_often_as_can_be(
        free in proptest::collection::vec(0u64..14, 1..4),
        mut sizes in proptest::collection::vec(1u64..8, 1..4),
        alike in any::<bool>(),
    ) {
        if alike {
            let size = sizes[0];
            sizes.iter_mut().for_each(|s| *s = size);
        }
        let got = capacity(&volumes_node(&free).snapshot(), &request(1, &volumes_asked(&sizes, "rw")));
        let best = best_volumes(&mut free.clone(), &sizes, &mut HashMap::new());
        let all: u64 = sizes.iter().sum();
        prop_assert!(got <= best);
        prop_assert!(got >= free.iter().map(|bytes| bytes / all).sum::<u64>());
        if sizes.len() == 1 {
            prop_assert_eq!(got, best);
        }
    }

    /// Monopoly volumes: as many as there are unused devices that are large enough.
    #[test]
    fn devices_of_ones_own_are_counted(
        devices in proptest::collection::vec((1u64..14, any::<bool>()), 1..5),
        sizes in proptest::collection::vec(1u64..6, 1..3),
    ) {
        let mut made = volumes_node(&devices.iter().map(|(bytes, _)| *bytes).collect::<Vec<_>>());
        made.used.devices = devices.iter().enumerate().filter(|(_, (_, used))| *used)
            .map(|(i, _)| (format!("/d{i}"), (0, 1, 0))).collect();
        let all: u64 = sizes.iter().sum();
        let want = devices.iter().filter(|(bytes, used)| !used && *bytes >= all).count() as u64;
        let wanted = request(1, &volumes_asked(&sizes, "mrw"));
        prop_assert_eq!(capacity(&made.snapshot(), &wanted), want);
        if want > 0 {
            let all = Request { count: want as u32, ..wanted };
            run(&[made.snapshot()], &all).unwrap();
        }
    }
}
