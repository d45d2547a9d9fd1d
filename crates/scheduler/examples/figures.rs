//! The figures of planning, as a table: `cargo run --release -p eru-scheduler --example figures`.
//!
//! Each is the median of several runs on fresh snapshots, together with the lint of the plan. "Memory" is by how much the
//! process grew at its highest while it planned and applied, over what it had with the snapshots made (Linux only).

use eru_scheduler::{
    Content, Counts, Free, NodeFilter, NodeSnapshot, Parts, PartsUsed, Plan, Quantities, Readiness, Request, Share,
    Strategy, capacities, lint, plan,
};
use eru_types::{AppName, CpuQuota, Demand, EntrypointName, Labels, MemoryBytes, NodeName, PodName, Resources};
use std::{
    collections::BTreeMap,
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;
/// Runs of which the median is told.
const RUNS: usize = 21;

fn main() {
    println!("| what | median | least | to reach | memory |");
    println!("| --- | --- | --- | --- | --- |");
    bound_cores();
    let unbound = nodes(24, 10, 128 * GIB, |_| 0);
    let demand = demand(CpuQuota(1_000_000), 128 * MIB, false);
    whole("10 000 nodes x 1024 of 128 MiB, 10 240 000 instances by AUTO", 5, &unbound, request(demand, 10, 10_240_000));
    // Fixed numbers that look like any others: the same in every run.
    let held = nodes(24, 10, 1024 * 128 * MIB, |node| (node.wrapping_mul(2_654_435_761) >> 7) % 1024);
    let small = self::demand(CpuQuota(0), 64 * MIB, false);
    let spread = Request { count: 10_239_999, ..request(small, 10, 10_239_999) };
    whole("10 239 999 instances over 10 000 nodes that hold 0 to 1023", 5, &held, spread);
    one_node();
    let one = request(self::demand(CpuQuota(1_300_000), MIB, true), 100, 1);
    whole("1 instance of 1.3 bound cores into 10 000 nodes", 10, &nodes(24, 100, 128 * GIB, |_| 0), one);
    let global =
        Request { strategy: Strategy::Global, ..request(self::demand(CpuQuota(0), 128 * MIB, false), 10, 5_000_000) };
    whole("10 000 nodes, 5 000 000 instances by GLOBAL", 40, &unbound, global);
}

fn bound_cores() {
    let nodes = nodes(24, 10, 128 * GIB, |_| 0);
    let request = request(demand(CpuQuota(1_300_000), 1, true), 10, 180_000);
    whole("10 000 nodes x 24 cores x 10, 180 000 of 1.3 bound cores: select, spread, apply, lint", 40, &nodes, request);
}

fn one_node() {
    let nodes = nodes(24, 100, 128 * GIB, |_| 0);
    let request = request(demand(CpuQuota(1_300_000), 1, true), 100, 1);
    let mut times: Vec<Duration> = (0..1001)
        .map(|_| {
            let began = Instant::now();
            black_box(capacities(&[black_box(&nodes[0])], black_box(&request)).expect("it fits"));
            began.elapsed()
        })
        .collect();
    times.sort();
    let (median, least) = (times[times.len() / 2], times[0]);
    println!("| one node of 24 cores x 100, capacity of 1.3 bound | {median:.2?} | {least:.2?} | 5 µs | - |");
}

/// Plans, lints and applies; the time is that of all three.
fn whole(what: &str, reach_ms: u64, nodes: &[NodeSnapshot], request: Request) {
    let mut times = Vec::new();
    let mut memory = 0;
    for _ in 0..RUNS {
        let mut nodes = nodes.to_vec();
        for node in &mut nodes {
            node.free = Arc::new(Free::clone(&node.free));
            node.counts = Arc::new(Counts::clone(&node.counts));
        }
        let before = memory_now_and_reset();
        let began = Instant::now();
        let plan = plan_and_check(&nodes, &request);
        let mut each = nodes.iter_mut();
        for assignment in &plan.assignments {
            let node = each.find(|node| node.name == assignment.node).expect("both are in order");
            node.apply(&request, assignment);
        }
        times.push(began.elapsed());
        memory = memory.max(memory_peak().saturating_sub(before));
        black_box((&nodes, &plan));
    }
    times.sort();
    let (median, least) = (times[RUNS / 2], times[0]);
    println!("| {what} | {median:.2?} | {least:.2?} | {reach_ms} ms | {:.1} MiB |", memory as f64 / 1024.0);
}

fn plan_and_check(nodes: &[NodeSnapshot], request: &Request) -> Plan {
    let nodes: Vec<&NodeSnapshot> = nodes.iter().collect();
    let plan = plan(&nodes, request).expect("it fits");
    let faults = lint(&plan, &nodes, request);
    assert!(faults.is_empty(), "{faults:?}");
    plan
}

fn nodes(cores: u32, pieces: u32, memory: u64, held: impl Fn(u32) -> u32) -> Vec<NodeSnapshot> {
    let pod = PodName::new("pod").expect("it is a name");
    let key = key();
    let cores_map: BTreeMap<String, u32> = (0..cores).map(|core| (core.to_string(), pieces)).collect();
    let node = |number: u32| {
        let parts = Parts::new(&cores_map, &BTreeMap::new(), &BTreeMap::new(), &BTreeMap::new());
        let counts: Counts = Some(held(number)).filter(|n| *n > 0).map(|n| (key.clone(), n)).into_iter().collect();
        NodeSnapshot {
            name: NodeName::new(format!("node{number:05}")).expect("it is a name"),
            pod: pod.clone(),
            labels: Labels::default(),
            runs_images: true,
            runs_commands: false,
            readiness: Readiness::Ready,
            total: Quantities {
                cpu: CpuQuota(u64::from(cores) * 1_000_000),
                memory: MemoryBytes(memory),
                storage: MemoryBytes(0),
            },
            used: Quantities::default(),
            free: Arc::new(Free::new(&parts, &PartsUsed::default())),
            parts: Arc::new(parts),
            counts: Arc::new(counts),
        }
    };
    (0..10_000).map(node).collect()
}

fn key() -> (AppName, EntrypointName) {
    (AppName::new("app").expect("it is a name"), EntrypointName::new("web").expect("it is a name"))
}

fn demand(cpu: CpuQuota, memory: u64, bind: bool) -> Demand {
    let resources = Resources { cpu_request: cpu, memory_request: MemoryBytes(memory), ..Resources::default() };
    Demand::new(resources, bind, vec![], vec![]).expect("it is a demand")
}

fn request(demand: Demand, base: u32, count: u32) -> Request {
    let (app, entrypoint) = key();
    Request {
        app,
        entrypoint,
        filter: NodeFilter { pod: Some(PodName::new("pod").expect("it is a name")), ..NodeFilter::default() },
        content: Content::Image,
        demand: Arc::new(demand),
        share: Share { base, cores_max: None },
        count,
        nodes_limit: 0,
        strategy: Strategy::Auto,
        spread_label: String::new(),
        node_max: 0,
    }
}

/// Memory of the process in KiB; its highest is counted from here on.
fn memory_now_and_reset() -> u64 {
    // Only Linux knows it, and only with its leave; without it the peak is that of the whole run, which is more.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    status("VmRSS:")
}

fn memory_peak() -> u64 {
    status("VmHWM:")
}

fn status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or(0)
}
