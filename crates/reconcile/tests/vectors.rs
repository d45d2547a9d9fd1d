//! Runs every record of `vectors/*.json`; `vectors/README.md` describes the format. `ERU_VECTORS` names another folder.

use eru_reconcile::{Instance, InstancePhase, Millis, Node, NodeState, Plan, Set, Slot, View, reconcile};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Vector {
    id: String,
    title: String,
    given: Given,
    expect: Expect,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Given {
    #[serde(default)]
    set: serde_json::Map<String, serde_json::Value>,
    #[serde(default)]
    have: Vec<Have>,
    #[serde(default)]
    slots: Vec<Slot>,
    #[serde(default)]
    nodes: BTreeMap<String, NodeState>,
    /// Seconds since the nodes became what they are.
    #[serde(default = "long_ago")]
    nodes_since_s: i64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Have {
    n: u32,
    id: String,
    is: String,
    slot: Option<u32>,
    epoch: u64,
    generation: u64,
    node: String,
    since_s: i64,
    started_s: i64,
    owner: String,
    exit_known: bool,
}

impl Default for Have {
    fn default() -> Self {
        Self {
            n: 1,
            id: String::new(),
            is: "healthy".into(),
            slot: None,
            epoch: 1,
            generation: 1,
            node: "n0".into(),
            since_s: long_ago(),
            started_s: long_ago(),
            owner: "set".into(),
            exit_known: true,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expect {
    creates: BTreeMap<String, usize>,
    removes: BTreeMap<String, usize>,
    keeps: BTreeMap<String, usize>,
    #[serde(default)]
    removed: Option<Vec<String>>,
    #[serde(default)]
    created_generation: Option<u64>,
    #[serde(default)]
    holds: Vec<String>,
    #[serde(default)]
    resolves: usize,
    #[serde(default)]
    phase: Option<String>,
    #[serde(default)]
    wake_in_s: Option<i64>,
}

fn long_ago() -> i64 {
    3600
}

const NOW: Millis = Millis(1_000_000_000);

fn ago(seconds: i64) -> Millis {
    NOW - Millis::seconds(seconds)
}

fn build(given: Given) -> (Set, View) {
    let mut set = serde_json::json!({"uid": "set", "generation": 1, "count": 0});
    set.as_object_mut().expect("it is an object").extend(given.set);
    let set = serde_json::from_value(set).expect("fields of a set");
    let mut instances: Vec<Instance> = Vec::new();
    for have in given.have {
        for k in 0..have.n {
            let next = instances.iter().map(|i| i.slot + 1).max().unwrap_or(0);
            let (phase, healthy) = match have.is.as_str() {
                "healthy" => (InstancePhase::Running, true),
                "unhealthy" => (InstancePhase::Running, false),
                "starting" => (InstancePhase::Starting, false),
                "exited" => (InstancePhase::Exited, false),
                "removing" => (InstancePhase::Removing, false),
                "unknown" => (InstancePhase::Unknown, false),
                other => panic!("unknown state {other:?}"),
            };
            instances.push(Instance {
                id: if have.id.is_empty() { format!("i{}", instances.len()) } else { have.id.clone() },
                owner: have.owner.clone(),
                slot: have.slot.map_or(next, |slot| slot + k),
                epoch: have.epoch,
                generation: have.generation,
                node: have.node.clone(),
                phase,
                healthy,
                since: ago(have.since_s),
                started_at: ago(have.started_s),
                exit_known: have.exit_known,
                reason: String::new(),
            });
        }
    }
    let since = ago(given.nodes_since_s);
    let nodes = given.nodes.into_iter().map(|(name, state)| Node { name, state, since }).collect();
    (set, View { slots: given.slots, instances, nodes })
}

fn counts(words: impl Iterator<Item = String>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    words.for_each(|word| *counts.entry(word).or_default() += 1);
    counts
}

fn check(vector: Vector) -> Plan {
    let name = format!("{}: {}", vector.id, vector.title);
    let (set, view) = build(vector.given);
    let plan = reconcile(&set, &view, NOW);
    let expect = vector.expect;
    assert_eq!(counts(plan.creates.iter().map(|c| c.reason.to_string())), expect.creates, "{name}: creates");
    assert_eq!(counts(plan.removes.iter().map(|r| r.reason.to_string())), expect.removes, "{name}: removes");
    assert_eq!(counts(plan.keeps.iter().map(|k| k.reason.to_string())), expect.keeps, "{name}: keeps");
    let holds: Vec<&str> = plan.holds.iter().map(|hold| hold.what.as_str()).collect();
    assert_eq!(holds, expect.holds, "{name}: holds {:?}", plan.holds);
    assert_eq!(plan.resolves.len(), expect.resolves, "{name}: resolves");
    if let Some(removed) = expect.removed {
        let mut ids: Vec<&str> = plan.removes.iter().map(|r| r.id.as_str()).collect();
        ids.sort_unstable();
        assert_eq!(ids, removed, "{name}: removed ids");
    }
    if let Some(generation) = expect.created_generation {
        assert!(plan.creates.iter().all(|c| c.generation == generation), "{name}: {:?}", plan.creates);
    }
    if let Some(phase) = expect.phase {
        assert_eq!(plan.status.phase.to_string(), phase, "{name}: {}", plan.status.message);
    }
    if let Some(wake) = expect.wake_in_s {
        assert_eq!(plan.wake_at - NOW, Millis::seconds(wake), "{name}: wake");
    }
    let again = reconcile(&set, &View { slots: plan.slots.clone(), ..view }, NOW);
    assert_eq!(again.creates, [], "{name}: run again it creates more");
    plan
}

#[test]
fn every_vector_holds() {
    let folder = std::env::var_os("ERU_VECTORS")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/vectors"), PathBuf::from);
    let (mut total, mut failed) = (0, 0);
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            let text = std::fs::read_to_string(&path).unwrap();
            let vectors: Vec<Vector> =
                serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            total += vectors.len();
            failed += vectors.into_iter().map(|v| std::panic::catch_unwind(|| check(v))).filter(Result::is_err).count();
        }
    }
    assert_eq!(failed, 0, "of {total} vectors so many failed, see above");
    assert!(total > 0, "no vectors in {}", folder.display());
}
