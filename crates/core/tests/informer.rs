//! The informer against a whole core, over connections that break: whatever happens, it ends with what the list says.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod proxy;
mod support;

use eru_api::pb;
use eru_client::{Change, Changes, Client, ClientOptions, Entry, Filter, Informer, InformerOptions};
use eru_core::CoreOptions;
use proxy::Proxy;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use support::{PATIENCE, TestCore, deploy, start_on, start_with};
use tokio_util::sync::CancellationToken;

const SEEDS: std::ops::Range<u64> = 0..4;
const STEPS: usize = 160;
const NODES: [&str; 3] = ["n1", "n2", "n3"];
/// So few that a client which misses some removals cannot resume.
const TOMBSTONES: usize = 4;
/// So many workloads that a walk has something to do, and so few that the same ones are met again.
const WORKLOADS_MAX: usize = 40;

fn few_tombstones(options: &mut CoreOptions) {
    options.cache.tombstones.count_max = TOMBSTONES;
}

/// What is compared of a workload.
#[derive(Debug, Clone, PartialEq)]
struct Shown {
    workload: pb::Workload,
    running: bool,
    healthy: bool,
    reason: String,
    node_state: String,
}

impl Shown {
    fn listed(mut workload: pb::Workload) -> Self {
        let status = workload.status.take().unwrap_or_default();
        Self::new(workload, status)
    }

    fn known(entry: &Entry) -> Self {
        Self::new(entry.workload.clone(), entry.status.clone().unwrap_or_default())
    }

    fn new(workload: pb::Workload, status: pb::WorkloadStatus) -> Self {
        let pb::WorkloadStatus { running, healthy, reason, node_state, .. } = status;
        Self { workload, running, healthy, reason, node_state }
    }
}

/// An informer, and what its stream of changes has told so far.
struct Watcher {
    filter: Filter,
    informer: Informer,
    changes: Changes,
    told: BTreeMap<String, Shown>,
}

impl Watcher {
    fn start(address: &str, filter: Filter, shutdown: &CancellationToken) -> Self {
        // A client each, so that their connections break at different places.
        let client = Client::connect(&[address], ClientOptions::default()).unwrap();
        let options = InformerOptions {
            bookmark_interval: Duration::from_millis(300),
            backoff_first: Duration::from_millis(2),
            backoff_most: Duration::from_millis(50),
        };
        let informer = Informer::start(client, filter.clone(), options, shutdown.clone());
        Self { changes: informer.changes(), filter, informer, told: BTreeMap::new() }
    }

    fn read(&mut self, changes_max: usize) {
        for _ in 0..changes_max {
            match self.changes.try_next() {
                None => return,
                Some(Change::Synced) => {}
                Some(Change::Removed(entry)) => drop(self.told.remove(entry.id())),
                Some(Change::Added(entry) | Change::Expired(entry) | Change::Updated { new: entry, .. }) => {
                    self.told.insert(entry.id().to_owned(), Shown::known(&entry));
                }
            }
        }
    }

    fn known(&self) -> BTreeMap<String, Shown> {
        self.informer.snapshot().iter().map(|(id, entry)| (id.to_string(), Shown::known(entry))).collect()
    }
}

fn filters() -> [Filter; 5] {
    let labels = BTreeMap::from([("zone".to_owned(), "x".to_owned())]);
    [
        Filter::default(),
        Filter { app: "a".into(), ..Filter::default() },
        Filter { node: "n1".into(), ..Filter::default() },
        Filter { entrypoint: "web".into(), labels: labels.clone(), ..Filter::default() },
        Filter { app: "b".into(), entrypoint: "db".into(), node: "n2".into(), labels },
    ]
}

/// What has happened, so that a walk which did nothing is noticed.
#[derive(Debug, Default)]
struct Done {
    deployed: usize,
    removed: usize,
    reported: usize,
    silenced: usize,
    cut: usize,
    restarted: usize,
}

struct Walk {
    core: Option<TestCore>,
    proxy: Proxy,
    watchers: Vec<Watcher>,
    ids: Vec<String>,
    random: StdRng,
    done: Done,
}

impl Walk {
    async fn start(seed: u64, shutdown: &CancellationToken) -> Self {
        let core = start_with(few_tombstones).await.with_nodes(&NODES).await;
        let proxy = Proxy::start(core.handle.address).await;
        let watchers = filters().map(|filter| Watcher::start(&proxy.address, filter, shutdown)).into();
        let random = StdRng::seed_from_u64(seed);
        Self { core: Some(core), proxy, watchers, ids: Vec::new(), random, done: Done::default() }
    }

    fn core(&mut self) -> &mut TestCore {
        self.core.as_mut().expect("it is only away while it is started again")
    }

