//! Planning by itself: each time is that of the plan, its lint and applying it, on fresh snapshots.

use super::nodes::{GIB, MIB, request, ten_thousand};
use crate::{
    process::{mib, peak_bytes, peak_bytes_from_now},
    table::Table,
};
use eru_scheduler::{Counts, Free, NodeSnapshot, Plan, Request, Strategy, capacities, lint, plan};
use eru_testkit::Percentiles;
use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

/// Runs of one row.
const ROUNDS: usize = 21;
/// Runs where one takes microseconds.
const ROUNDS_SHORT: usize = 1001;

pub(super) fn rows(table: &mut Table) {
    let bound = ten_thousand(24, 10, 128 * GIB, |_| 0);
    let peak = row(
        table,
        "10 000 nodes x 24 cores x 10 pieces, 180 000 of 1.3 bound cores",
        "<= 40 ms (12-17 s there)",
        &bound,
        &request(1_300_000, true, 10, 1, 180_000),
    );
    let unbound = ten_thousand(24, 10, 128 * GIB, |_| 0);
    row(
        table,
        "10 000 nodes, 128 MiB each, 10 240 000 instances",
        "<= 5 ms (7.2 s there)",
        &unbound,
        &request(1_000_000, false, 10, 128 * MIB, 10_240_000),
    );
    // Numbers that look like any others, the same in every run.
    let held = ten_thousand(24, 10, 1024 * 128 * MIB, |node| (node.wrapping_mul(2_654_435_761) >> 7) % 1024);
    row(
        table,
        "10 239 999 instances over 10 000 nodes that hold 0 to 1023",
        "<= 5 ms (8.4 s there)",
        &held,
        &request(0, false, 10, 64 * MIB, 10_239_999),
    );
    one_node(table);
    let global = Request { strategy: Strategy::Global, ..request(0, false, 10, 128 * MIB, 5_000_000) };
    row(table, "10 000 nodes, 5 000 000 instances by GLOBAL", "<= 40 ms", &unbound, &global);
    table.row("memory while planning the first of these, over the snapshots", "<= 64 MiB (3.4 GB there)", mib(peak));
}

fn one_node(table: &mut Table) {
    let nodes = ten_thousand(24, 100, 128 * GIB, |_| 0);
    let request = request(1_300_000, true, 100, 1, 1);
    let time = |_| {
        let begin = Instant::now();
        black_box(capacities(&[black_box(&nodes[0])], black_box(&request)).expect("it fits"));
        begin.elapsed()
    };
    let times = Percentiles::new((0..ROUNDS_SHORT).map(time).collect());
    let measured = format!("p50 {:.2?}, p99 {:.2?}", times.at(50.0), times.at(99.0));
    table.row("one node of 24 cores x 100 pieces, capacity of 1.3 bound", "<= 5 µs (468 µs there)", measured);
}

/// Measures one; the answer is by how much the process grew.
fn row(table: &mut Table, what: &str, target: &str, nodes: &[NodeSnapshot], request: &Request) -> u64 {
    let (mut times, mut grown): (Vec<Duration>, u64) = (Vec::new(), 0);
    for _ in 0..ROUNDS {
        let mut nodes = nodes.to_vec();
        for node in &mut nodes {
            node.free = Arc::new(Free::clone(&node.free));
            node.counts = Arc::new(Counts::clone(&node.counts));
        }
        let before = peak_bytes_from_now();
        let begin = Instant::now();
        let plan = checked(&nodes, request);
        let mut each = nodes.iter_mut();
        for assignment in &plan.assignments {
            let node = each.find(|node| node.name == assignment.node).expect("both are in order");
            node.apply(request, assignment);
        }
        times.push(begin.elapsed());
        grown = grown.max(peak_bytes().saturating_sub(before));
        black_box((&nodes, &plan));
    }
    table.row(what, target, format!("{}; {}", Percentiles::new(times), mib(grown)));
    grown
}

fn checked(nodes: &[NodeSnapshot], request: &Request) -> Plan {
    let nodes: Vec<&NodeSnapshot> = nodes.iter().collect();
    let plan = plan(&nodes, request).expect("it fits");
    let faults = lint(&plan, &nodes, request);
    assert!(faults.is_empty(), "{faults:?}");
    plan
}
