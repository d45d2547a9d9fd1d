//! One core without its servers, and what must hold whenever nothing is in the making.

use crate::{
    cache::{Cache, CacheOptions},
    cluster::{
        Cluster, DeployOutcome, DeployRequest, Tasks, TasksOptions,
        agent::Agents,
        engines::Engines,
        node::NewNode,
        remove::{RemoveOutcome, RemoveRequest},
        replace::{ReplaceOutcome, ReplaceRequest},
        status::StatusWriter,
    },
    fault::Faults,
    keys::{self, Key},
    options::Settings,
    parts::Parts,
    record::{self, Placement, PlacementState, StatusRecord, Verdict, VerdictRecord, Versioned},
};
use eru_api::pb;
use eru_kv::{Durability, Embedded, EmbeddedOptions, KeyRange, Kv, Op, RangeOptions, Txn};
use eru_runtime::{Fake, FakeRegistry, Runtime, State};
use eru_types::{EngineId, Labels, MemoryBytes, NodeName, PodName, WorkloadStatus};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};
use tokio_util::sync::CancellationToken;

pub(super) const GIB: u64 = 1 << 30;

/// A store and engines, which outlive cores.
pub(super) struct World {
    pub(super) kv: Arc<dyn Kv>,
    pub(super) fakes: Arc<FakeRegistry>,
    /// What cores are started with.
    pub(super) settings: Settings,
    parts: parking_lot::Mutex<Parts>,
    _folder: tempfile::TempDir,
}

