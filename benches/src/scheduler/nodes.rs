//! The nodes and requests that are planned with.

use eru_scheduler::{
    Content, Counts, Free, NodeFilter, NodeSnapshot, Parts, PartsUsed, Quantities, Readiness, Request, Share, Strategy,
};
use eru_types::{AppName, CpuQuota, Demand, EntrypointName, Labels, MemoryBytes, NodeName, PodName, Resources};
use std::{collections::BTreeMap, sync::Arc};

pub(super) const MIB: u64 = 1 << 20;
pub(super) const GIB: u64 = 1 << 30;

/// Ten thousand equal nodes; `held` says how many instances are on each.
pub(super) fn ten_thousand(cores: u32, pieces: u32, memory: u64, held: impl Fn(u32) -> u32) -> Vec<NodeSnapshot> {
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

/// `count` instances of `cpu` millionths of a core, bound to cores of `base` pieces or to none, and of `memory` bytes.
pub(super) fn request(cpu: u64, bind: bool, base: u32, memory: u64, count: u32) -> Request {
    let (app, entrypoint) = key();
    let resources =
        Resources { cpu_request: CpuQuota(cpu), memory_request: MemoryBytes(memory), ..Resources::default() };
    Request {
        app,
        entrypoint,
        filter: NodeFilter { pod: Some(PodName::new("pod").expect("it is a name")), ..NodeFilter::default() },
        content: Content::Image,
        demand: Arc::new(Demand::new(resources, bind, vec![], vec![]).expect("it is a demand")),
        share: Share { base, cores_max: None },
        count,
        nodes_limit: 0,
        strategy: Strategy::Auto,
        spread_label: String::new(),
        node_max: 0,
    }
}
