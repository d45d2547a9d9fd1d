//! Every way in which a plan can be wrong is found by the lint, and named.

#![allow(clippy::unwrap_used)]

mod support;

use eru_scheduler::{Assignment, Content, Fault, NodeSnapshot, Place, Plan, Readiness, Request, Share, Strategy, lint};
use eru_types::NodeName;
use std::{collections::BTreeMap, sync::Arc};
use support::{Asked, GIB, Node, request, run};

/// A request, the node it is planned on, and the plan, which is right.
struct Case {
    node: NodeSnapshot,
    request: Request,
    plan: Plan,
}

impl Case {
    fn new(node: &Node, request: Request) -> Self {
        let node = node.snapshot();
        let plan = run(std::slice::from_ref(&node), &request).unwrap();
        Self { node, request, plan }
    }

    /// What the lint says once something is spoilt.
    #[track_caller]
    fn says(&self, spoil: impl Fn(&mut NodeSnapshot, &mut Request, &mut Plan), part: &str) {
        let (mut node, mut request, mut plan) = (self.node.clone(), self.request.clone(), self.plan.clone());
        spoil(&mut node, &mut request, &mut plan);
        let faults = lint(&plan, &[&node], &request);
        let text = faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ");
        assert!(text.contains(part), "{text:?} lacks {part:?}: {plan:?}");
    }
}

/// Four cores in two groups, two devices; one instance of one and a half cores, a shared volume and one of its own.
fn with_parts() -> Case {
    let node = Node {
        cores: (0..4).map(|core: u32| (core.to_string(), 100)).collect(),
        numa: (0..4).map(|core: u32| (core.to_string(), (core / 2).to_string())).collect(),
        numa_memory: [("0".to_owned(), GIB), ("1".to_owned(), GIB)].into(),
        volumes: [("/d0".to_owned(), 100), ("/d1".to_owned(), 100)].into(),
        ..Node::default()
    };
    let volumes = vec!["AUTO:/a:rw:10".into(), "AUTO:/b:rwm:10".into()];
    let asked = Asked { cpu: 1.5, bind: true, memory: GIB, volumes, ..Asked::default() };
    Case::new(&node, request(1, &asked))
}

fn whole_numbers() -> Case {
    let node = Node { memory: 4 * GIB, storage: 4 * GIB, ..Node::default() };
    Case::new(&node, request(2, &Asked { cpu: 1.0, memory: GIB, storage: GIB, ..Asked::default() }))
}

fn hold(node: &mut NodeSnapshot, count: u32) {
    Arc::make_mut(&mut node.counts).insert(support::key(), count);
}

#[test]
fn nodes_and_demands_are_those_of_the_request() {
    let case = whole_numbers();
    case.says(|_, _, p| p.assignments[0].node = NodeName::new("x").unwrap(), "node x is not one of the given");
    case.says(|_, _, p| p.assignments.push(p.assignments[0].clone()), "out of order or named twice");
    case.says(|_, r, _| r.filter.excludes = [NodeName::new("n1").unwrap()].into(), "must not get this");
    case.says(|_, r, _| r.filter.includes = [NodeName::new("n2").unwrap()].into(), "must not get this");
    case.says(|_, r, _| r.filter.pod = Some(eru_types::PodName::new("q").unwrap()), "must not get this");
    case.says(|_, r, _| r.spread_label = "zone".into(), "must not get this");
    case.says(|_, r, _| r.content = Content::Command, "must not get this");
    for readiness in [Readiness::Bypassed, Readiness::Suspect, Readiness::Unwatched, Readiness::Lost] {
        case.says(|n, _, _| n.readiness = readiness, "must not get this");
    }
    case.says(|_, _, p| Arc::make_mut(&mut p.demand).resources.memory_request.0 = 1, "for another demand");
    case.says(|_, _, p| p.share.base = 10, "for another demand");
    let other = Node { cores: BTreeMap::new(), ..Node::default() }.snapshot();
    case.says(|n, _, _| n.parts = other.parts.clone(), "parts of another node");
}

#[test]
fn amounts_are_there() {
    let case = whole_numbers();
    case.says(|n, _, _| n.used.memory.0 = 2 * GIB + 1, "overbooked: memory");
    case.says(|n, _, _| n.used.storage.0 = 2 * GIB + 1, "overbooked: storage");
    case.says(|n, _, _| n.total.cpu.0 = 999_999, "overbooked: cpu");
    case.says(|n, _, _| n.used.memory.0 = u64::MAX, "overbooked: memory");
}

#[test]
fn counts_and_limits_are_kept() {
    let case = whole_numbers();
    case.says(|_, _, p| p.assignments[0].count = 0, "n1 gets nothing");
    case.says(|_, _, p| p.assignments[0].count = 3, "plan has 3 instances, request 2");
    case.says(|_, _, p| p.assignments.clear(), "plan has 0 instances, request 2");
    case.says(|n, r, _| (r.node_max, _) = (2, hold(n, 1)), "more than a node may have");
    case.says(|n, r, _| (r.nodes_limit, _) = (2, hold(n, 1)), "more than nodes_limit");
    let each = Case::new(&Node::default(), Request { strategy: Strategy::Each, ..case.request.clone() });
    each.says(|_, _, p| p.assignments[0].count = 1, "EACH gives each node the same number");
    each.says(|_, r, _| r.nodes_limit = 2, "plan has 1 nodes, the limit is 2");
    each.says(|_, _, p| p.assignments.clear(), "plan has 0 nodes");
    let fill = Case::new(&Node::default(), Request { strategy: Strategy::Fill, ..case.request });
    fill.says(|n, _, _| hold(n, 1), "not what FILL fills up to");
    fill.says(|_, r, p| (r.nodes_limit, _) = (1, p.assignments.push(p.assignments[0].clone())), "plan has 2 nodes");
    fill.says(|_, _, p| p.assignments.clear(), "plan has 0 nodes");
}

