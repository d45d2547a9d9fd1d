//! Plans over whole nodes: resources, filters, refusals.

#![allow(clippy::unwrap_used)]

mod support;

use eru_scheduler::{Content, NodeSnapshot, Readiness, RefusalKind, Request, Strategy, capacities};
use eru_types::{AppName, EntrypointName, Labels, NodeName, PodName};
use proptest::prelude::*;
use std::{collections::BTreeMap, sync::Arc};
use support::{Asked, GIB, Node, counts, run};

fn node(name: &str, memory: u64, storage: u64) -> NodeSnapshot {
    let labels = [("name".to_owned(), name.to_owned())].into();
    Node { name: name.into(), memory, storage, labels, ..Node::default() }.snapshot()
}

fn request(count: u32, memory: u64, storage: u64) -> Request {
    support::request(count, &Asked { memory, storage, ..Asked::default() })
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
    named.filter.includes = [name("n2")].into();
    assert_eq!(counts(&run(&three, &named).unwrap()), [("n2", 1)]);
    named.filter.includes = [name("n1"), name("nope")].into();
    assert_eq!(run(&three, &named).unwrap_err().kind, RefusalKind::UnknownNode);
    let mut both = request(1, 0, 0);
    both.filter.includes = [name("n1")].into();
    both.filter.excludes = [name("n1")].into();
    let text = run(&three, &both).unwrap_err().to_string();
    assert_eq!(text, "node_filter: \"n1\" is both included and excluded");
    let mut none = request(1, 0, 0);
    none.filter.excludes = [name("n1")].into();
    let text = run(&three, &none).unwrap_err().to_string();
    let want =
        "not enough nodes: no node of pod \"p\" may be used: 1 node: bypassed; 1 node: suspect; 1 node: excluded";
    assert_eq!(text, want);
    let mut labelled = request(1, 0, 0);
    labelled.filter.labels = Labels::new([("name".into(), "n1".into())].into()).unwrap();
    assert_eq!(counts(&run(&three, &labelled).unwrap()), [("n1", 1)]);
    let mut elsewhere = request(1, 0, 0);
    elsewhere.filter.pod = Some(PodName::new("q").unwrap());
    assert_eq!(run(&three, &elsewhere).unwrap_err().to_string(), "not enough nodes: pod \"q\" has no nodes");
    elsewhere.filter.includes = [name("n1")].into();
    let text = run(&three, &elsewhere).unwrap_err().to_string();
    assert_eq!(text, "node \"n1\" is in pod \"p\", not in pod \"q\"");
}

#[test]
fn commands_and_images_go_where_they_run() {
    let mut nodes = [node("n1", GIB, 0), node("n2", GIB, 0)];
    let mut command = request(2, 0, 0);
    command.content = Content::Command;
    let text = run(&nodes, &command).unwrap_err().to_string();
    let want = "may be used (give an image): 2 nodes: runs images, not plain commands";
    assert!(text.contains(want), "{text}");
    nodes[1].runs_commands = true;
    nodes[1].runs_images = false;
    assert_eq!(counts(&run(&nodes, &command).unwrap()), [("n2", 2)]);
    assert_eq!(counts(&run(&nodes, &request(2, 0, 0)).unwrap()), [("n1", 2)]);
    assert!(run(&nodes[1..], &request(1, 0, 0)).unwrap_err().to_string().contains("plain command"));
}

#[test]
fn room_alone_is_asked_of_each_node_for_what_it_runs() {
    let mut nodes = [node("n1", GIB, 0), node("n2", GIB, 0), node("n3", GIB, 0)];
    (nodes[1].runs_commands, nodes[1].runs_images) = (true, false);
    (nodes[2].runs_commands, nodes[2].runs_images) = (false, false);
    let mut room = request(2, 0, 0);
    room.content = Content::Any;
    assert_eq!(counts(&run(&nodes, &room).unwrap()), [("n1", 1), ("n2", 1)]);
    let text = run(&nodes[2..], &room).unwrap_err().to_string();
    assert_eq!(text, "not enough nodes: no node of pod \"p\" may be used: 1 node: no runtime");
}

#[test]
fn a_node_that_has_more_than_it_may_says_so() {
    let key = || (AppName::new("a").unwrap(), EntrypointName::new("e").unwrap());
    let with =
        |name: &str, count| NodeSnapshot { counts: Arc::new(BTreeMap::from([(key(), count)])), ..node(name, GIB, 0) };
    let mut asked = request(1, 0, 0);
    (asked.app, asked.entrypoint) = key();
    asked.node_max = 2;
    let text = run(&[with("n1", 9), with("n2", 2), with("n3", 4)], &asked).unwrap_err().to_string();
    assert!(
        text.ends_with(
            ": 2 nodes: has more than the 2 instances that a node may have; 1 node: has the 2 instances that a node may have"
        ),
        "{text}"
    );
}

#[test]
fn errors_do_not_grow_with_the_volumes() {
    let one = Node { volumes: [("/d0".to_owned(), 10)].into(), ..Node::default() }.snapshot();
    let volumes = (0..32).map(|i| format!("AUTO:/{}{i}:rw:1", "ü".repeat(4000))).collect();
    let asked = Asked { volumes, storage: 0, ..Asked::default() };
    let text = run(&[one], &support::request(1, &asked)).unwrap_err().to_string();
    assert!(text.starts_with("no node remains volumes for requests [AUTO:/ü"), "{text}");
    assert!(text.contains("ü…]: not enough resource: 1 node: "), "{text}");
    assert!(text.chars().count() < 700, "{} characters", text.chars().count());
}

#[test]
fn equal_allotments_are_one() {
    let one = Node { volumes: [("/d0".to_owned(), 1000)].into(), ..Node::default() }.snapshot();
    let asked = Asked { volumes: vec!["AUTO:/a:rw:10".into()], ..Asked::default() };
    let made = run(std::slice::from_ref(&one), &support::request(9, &asked)).unwrap();
    let allotments = made.allotments(&made.assignments[0]);
    assert_eq!(allotments.len(), 9);
    assert!(allotments.iter().all(|a| Arc::ptr_eq(a, &allotments[0])));
    assert_eq!(capacities(&[&one], &support::request(1, &asked)).unwrap()[0].1, 100);
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
        let mut nodes: Vec<_> = shapes.iter().enumerate().map(|(i, (memory, storage, used, held))| Node {
            name: format!("n{i}"), memory: *memory, storage: *storage, memory_used: *used, count: *held, ..Node::default()
        }.snapshot()).collect();
        let wanted = Request { strategy, ..request(count, memory, storage) };
        let first = run(&nodes, &wanted);
        nodes.reverse();
        prop_assert_eq!(first, run(&nodes, &wanted));
    }
}
