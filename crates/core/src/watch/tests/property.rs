//! Whatever happens in whatever order, a client that follows the protocol ends with what the list says.

use super::{client::*, *};
use crate::{cache::WorkloadFilter, record::PlacementState, record::Verdict};
use proptest::prelude::*;
use std::{collections::BTreeMap, time::Duration};

const APPS: [&str; 2] = ["a", "b"];
const ENTRYPOINTS: [&str; 2] = ["web", "db"];
const NODES: [&str; 3] = ["n1", "n2", "n3"];
const LABELS: [&str; 2] = ["x", "y"];
const CLIENTS: usize = 4;
const BOOKMARK_MS: u32 = 1000;

#[derive(Debug, Clone)]
enum Step {
    Add {
        app: usize,
        entrypoint: usize,
        node: usize,
        label: usize,
    },
    Advance(usize),
    Recreate(usize),
    Report {
        workload: usize,
        running: bool,
    },
    Expire(usize),
    Remove(usize),
    Alive {
        node: usize,
        alive: bool,
    },
    Verdict {
        node: usize,
        verdict: Verdict,
    },
    /// What follows is of another revision.
    Commit,
    /// The cache gets what was committed.
    Send,
    /// The cache has to load anew.
    Reload,
    /// A client reads so many messages.
    Read {
        client: usize,
        messages: usize,
    },
    /// A client's connection breaks; it comes back with its token.
    Break(usize),
    /// Time for bookmarks.
    Tick,
}

fn step() -> impl Strategy<Value = Step> {
    let n = 0..8usize;
    prop_oneof![
        6 => (0..2usize, 0..2usize, 0..3usize, 0..2usize)
            .prop_map(|(app, entrypoint, node, label)| Step::Add { app, entrypoint, node, label }),
        6 => n.clone().prop_map(Step::Advance),
        1 => n.clone().prop_map(Step::Recreate),
        8 => (n.clone(), any::<bool>()).prop_map(|(workload, running)| Step::Report { workload, running }),
        2 => n.clone().prop_map(Step::Expire),
        4 => n.prop_map(Step::Remove),
        3 => (0..3usize, any::<bool>()).prop_map(|(node, alive)| Step::Alive { node, alive }),
        2 => (0..3usize, prop_oneof![Just(Verdict::Fine), Just(Verdict::Lost), Just(Verdict::Unwatched)])
            .prop_map(|(node, verdict)| Step::Verdict { node, verdict }),
        8 => Just(Step::Commit),
        6 => Just(Step::Send),
        1 => Just(Step::Reload),
        8 => (0..CLIENTS, 1..6usize).prop_map(|(client, messages)| Step::Read { client, messages }),
        3 => (0..CLIENTS).prop_map(Step::Break),
        2 => Just(Step::Tick),
    ]
}

struct Placed {
    node: &'static str,
    name: String,
    label: &'static str,
    state: PlacementState,
    id: Option<String>,
}

/// The world, and what the cores would know of it.
struct Cluster {
    world: World,
    placed: Vec<Placed>,
    generations: BTreeMap<&'static str, i64>,
    made: usize,
}

impl Cluster {
    fn new() -> Self {
        let mut world = World::new(TombstoneLimits { count_max: 3, ..TombstoneLimits::default() });
        world.pod("p1").node("n1").node("n2").node("n3").send();
        Self { world, placed: Vec::new(), generations: BTreeMap::new(), made: 0 }
    }

    fn new_id(&mut self) -> String {
        self.made += 1;
        format!("id{}", self.made)
    }

    fn pick(&self, at: usize) -> Option<usize> {
        (!self.placed.is_empty()).then(|| at % self.placed.len())
    }

