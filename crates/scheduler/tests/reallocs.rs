//! Realloc against what must hold, and against a search that tries everything.

#![allow(clippy::unwrap_used)]

mod support;

use eru_scheduler::{NodeSnapshot, PartsUsed, Share, realloc, realloc::Holding};
use eru_types::{Allotment, CpuQuota, Demand, MemoryBytes, Resources};
use proptest::prelude::*;
use std::collections::BTreeMap;
use support::Node;

const BASE: u32 = 10;

fn demand(pieces: u32, memory: u64) -> Demand {
    let resources = Resources {
        cpu_request: CpuQuota(u64::from(pieces) * 100_000),
        memory_request: MemoryBytes(memory),
        ..Resources::default()
    };
    Demand::new(resources, true, vec![], vec![]).unwrap()
}

/// Whether any set of cores gives `pieces`: whole cores, and a fraction on one more that is a fragment or may be cut.
fn fits(free: &[u32], pieces: u32) -> bool {
    let (full, fraction) = ((pieces / BASE) as usize, pieces % BASE);
    let whole = |i: &usize| free[*i] >= BASE && free[*i].is_multiple_of(BASE);
    (0u32..1 << free.len()).any(|bits| {
        let chosen: Vec<usize> = (0..free.len()).filter(|i| bits >> i & 1 == 1).collect();
        let rest = (0..free.len()).filter(|i| !chosen.contains(i));
        chosen.len() == full && chosen.iter().all(whole) && (fraction == 0 || rest.clone().any(|i| free[i] >= fraction))
    })
}

/// A node of `total` cores on which others hold `others`, and one workload `own`.
fn snapshot(total: usize, others: &[u32], own: &BTreeMap<String, u32>, memory: u64) -> NodeSnapshot {
    let mut used: BTreeMap<String, u64> = own.iter().map(|(core, pieces)| (core.clone(), u64::from(*pieces))).collect();
    for (i, pieces) in others.iter().enumerate() {
        *used.entry(i.to_string()).or_default() += u64::from(*pieces);
    }
    Node {
        cores: (0..total).map(|core| (core.to_string(), BASE)).collect(),
        memory: 100,
        memory_used: memory,
        used: PartsUsed { cores: used, ..PartsUsed::default() },
        ..Node::default()
    }
    .snapshot()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn cores_are_found_whenever_they_are_there_and_never_twice(
        others in proptest::collection::vec(0u32..=10, 2..6),
        before in 1u32..30,
        after in 1u32..40,
        memory in 0u64..50,
    ) {
        // The workload is placed by a plan, as it would be.
        let nobody = snapshot(others.len(), &others, &BTreeMap::new(), 0);
        let asked = demand(before, memory);
        let share = Share { base: BASE, cores_max: None };
        let wanted = eru_scheduler::Request {
            demand: std::sync::Arc::new(asked.clone()), share, ..support::request(1, &support::Asked::default())
        };
        let Ok(plan) = support::run(std::slice::from_ref(&nobody), &wanted) else { return Ok(()) };
        let held = Allotment::clone(&plan.allotments(&plan.assignments[0])[0]);
        let with_it = snapshot(others.len(), &others, &held.cores, memory);

        let new = demand(after, memory + 1);
        let holding = Holding { resources: &asked.resources, allotment: &held };
        let free: Vec<u32> = others.iter().map(|others| BASE - others).collect();
        let found = realloc(&with_it, holding, &new, share);
        if let Ok(allotment) = &found {
            prop_assert_eq!(allotment.cores.values().sum::<u32>(), after);
            for (core, pieces) in &allotment.cores {
                prop_assert!(*pieces <= free[core.parse::<usize>().unwrap()], "{:?} of {:?}", allotment.cores, free);
            }
            // One fraction at most, when it was so before.
            prop_assert!(allotment.cores.values().filter(|pieces| **pieces % BASE > 0).count() <= 1);
            if after == before {
                prop_assert_eq!(&allotment.cores, &held.cores, "nothing changed");
            }
            if after >= before {
                let kept = held.cores.iter().filter(|(_, pieces)| **pieces == BASE);
                for (core, _) in kept {
                    prop_assert_eq!(allotment.cores.get(core), Some(&BASE), "whole cores are kept");
                }
            }
        }
        prop_assert!(found.is_ok() || !fits(&free, after), "{:?} -> {} on {:?}: {:?}", held.cores, after, free, found);
    }

    #[test]
    fn anything_that_a_record_may_hold_is_answered(
        cores in proptest::collection::btree_map("[0-9x]{1,2}", any::<u32>(), 0..5),
        numa in "[01]?",
        pieces in any::<u32>(),
        memory in any::<u64>(),
        held_memory in any::<u64>(),
        used in any::<u64>(),
        volume_bytes in any::<u64>(),
        size in any::<u32>(),
        bind in any::<bool>(),
    ) {
        let volume: eru_types::Volume = format!("AUTO:/a:rw:{size}").parse().unwrap();
        let held = Allotment {
            cores,
            numa_node: numa,
            volumes_request: vec![volume.clone()],
            volumes_limit: vec![volume.clone()],
            volume_plan_request: [(volume.to_string(), [("/d0".to_owned(), volume_bytes)].into())].into(),
            ..Allotment::default()
        };
        let resources = Resources { memory_request: MemoryBytes(held_memory), ..Resources::default() };
        let mut node = Node { memory, memory_used: used, ..Node::default() };
        node.numa = [("0".to_owned(), "0".to_owned()), ("9".to_owned(), "1".to_owned())].into();
        node.numa_memory = [("0".to_owned(), memory)].into();
        node.volumes = [("/d0".to_owned(), volume_bytes / 2)].into();
        let mut new = demand(pieces.max(1), memory / 3);
        new.bind = bind;
        new.volumes_request = vec![volume.with_size(volume_bytes / 3)];
        new.volumes_limit = new.volumes_request.clone();
        let _ = realloc(&node.snapshot(), Holding { resources: &resources, allotment: &held }, &new, Share::default());
    }
}
