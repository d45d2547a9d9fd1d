//! Plans over whole nodes: resources, filters, refusals.

#![allow(clippy::unwrap_used)]

use eru_scheduler::{
    Content, NodeFilter, NodeSnapshot, Plan, Quantities, Readiness, Refusal, RefusalKind, Request, Strategy,
    capacities, lint, plan,
};
use eru_types::{AppName, CpuQuota, EntrypointName, Labels, MemoryBytes, NodeName, PodName, Resources};
use proptest::prelude::*;
use std::sync::Arc;

const GIB: u64 = 1 << 30;
const MIB: u64 = 1 << 20;

fn node(name: &str, memory: u64, storage: u64) -> NodeSnapshot {
    NodeSnapshot {
        name: NodeName::new(name).unwrap(),
        pod: PodName::new("p").unwrap(),
        labels: Labels::new([("name".to_owned(), name.to_owned())].into()).unwrap(),
        runs_images: true,
        runs_commands: false,
        readiness: Readiness::Ready,
        total: Quantities { cpu: CpuQuota(8_000_000), memory: MemoryBytes(memory), storage: MemoryBytes(storage) },
        used: Quantities::default(),
        counts: Arc::default(),
    }
}

fn request(count: u32, memory: u64, storage: u64) -> Request {
    Request {
        app: AppName::new("a").unwrap(),
        entrypoint: EntrypointName::new("web").unwrap(),
        filter: NodeFilter { pod: Some(PodName::new("p").unwrap()), ..NodeFilter::default() },
        content: Content::Image,
        resources: Resources {
            memory_request: MemoryBytes(memory),
            storage_request: MemoryBytes(storage),
            ..Resources::default()
        }
        .normalised(),
        count,
        nodes_limit: 0,
        strategy: Strategy::Auto,
    }
}

fn run(nodes: &[NodeSnapshot], request: &Request) -> Result<Plan, Refusal> {
    let refs: Vec<&NodeSnapshot> = nodes.iter().collect();
    let plan = plan(&refs, request)?;
    assert_eq!(lint(&plan, &refs, request), []);
    Ok(plan)
}

fn counts(plan: &Plan) -> Vec<(&str, u32)> {
    plan.assignments.iter().map(|a| (a.node.as_str(), a.count)).collect()
}

#[test]
fn memory_vectors() {
    let two = [node("n1", 4 * GIB, 0), node("n2", 4 * GIB, 0)];
    assert_eq!(counts(&run(&two, &request(4, 512 * MIB, 0)).unwrap()), [("n1", 2), ("n2", 2)]);
    let text = run(&two, &request(40, 512 * MIB, 0)).unwrap_err().to_string();
    assert!(text.contains("need: 40, available: 16"), "{text}");
    let text = run(&two, &request(1, 5 * GIB, 0)).unwrap_err().to_string();
    assert_eq!(text, "no node remains memory more than 5368709120 bytes: cannot alloc a plan, not enough memory");
    let mut greedy = request(1, 0, 0);
    greedy.resources.cpu_request = CpuQuota::from_cores("cpu", 9.0).unwrap();
    let text = run(&two, &greedy).unwrap_err().to_string();
    assert_eq!(text, "no node remains cpu more than 9.00: cannot alloc a plan, not enough cpu");
    let refs: Vec<_> = two.iter().collect();
    assert!(capacities(&refs, &request(1, 0, 0)).unwrap().iter().all(|(_, c)| *c == 2_147_483_647));
}

#[test]
fn storage_vectors() {
    let two = [node("n1", 4 * GIB, 8 * GIB), node("n2", 4 * GIB, 8 * GIB)];
    assert_eq!(counts(&run(&two, &request(4, GIB, GIB)).unwrap()), [("n1", 2), ("n2", 2)]);
    assert!(run(&two, &request(9, GIB, GIB)).unwrap_err().to_string().contains("available: 8"));
    let small = [node("n1", 4 * GIB, MIB)];
    let text = run(&small, &request(1, 0, GIB)).unwrap_err().to_string();
    assert_eq!(text, "no node remains storage more than 1073741824 bytes: cannot alloc a plan, not enough storage");
    let crossed = [node("n1", 4 * GIB, 0), node("n2", 0, 4 * GIB)];
    let text = run(&crossed, &request(1, GIB, GIB)).unwrap_err().to_string();
    assert_eq!(text, "no node meets all the resource requirements at the same time: not enough resource");
}