    fn write(&mut self, at: usize) {
        let placed = &self.placed[at];
        self.world.place_labelled(placed.node, &placed.name, placed.state, placed.id.as_deref(), placed.label);
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Add { app, entrypoint, node, label } => {
                self.made += 1;
                self.placed.push(Placed {
                    node: NODES[node],
                    name: format!("{}_{}_{:06}", APPS[app], ENTRYPOINTS[entrypoint], self.made),
                    label: LABELS[label],
                    state: PlacementState::Planned,
                    id: None,
                });
                self.write(self.placed.len() - 1);
            }
            Step::Advance(at) => {
                let Some(at) = self.pick(at) else { return };
                let id = self.new_id();
                let placed = &mut self.placed[at];
                placed.state = match placed.state {
                    PlacementState::Planned => PlacementState::Created,
                    PlacementState::Created => PlacementState::Running,
                    _ => PlacementState::Removing,
                };
                placed.id.get_or_insert(id);
                self.write(at);
            }
            Step::Recreate(at) => {
                let Some(at) = self.pick(at) else { return };
                let id = self.new_id();
                if let Some(old) = self.placed[at].id.replace(id) {
                    self.world.expire(self.placed[at].node, &old);
                }
                self.placed[at].state = PlacementState::Created;
                self.write(at);
            }
            Step::Report { workload, running } => {
                let Some(at) = self.pick(workload) else { return };
                let placed = &self.placed[at];
                let generation = self.generations.get(placed.node).copied().unwrap_or(0);
                if let Some(id) = &placed.id {
                    self.world.report(placed.node, id, running, generation);
                }
            }
            Step::Expire(at) => {
                let Some(at) = self.pick(at) else { return };
                if let Some(id) = &self.placed[at].id {
                    self.world.expire(self.placed[at].node, id);
                }
            }
            Step::Remove(at) => {
                let Some(at) = self.pick(at) else { return };
                let placed = self.placed.swap_remove(at);
                self.world.remove(placed.node, &placed.name, placed.id.as_deref());
            }
            Step::Alive { node, alive } => drop(self.world.alive(NODES[node], alive)),
            Step::Verdict { node, verdict } => {
                let generation = self.generations.entry(NODES[node]).or_default();
                *generation += i64::from(verdict == Verdict::Lost);
                let generation = *generation;
                self.world.verdict(NODES[node], verdict, generation);
            }
            Step::Commit => drop(self.world.commit()),
            Step::Send => drop(self.world.send()),
            Step::Reload => self.world.reload(),
            Step::Read { .. } | Step::Break(_) | Step::Tick => {}
        }
    }
}

struct Client {
    wanted: WorkloadStatusStreamOptions,
    reader: Reader,
    known: Known,
}

impl Client {
    fn new(world: &World, number: usize) -> Self {
        let mut wanted = WorkloadStatusStreamOptions { bookmark_interval_ms: BOOKMARK_MS, ..snapshot() };
        match number {
            0 => {}
            1 => wanted.appname = "a".into(),
            2 => wanted.nodename = "n1".into(),
            _ => {
                wanted.entrypoint = "web".into();
                wanted.labels = [("label".to_owned(), "x".to_owned())].into();
            }
        }
        Self { reader: Reader::open_narrow(world, wanted.clone()), wanted, known: Known::default() }
    }

    fn read(&mut self, messages: usize) {
        for _ in 0..messages {
            let Some(message) = self.reader.try_next() else { return };
            self.known.take(message);
        }
    }

    /// As an informer does: with a token it keeps what it knows, without one it begins anew.
    fn break_and_resume(&mut self, world: &World) {
        self.known.is_synced = false;
        if self.known.token.is_empty() {
            self.known.workloads.clear();
        }
        let wanted = WorkloadStatusStreamOptions { resume_token: self.known.token.clone(), ..self.wanted.clone() };
        self.reader = Reader::open_narrow(world, wanted);
    }

    fn filter(&self) -> WorkloadFilter {
        Subscribe::parse(self.wanted.clone(), &StreamLimits::default()).unwrap().filter
    }
}

async fn run(steps: Vec<Step>) {
    let mut cluster = Cluster::new();
    let mut clients: Vec<_> = (0..CLIENTS).map(|number| Client::new(&cluster.world, number)).collect();
    for step in &steps {
        cluster.step(step);
        match *step {
            Step::Read { client, messages } => clients[client].read(messages),
            Step::Break(client) => clients[client].break_and_resume(&cluster.world),
            Step::Tick => tokio::time::advance(Duration::from_millis(u64::from(BOOKMARK_MS))).await,
            _ => {}
        }
    }
    cluster.world.send();
    for client in &mut clients {
        client.read(usize::MAX);
        assert!(client.known.is_synced);
        assert_eq!(client.known.workloads, listed(&cluster.world, &client.filter()), "{:?}", client.wanted);
    }
    assert_sums(&cluster);
}

/// What the cache kept up step by step is what a new cache would say.
fn assert_sums(cluster: &Cluster) {
    let mut fresh = World::new(TombstoneLimits::default());
    fresh.kvs = cluster.world.kvs.clone();
    fresh.revision = cluster.world.revision;
    fresh.reload();
    for node in fresh.cache.nodes(None) {
        let kept = cluster.world.cache.node(node.name()).unwrap();
        assert_eq!((kept.used, kept.placements_len, kept.state()), (node.used, node.placements_len, node.state()));
        assert_eq!(kept.counts, node.counts);
    }
    let planned = |world: &World| world.cache.placements().len();
    assert_eq!(planned(&cluster.world), planned(&fresh));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]
    #[test]
    fn any_interleaving_leaves_the_client_equal_to_the_list(steps in proptest::collection::vec(step(), 1..150)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(run(steps));
    }
}