#[test]
fn cores_are_what_was_asked_for_and_nobody_elses() {
    let case = with_parts();
    let says = |spoil: &dyn Fn(&mut Assignment), part| case.says(|_, _, p| spoil(&mut p.assignments[0]), part);
    says(&|a| a.cores = [].into(), "no cores");
    says(&|a| a.cores[0].count = 2, "cores of nobody");
    says(&|a| a.cores[0].slices[1].core = a.cores[0].slices[0].core, "one core twice");
    says(&|a| a.cores[0].slices[0].core = 77, "not there");
    says(&|a| a.cores[0].slices[0].core = 3, "another NUMA group");
    says(&|a| a.cores[0].slices = [].into(), "more whole cores than cores");
    says(&|a| a.cores[0].whole_len = 0, "more or fewer pieces");
    says(&|a| a.cores[0].slices[0].times = 2, "other cores than the sum of them says");
    says(&|a| a.cores[0].slices[1].times = 2, "other cores than the sum of them says");
    says(&|a| a.cores[0].group = Some(9), "NUMA group");
    let core = case.plan.assignments[0].cores[0].slices[0].core as usize;
    case.says(|n, _, _| Arc::make_mut(&mut n.free).cores[core] = 99, "overbooked: cores");
    case.says(|n, _, _| Arc::make_mut(&mut n.free).cores[core] = -1, "overbooked: cores");
    case.says(|n, _, _| Arc::make_mut(&mut n.free).groups[0] = 1, "overbooked: memory of a NUMA group");
    case.says(|_, r, _| Arc::make_mut(&mut r.demand).bind = false, "cores although it asked for none");
}

#[test]
fn no_more_cores_are_cut_than_may_be() {
    let share = Share { cores_max: Some(1), ..Share::default() };
    let asked = Asked { cpu: 0.5, bind: true, ..Asked::default() };
    let case = Case::new(&Node::default(), Request { share, ..request(2, &asked) });
    case.says(|_, r, p| (r.share.cores_max, p.share.cores_max) = (Some(0), Some(0)), "more cores cut than may be");
    case.says(|n, _, _| Arc::make_mut(&mut n.free).cores[7] = 10, "more cores cut than may be");
}

#[test]
fn volumes_are_what_was_asked_for_and_alone_where_they_want_to_be() {
    let case = with_parts();
    let says = |spoil: &dyn Fn(&mut Assignment), part| case.says(|_, _, p| spoil(&mut p.assignments[0]), part);
    let place = |a: &mut Assignment, change: &dyn Fn(&mut Place)| {
        let mut places = a.volumes[0].places.to_vec();
        places.iter_mut().for_each(change);
        a.volumes[0].places = places.into();
    };
    says(&|a| a.volumes = [].into(), "no volumes");
    says(&|a| a.volumes[0].times = 2, "of nobody");
    says(&|a| place(a, &|p| p.device = 0), "not alone");
    says(&|a| place(a, &|p| p.device = 9), "device that is not there");
    says(&|a| place(a, &|p| p.bytes += 1), "another size");
    says(&|a| place(a, &|p| p.bytes = if p.volume == 1 { 9 } else { p.bytes }), "too small");
    says(&|a| place(a, &|p| p.volume = 0), "other volumes");
    let own = case.plan.assignments[0].volumes[0].places.iter().find(|p| p.volume == 1).unwrap().device as usize;
    let shared = 1 - own;
    case.says(|n, _, _| Arc::make_mut(&mut n.free).devices[own].users = 1, "not alone");
    case.says(|n, _, _| Arc::make_mut(&mut n.free).devices[shared].owners = 1, "not alone");
    case.says(|n, _, _| Arc::make_mut(&mut n.free).devices[shared].bytes = 9, "overbooked: volumes");
    case.says(|n, _, _| Arc::make_mut(&mut n.free).devices[own].bytes = -1, "overbooked: volumes");
    let volumes = vec!["AUTO:/a:rwm:10".into(), "AUTO:/b:rwm:10".into()];
    let two = Node { volumes: [("/d0".to_owned(), 100), ("/d1".to_owned(), 100)].into(), ..Node::default() };
    let both = Case::new(&two, request(1, &Asked { volumes, ..Asked::default() }));
    both.says(|_, _, p| place(&mut p.assignments[0], &|p| p.device = p.volume), "on two devices");
    both.says(|n, r, p| (*n, *r, p.demand) = other_demand(n, r), "other volumes");
}

/// The same request without volumes.
fn other_demand(node: &NodeSnapshot, from: &Request) -> (NodeSnapshot, Request, Arc<eru_types::Demand>) {
    let none = Request { demand: request(1, &Asked::default()).demand, ..from.clone() };
    (node.clone(), none.clone(), none.demand)
}

#[test]
fn very_many_instances_with_volumes_are_counted() {
    let asked = Asked { volumes: (0..4).map(|i| format!("AUTO:/v{i}:rw")).collect(), ..Asked::default() };
    let node = Node { volumes: [("/d0".to_owned(), 1)].into(), ..Node::default() };
    let count = i32::MAX as u32;
    assert_eq!(Case::new(&node, request(count, &asked)).plan.count(), u64::from(count));
}