    fn pick<const N: usize>(&mut self, of: [&'static str; N]) -> &'static str {
        of[self.random.random_range(0..N)]
    }

    fn some_ids(&mut self, most: usize) -> Vec<String> {
        let count = self.random.random_range(1..=most);
        let len = self.ids.len();
        (0..count.min(len)).map(|_| self.ids[self.random.random_range(0..len)].clone()).collect()
    }

    async fn step(&mut self) {
        match self.random.random_range(0..100) {
            0..20 => self.deploy().await,
            20..35 => self.remove().await,
            35..60 => self.report().await,
            60..68 => self.node_status().await,
            68..76 => {
                self.proxy.cut();
                self.done.cut += 1;
            }
            76..82 => {
                let bytes = self.random.random_range(1..6000);
                self.proxy.cut_after(bytes);
                self.done.cut += 1;
            }
            82..86 => self.proxy.refuse(true),
            86..90 => self.proxy.refuse(false),
            90..91 => self.restart_core().await,
            91..95 => {
                let changes_max = self.random.random_range(1..8);
                self.watchers.iter_mut().for_each(|watcher| watcher.read(changes_max));
            }
            // Nothing is waited for: some time passes, in which leases and reports run out and informers come back.
            _ => tokio::time::sleep(Duration::from_millis(self.random.random_range(1..80))).await,
        }
    }

    async fn deploy(&mut self) {
        if self.ids.len() >= WORKLOADS_MAX {
            return;
        }
        let count = self.random.random_range(1..4);
        let mut options = deploy(self.pick(["a", "b"]), count);
        options.entrypoint.as_mut().unwrap().name = self.pick(["web", "db"]).into();
        options.nodenames = vec![self.pick(NODES).into()];
        options.labels = [("zone".to_owned(), self.pick(["x", "y"]).to_owned())].into();
        options.resource_opts = Some(pb::ResourceOptions { memory_limit: 1 << 20, ..Default::default() });
        // A node that is silent or lost takes nothing.
        let Ok(answer) = self.core().client.create_workload(options).await else { return };
        let mut stream = answer.into_inner();
        while let Ok(Some(message)) = stream.message().await {
            if message.success {
                self.ids.push(message.id);
                self.done.deployed += 1;
            }
        }
    }

    async fn remove(&mut self) {
        let ids = self.some_ids(2 * TOMBSTONES);
        let request = pb::RemoveWorkloadOptions { ids, force: true, ..Default::default() };
        let Ok(answer) = self.core().client.remove_workload(request).await else { return };
        let mut stream = answer.into_inner();
        while let Ok(Some(message)) = stream.message().await {
            if message.success {
                self.ids.retain(|id| *id != message.id);
                self.done.removed += 1;
            }
        }
    }

    async fn report(&mut self) {
        for id in self.some_ids(6) {
            let running = self.random.random();
            let status = pb::WorkloadStatus {
                id,
                running,
                healthy: running && self.random.random(),
                reason: self.pick(["", "one", "another"]).into(),
                // Some are not repeated in time.
                ttl: i64::from(self.random.random_range(0..10) == 0) * 2,
                ..Default::default()
            };
            let request = pb::SetWorkloadsStatusOptions { status: vec![status] };
            // Removed as the same id was picked twice, perhaps.
            self.done.reported += usize::from(self.core().client.set_workloads_status(request).await.is_ok());
        }
    }

    /// A sign of life, or a good-bye: the node becomes suspect, and lost a third of a second later.
    async fn node_status(&mut self) {
        let ttl = if self.random.random() { 60 } else { -1 };
        let request = pb::SetNodeStatusOptions { nodename: self.pick(NODES).into(), ttl };
        let done = self.core().client.set_node_status(request).await.is_ok();
        self.done.silenced += usize::from(done && ttl < 0);
    }

    /// Another core on the same store, which has no tombstones at all.
    async fn restart_core(&mut self) {
        let core = self.core.take().expect("there is one");
        let (folder, fakes) = (core.folder.clone(), core.fakes.clone());
        core.stop().await;
        let core = start_on(folder, fakes, few_tombstones).await;
        self.proxy.lead_to(core.handle.address);
        self.core = Some(core);
        self.done.restarted += 1;
    }

    async fn listed(&mut self, filter: &Filter) -> BTreeMap<String, Shown> {
        let options = pb::ListWorkloadsOptions {
            appname: filter.app.clone(),
            entrypoint: filter.entrypoint.clone(),
            nodename: filter.node.clone(),
            labels: filter.labels.clone().into_iter().collect(),
            ..Default::default()
        };
        let mut stream = self.core().client.list_workloads(options).await.unwrap().into_inner();
        let mut listed = BTreeMap::new();
        while let Some(workload) = stream.message().await.unwrap() {
            listed.insert(workload.id.clone(), Shown::listed(workload));
        }
        listed
    }

    /// Waits until every informer, and what its changes told, is what the list says.
    async fn assert_equal_to_the_list(&mut self, seed: u64) {
        let begun = Instant::now();
        for number in 0..self.watchers.len() {
            let filter = self.watchers[number].filter.clone();
            loop {
                let listed = self.listed(&filter).await;
                let watcher = &mut self.watchers[number];
                watcher.read(usize::MAX);
                let known = watcher.known();
                if watcher.informer.is_live() && known == listed && watcher.told == listed {
                    break;
                }
                assert!(
                    begun.elapsed() < PATIENCE,
                    "seed {seed}, {filter:?}, live {}, {:?}:\nlisted {listed:#?}\nknown {known:#?}\ntold {:#?}",
                    watcher.informer.is_live(),
                    watcher.informer.problem(),
                    watcher.told
                );
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }
}

/// Three times: walk, then let everybody come back and compare.
async fn walk(seed: u64) {
    let shutdown = CancellationToken::new();
    let mut walk = Walk::start(seed, &shutdown).await;
    for _ in 0..3 {
        for _ in 0..STEPS / 3 {
            walk.step().await;
        }
        walk.proxy.refuse(false);
        walk.assert_equal_to_the_list(seed).await;
    }
    let Done { deployed, removed, reported, silenced, cut, .. } = walk.done;
    assert!(
        deployed > 5 && removed > TOMBSTONES && reported > 10 && silenced > 0 && cut > 0,
        "seed {seed} does too little: {:?}",
        walk.done
    );
    shutdown.cancel();
    walk.core.take().expect("there is one").stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_walk_leaves_the_informer_equal_to_the_list() {
    let walks: Vec<_> = SEEDS.map(|seed| (seed, tokio::spawn(walk(seed)))).collect();
    for (seed, walked) in walks {
        let walked = walked.await;
        assert!(walked.is_ok(), "seed {seed}: {walked:?}");
    }
}