impl World {
    pub(super) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let kv = Embedded::open(folder.path(), EmbeddedOptions::default()).unwrap();
        Self {
            kv,
            fakes: Arc::new(FakeRegistry::new(None)),
            settings: Settings::default(),
            parts: Default::default(),
            _folder: folder,
        }
    }

    pub(super) async fn core(&self, instance: &str) -> Arc<Cluster> {
        self.core_with(instance, Faults::default()).await
    }

    pub(super) async fn core_with(&self, instance: &str, faults: Faults) -> Arc<Cluster> {
        let cache = Cache::start(self.kv.clone(), CacheOptions::default(), CancellationToken::new()).await.unwrap();
        let seed = instance.bytes().map(u64::from).sum();
        let tasks = TasksOptions {
            kv: self.kv.clone(),
            cache: cache.clone(),
            instance: instance.into(),
            core_id: "test".into(),
            faults,
            share: eru_scheduler::Share::default(),
            seed,
        };
        let tasks = Tasks::start(tasks, &mut self.parts.lock());
        let (statuses, _) = StatusWriter::new(self.kv.clone(), cache.clone());
        let settings = self.settings.clone();
        Arc::new(Cluster {
            kv: self.kv.clone(),
            cache,
            engines: Engines::new(None, Some(self.fakes.clone()), settings.max_concurrency),
            instance: instance.into(),
            core_id: "test".into(),
            tasks,
            statuses,
            agents: Agents::default(),
            pools: Default::default(),
            runs: Default::default(),
            settings,
        })
    }

    pub(super) fn engine(&self, node: &str) -> Arc<Fake> {
        self.fakes.get(&NodeName::new(node).unwrap()).unwrap()
    }

    pub(super) async fn read<T: serde::de::DeserializeOwned>(&self, range: KeyRange) -> Vec<Versioned<T>> {
        let mut range = range;
        let mut all = Vec::new();
        loop {
            let page = self.kv.range(&range, RangeOptions::default()).await.unwrap();
            let last = page.kvs.last().map(|kv| kv.key.clone());
            all.extend(page.kvs.iter().map(|kv| record::decode(&kv.value).unwrap()));
            let (Some(last), true) = (last, page.more) else { return all };
            range.start = [&last[..], b"\0"].concat().into();
        }
    }

    pub(super) async fn placements(&self) -> Vec<Versioned<Placement>> {
        self.read(KeyRange::prefix("/placement/")).await
    }

    /// Placements, indexes, reports, engine objects and sums agree, and nothing is half done.
    pub(super) async fn check(&self, cluster: &Cluster) {
        cluster.cache.linearizable().await.unwrap();
        let placements = self.placements().await;
        let mut used: BTreeMap<NodeName, u64> = BTreeMap::new();
        let mut ids = BTreeSet::new();
        for placement in &placements {
            assert_eq!(placement.state, PlacementState::Running, "{placement:?}");
            assert_eq!((&placement.replaces, &placement.successor), (&None, &None), "no replacement is half done");
            *used.entry(placement.node.clone()).or_default() += placement.taken().memory_request.0;
            assert!(ids.insert(placement.engine_id.clone().unwrap()), "one id, two placements");
        }
        let keys_of = |kind: &'static str| async move {
            let range = KeyRange::prefix(format!("/{kind}/"));
            let kvs = self.kv.range(&range, RangeOptions::default()).await.unwrap().kvs;
            kvs.iter().filter_map(|kv| keys::parse(&kv.key)).collect::<Vec<_>>()
        };
        let indexed = keys_of("index").await.into_iter().filter_map(|key| match key {
            Key::Index(id) => Some(id),
            _ => None,
        });
        assert_eq!(indexed.collect::<BTreeSet<EngineId>>(), ids, "indexes are those of the placements");
        for key in keys_of("status").await {
            assert!(matches!(&key, Key::Status(_, id) if ids.contains(id)), "{key:?} belongs to no placement");
        }
        let mut objects = BTreeSet::new();
        for node in cluster.cache.nodes(None) {
            let mut parts = crate::cache::PartsSum::default();
            placements.iter().filter(|placement| placement.node == *node.name()).for_each(|p| parts.add(p));
            assert_eq!(*node.parts, parts.used(), "parts of {}", node.name());
            let pieces = |core: &String| node.record.cpu.get(core).copied().unwrap_or(0);
            assert!(node.parts.cores.iter().all(|(core, used)| *used <= pieces(core).into()), "{:?}", node.parts);
            let used = used.get(node.name()).copied().unwrap_or(0);
            assert_eq!(node.used.memory_request.0, used, "sum of {}", node.name());
            assert!(used <= node.record.memory.0, "{} is overbooked: {used} of {}", node.name(), node.record.memory.0);
            let engine = self.engine(node.name().as_str());
            for object in engine.list(&Labels::default()).await.unwrap() {
                assert_eq!(object.state, State::Running, "{object:?}");
                objects.insert(object.id);
            }
        }
        assert_eq!(objects, ids, "engine objects are those of the placements");
    }

    /// The verdict on a node, as the liveness holder writes it.
    pub(super) async fn judge(&self, node: &str, verdict: Verdict) {
        let value =
            record::encode(&Versioned::new(VerdictRecord { verdict, generation: 1, ..VerdictRecord::default() }));
        self.put(keys::verdict(&NodeName::new(node).unwrap()), value).await;
    }

    /// A report that the workload is healthy, as an agent sends it.
    pub(super) async fn report_healthy(&self, placement: &Placement) {
        let id = placement.engine_id.clone().unwrap();
        let key = keys::status(&placement.node, &id);
        let value = record::encode(&Versioned::new(StatusRecord {
            id,
            node: placement.node.clone(),
            incarnation: 1,
            seq: 1,
            generation: 0,
            ttl_s: 0,
            status: WorkloadStatus { running: true, healthy: true, ..WorkloadStatus::default() },
        }));
        self.put(key, value).await;
    }

    pub(super) async fn put(&self, key: bytes::Bytes, value: bytes::Bytes) {
        let txn = Txn { then: vec![Op::put(key, value)], ..Txn::default() };
        self.kv.txn(txn, Durability::Durable).await.unwrap();
    }
}

