//! Nodes and requests for tests, said briefly.

#![allow(dead_code, clippy::unwrap_used)]

use eru_scheduler::{
    Content, Free, NodeFilter, NodeSnapshot, Parts, PartsUsed, Plan, Quantities, Readiness, Refusal, Request, Share,
    Strategy, lint, plan,
};
use eru_types::{
    AppName, CpuQuota, Demand, DemandError, EntrypointName, Labels, MemoryBytes, NodeName, PodName, Resources, Volume,
};
use std::{collections::BTreeMap, sync::Arc};

pub const MIB: u64 = 1 << 20;
pub const GIB: u64 = 1 << 30;

/// A node to be.
#[derive(Debug, Clone)]
pub struct Node {
    pub name: String,
    pub pod: String,
    pub labels: BTreeMap<String, String>,
    pub readiness: Readiness,
    pub images: bool,
    pub commands: bool,
    pub cores: BTreeMap<String, u32>,
    pub numa: BTreeMap<String, String>,
    pub numa_memory: BTreeMap<String, u64>,
    pub memory: u64,
    pub memory_used: u64,
    pub storage: u64,
    pub volumes: BTreeMap<String, u64>,
    pub used: PartsUsed,
    pub count: u32,
}

impl Default for Node {
    fn default() -> Self {
        Self {
            name: "n1".into(),
            pod: "p".into(),
            labels: BTreeMap::new(),
            readiness: Readiness::Ready,
            images: true,
            commands: false,
            cores: (0..8).map(|core: u32| (core.to_string(), 100)).collect(),
            numa: BTreeMap::new(),
            numa_memory: BTreeMap::new(),
            memory: 1 << 40,
            memory_used: 0,
            storage: 1 << 50,
            volumes: BTreeMap::new(),
            used: PartsUsed::default(),
            count: 0,
        }
    }
}

impl Node {
    pub fn snapshot(&self) -> NodeSnapshot {
        let parts = Parts::new(&self.cores, &self.numa, &self.numa_memory, &self.volumes);
        let used: u64 = self.used.cores.values().sum();
        NodeSnapshot {
            name: NodeName::new(&self.name).unwrap(),
            pod: PodName::new(&self.pod).unwrap(),
            labels: Labels::new(self.labels.clone()).unwrap(),
            runs_images: self.images,
            runs_commands: self.commands,
            readiness: self.readiness,
            total: Quantities {
                cpu: CpuQuota(self.cores.len() as u64 * 1_000_000),
                memory: MemoryBytes(self.memory),
                storage: MemoryBytes(self.storage),
            },
            used: Quantities {
                cpu: CpuQuota(used.saturating_mul(10_000)),
                memory: MemoryBytes(self.memory_used),
                storage: MemoryBytes(0),
            },
            free: Arc::new(Free::new(&parts, &self.used)),
            parts: Arc::new(parts),
            counts: Arc::new(Some(self.count).filter(|n| *n > 0).map(|n| (key(), n)).into_iter().collect()),
        }
    }
}

pub fn key() -> (AppName, EntrypointName) {
    (AppName::new("a").unwrap(), EntrypointName::new("web").unwrap())
}

/// A demand to be.
#[derive(Debug, Clone, Default)]
pub struct Asked {
    pub cpu: f64,
    pub bind: bool,
    pub memory: u64,
    pub storage: u64,
    pub volumes: Vec<String>,
    pub volumes_limit: Vec<String>,
}

impl Asked {
    pub fn demand(&self) -> Result<Demand, DemandError> {
        let volumes = |texts: &[String]| -> Result<Vec<Volume>, DemandError> {
            texts.iter().map(|text| Ok(text.parse::<Volume>()?)).collect()
        };
        let resources = Resources {
            cpu_request: CpuQuota::from_cores("cpu", self.cpu).unwrap(),
            memory_request: MemoryBytes(self.memory),
            storage_request: MemoryBytes(self.storage),
            ..Resources::default()
        };
        let requests = volumes(&self.volumes)?;
        let limits = if self.volumes_limit.is_empty() { requests.clone() } else { volumes(&self.volumes_limit)? };
        Demand::new(resources, self.bind, requests, limits)
    }
}

pub fn request(count: u32, asked: &Asked) -> Request {
    let (app, entrypoint) = key();
    Request {
        app,
        entrypoint,
        filter: NodeFilter { pod: Some(PodName::new("p").unwrap()), ..NodeFilter::default() },
        content: Content::Image,
        demand: Arc::new(asked.demand().unwrap()),
        share: Share::default(),
        count,
        nodes_limit: 0,
        strategy: Strategy::Auto,
        spread_label: String::new(),
        node_max: 0,
    }
}

/// Plans, and insists on the lint.
pub fn run(nodes: &[NodeSnapshot], request: &Request) -> Result<Plan, Refusal> {
    let refs: Vec<&NodeSnapshot> = nodes.iter().collect();
    let plan = plan(&refs, request)?;
    assert_eq!(lint(&plan, &refs, request), [], "{request:?} on {nodes:?}");
    Ok(plan)
}

pub fn counts(plan: &Plan) -> Vec<(&str, u32)> {
    plan.assignments.iter().map(|a| (a.node.as_str(), a.count)).collect()
}