#[test]
fn filters_choose_and_refuse() {
    let mut three = vec![node("n1", GIB, 0), node("n2", GIB, 0), node("n3", GIB, 0)];
    three[1].readiness = Readiness::Bypassed;
    three[2].readiness = Readiness::Suspect;
    let name = |n: &str| NodeName::new(n).unwrap();
    assert_eq!(counts(&run(&three, &request(2, 0, 0)).unwrap()), [("n1", 2)]);

    let mut all = request(3, 0, 0);
    all.filter.all = true;
    assert_eq!(run(&three, &all).unwrap().assignments.len(), 3);
    let mut named = request(1, 0, 0);
    named.filter.includes = vec![name("n2"), name("n2")];
    assert_eq!(counts(&run(&three, &named).unwrap()), [("n2", 1)]);
    named.filter.includes = vec![name("nope")];
    assert_eq!(run(&three, &named).unwrap_err().kind, RefusalKind::UnknownNode);
    let mut both = request(1, 0, 0);
    both.filter.includes = vec![name("n1")];
    both.filter.excludes = vec![name("n1")];
    let text = run(&three, &both).unwrap_err().to_string();
    assert_eq!(text, "node_filter: \"n1\" is both included and excluded");
    let mut none = request(1, 0, 0);
    none.filter.excludes = vec![name("n1")];
    let text = run(&three, &none).unwrap_err().to_string();
    let want = "not enough nodes: no node of pod \"p\" may be used: 1 bypassed, 1 excluded, 1 suspect";
    assert_eq!(text, want);
    let mut labelled = request(1, 0, 0);
    labelled.filter.labels = Labels::new([("name".into(), "n1".into())].into()).unwrap();
    assert_eq!(counts(&run(&three, &labelled).unwrap()), [("n1", 1)]);
    let mut elsewhere = request(1, 0, 0);
    elsewhere.filter.pod = Some(PodName::new("q").unwrap());
    assert_eq!(run(&three, &elsewhere).unwrap_err().to_string(), "not enough nodes: pod \"q\" has no nodes");
    elsewhere.filter.includes = vec![name("n1")];
    let text = run(&three, &elsewhere).unwrap_err().to_string();
    assert_eq!(text, "node \"n1\" is in pod \"p\", not in pod \"q\"");
}

#[test]
fn commands_and_images_go_where_they_run() {
    let mut nodes = [node("n1", GIB, 0), node("n2", GIB, 0)];
    let mut command = request(2, 0, 0);
    command.content = Content::Command;
    assert!(run(&nodes, &command).unwrap_err().to_string().contains("runs plain commands"));
    nodes[1].runs_commands = true;
    nodes[1].runs_images = false;
    assert_eq!(counts(&run(&nodes, &command).unwrap()), [("n2", 2)]);
    assert_eq!(counts(&run(&nodes, &request(2, 0, 0)).unwrap()), [("n1", 2)]);
    assert!(run(&nodes[1..], &request(1, 0, 0)).unwrap_err().to_string().contains("runs images"));
}

#[test]
fn lint_sees_what_is_wrong() {
    let one = node("n1", GIB, 0);
    let wanted = request(1, GIB, 0);
    let good = plan(&[&one], &wanted).unwrap();
    let mut bad = good.clone();
    bad.assignments[0].count = 2;
    assert_eq!(lint(&bad, &[&one], &wanted).len(), 2);
    bad.assignments[0].node = NodeName::new("x").unwrap();
    assert!(!lint(&bad, &[&one], &wanted).is_empty());
    let mut excluded = wanted.clone();
    excluded.filter.excludes = vec![one.name.clone()];
    assert_eq!(lint(&good, &[&one], &excluded).len(), 1);
}

proptest! {
    #[test]
    fn plans_are_sound_and_do_not_depend_on_the_order_of_nodes(
        shapes in proptest::collection::vec((0u64..9, 0u64..9, 0u64..9, 0u32..5), 1..8),
        count in 1u32..20,
        memory in 0u64..4,
        storage in 0u64..4,
        strategy in proptest::sample::select(
            vec![Strategy::Auto, Strategy::Fill, Strategy::Each, Strategy::Global, Strategy::Drained]),
    ) {
        let mut nodes: Vec<_> = shapes.iter().enumerate().map(|(i, (memory, storage, used, held))| {
            let mut n = node(&format!("n{i}"), *memory, *storage);
            n.used.memory = MemoryBytes(*used);
            Arc::make_mut(&mut n.counts).insert((AppName::new("a").unwrap(), EntrypointName::new("web").unwrap()), *held);
            n
        }).collect();
        let wanted = Request { strategy, ..request(count, memory, storage) };
        let first = run(&nodes, &wanted);
        nodes.reverse();
        prop_assert_eq!(first, run(&nodes, &wanted));
    }
}