/// A pod `p` with simulated nodes `n0`, `n1`, ...
pub(super) async fn nodes(cluster: &Cluster, count: usize, memory: u64) {
    cluster.add_pod(PodName::new("p").unwrap(), String::new()).await.unwrap();
    for i in 0..count {
        let new = NewNode {
            name: NodeName::new(format!("n{i}")).unwrap(),
            pod: PodName::new("p").unwrap(),
            endpoint: format!("fake://n{i}"),
            cores: 8,
            share: 100,
            memory: MemoryBytes(memory),
            storage: MemoryBytes(GIB),
            labels: Labels::default(),
            volumes: BTreeMap::new(),
            numa: BTreeMap::new(),
            numa_memory: BTreeMap::new(),
            tls: None,
        };
        cluster.add_node(new).await.unwrap();
    }
    cluster.cache.linearizable().await.unwrap();
}

/// Options of a deploy of `count` instances of 1 GiB.
pub(super) fn options(count: i32) -> pb::DeployOptions {
    pb::DeployOptions {
        name: "a".into(),
        podname: "p".into(),
        image: "nginx".into(),
        count,
        entrypoint: Some(pb::EntrypointOptions { name: "web".into(), ..pb::EntrypointOptions::default() }),
        resource_opts: Some(pb::ResourceOptions { memory_limit: GIB as i64, ..pb::ResourceOptions::default() }),
        ..pb::DeployOptions::default()
    }
}

pub(super) fn request(options: &pb::DeployOptions) -> DeployRequest {
    DeployRequest::from_pb(options).unwrap()
}

/// Deploys and waits for all outcomes.
pub(super) async fn deploy(cluster: &Arc<Cluster>, options: &pb::DeployOptions) -> Vec<DeployOutcome> {
    let mut outcomes = cluster.deploy(request(options)).await.unwrap();
    let mut all = Vec::new();
    while let Some(outcome) = within(outcomes.recv()).await {
        all.push(outcome);
    }
    all
}

pub(super) fn succeeded(outcomes: &[DeployOutcome]) -> Vec<String> {
    outcomes.iter().filter(|o| o.error.is_empty()).map(|o| o.id.as_ref().unwrap().to_string()).collect()
}

pub(super) fn removal(ids: &[String], force: bool) -> RemoveRequest {
    RemoveRequest { ids: ids.to_vec(), force, owner: None, healthy_min: 0 }
}

pub(super) async fn remove(cluster: &Arc<Cluster>, request: RemoveRequest) -> Vec<RemoveOutcome> {
    let mut outcomes = cluster.remove(request).await.unwrap();
    let mut all = Vec::new();
    while let Some(outcome) = within(outcomes.recv()).await {
        all.push(outcome);
    }
    all
}

/// The replacement of `ids` by instances of `options`.
pub(super) fn replacement(ids: &[String], options: &pb::DeployOptions) -> pb::ReplaceOptions {
    pb::ReplaceOptions { deploy_opt: Some(options.clone()), ids: ids.to_vec(), ..pb::ReplaceOptions::default() }
}

pub(super) async fn replace(cluster: &Arc<Cluster>, options: &pb::ReplaceOptions) -> Vec<ReplaceOutcome> {
    let mut outcomes = cluster.replace(ReplaceRequest::from_pb(options).unwrap()).await.unwrap();
    let mut all = Vec::new();
    while let Some(outcome) = within(outcomes.recv()).await {
        all.push(outcome);
    }
    all
}

/// A command of a simulated workload, as the only thing that an entrypoint has.
pub(super) fn running(command: &str, options: pb::DeployOptions) -> pb::DeployOptions {
    let entrypoint = pb::EntrypointOptions { command: command.into(), ..options.entrypoint.unwrap_or_default() };
    pb::DeployOptions { entrypoint: Some(entrypoint), ..options }
}

/// Nothing here takes longer, however slow the disk is.
pub(super) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it did not end in time")
}

/// Waits until `condition` holds.
pub(super) async fn eventually(what: &str, condition: impl AsyncFn() -> bool) {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "{what} did not become true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
