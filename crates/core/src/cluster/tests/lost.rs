//! What gets lost under an operation: a node, an answer, the meaning of a value.

use super::{faulty::Faulty, rig::*};
use crate::{
    cluster::{Cluster, node::NodeChange, tasks::IN_FLIGHT_MAX},
    fault::Faults,
    keys,
    record::{self, CoreRecord, Versioned},
    recovery::Sweep,
};
use eru_api::pb;
use eru_runtime::{Runtime, fake::Operation};
use eru_testkit::Meddled;
use eru_types::{EngineId, NodeName};
use parking_lot::Mutex;
use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

/// Lets the first who comes to `point` wait there until the sender is used; the receiver tells when somebody has come.
fn pause_at(point: &'static str) -> (Faults, tokio::sync::mpsc::Receiver<()>, mpsc::Sender<()>) {
    pause_at_visit(point, 1)
}

/// The same for the one who comes as number `visit`.
fn pause_at_visit(point: &'static str, visit: u32) -> (Faults, tokio::sync::mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (come, has_come) = tokio::sync::mpsc::channel(1);
    let (go_on, may_go_on) = mpsc::channel();
    let gate = Mutex::new(Some((come, may_go_on)));
    let visits = AtomicU32::new(0);
    let hook = move |name: &'static str| {
        if name == point
            && visits.fetch_add(1, Ordering::SeqCst) + 1 == visit
            && let Some((come, may_go_on)) = gate.lock().take()
        {
            come.try_send(()).unwrap();
            let _ = tokio::task::block_in_place(|| may_go_on.recv());
        }
        false
    };
    (Faults::with_hook(Arc::new(hook)), has_come, go_on)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_that_is_removed_under_a_plan_is_planned_around() {
    // With another node, and without one.
    for count in [2, 1] {
        let world = World::new();
        let (faults, mut planned, go_on) = pause_at("deploy.before_commit");
        let cluster = world.core_with("c1", faults).await;
        nodes(&cluster, count, 4 * GIB).await;
        let wanted = options(count as i32 * 2);
        let deploying = tokio::spawn({
            let (cluster, wanted) = (cluster.clone(), wanted.clone());
            async move { deploy(&cluster, &wanted).await }
        });
        within(planned.recv()).await.unwrap();
        let other = world.core("c2").await;
        within(other.remove_node(&NodeName::new("n0").unwrap())).await.unwrap();
        go_on.send(()).unwrap();
        let outcomes = within(deploying).await.unwrap();
        assert_eq!(succeeded(&outcomes).len(), if count == 2 { 4 } else { 0 }, "{outcomes:?}");
        assert_eq!(outcomes.len(), count * 2, "{outcomes:?}");
        assert_eq!(world.placements().await.len(), succeeded(&outcomes).len());
        // The planner goes on with others.
        let next = within(deploy(&cluster, &options(1))).await;
        assert_eq!(next.len(), 1, "{next:?}");
    }
}

/// Each instance is told of, and the node that is kept out gets none of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_that_is_kept_out_under_a_plan_gets_nothing() {
    for strategy in [pb::deploy_options::Strategy::Each, pb::deploy_options::Strategy::Auto] {
        let world = World::new();
        let (faults, mut planned, go_on) = pause_at("deploy.before_commit");
        let cluster = world.core_with("c1", faults).await;
        nodes(&cluster, 2, 64 * GIB).await;
        let each = strategy == pb::deploy_options::Strategy::Each;
        let count = if each { 2 } else { 4 };
        let wanted = pb::DeployOptions { deploy_strategy: strategy.into(), ..options(count) };
        let deploying = tokio::spawn({
            let cluster = cluster.clone();
            async move { deploy(&cluster, &wanted).await }
        });
        within(planned.recv()).await.unwrap();
        let other = world.core("c2").await;
        let bypass = NodeChange { bypass: Some(true), ..NodeChange::default() };
        within(other.set_node(&NodeName::new("n0").unwrap(), &bypass)).await.unwrap();
        go_on.send(()).unwrap();
        let outcomes = within(deploying).await.unwrap();
        assert_eq!((outcomes.len(), succeeded(&outcomes).len()), (4, if each { 2 } else { 4 }), "{outcomes:?}");
        assert!(world.placements().await.iter().all(|placement| placement.node.as_str() == "n1"));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_node_that_is_full_fails_none_of_the_others_that_were_lost_with_it() {
    let world = World::new();
    let (faults, mut planned, go_on) = pause_at("deploy.before_commit");
    let cluster = world.core_with("c1", faults).await;
    nodes(&cluster, 3, 4 * GIB).await;
    let deploying = tokio::spawn({
        let cluster = cluster.clone();
        async move { deploy(&cluster, &pb::DeployOptions { deploy_strategy: 2, ..options(2) }).await }
    });
    within(planned.recv()).await.unwrap();
    let other = world.core("c2").await;
    for (node, count) in [("n0", 3), ("n1", 1), ("n2", 2)] {
        let named = pb::DeployOptions { name: "b".into(), nodenames: vec![node.into()], ..options(count) };
        assert_eq!(succeeded(&within(deploy(&other, &named)).await).len(), count as usize);
    }
    go_on.send(()).unwrap();
    let outcomes = within(deploying).await.unwrap();
    assert_eq!((outcomes.len(), succeeded(&outcomes).len()), (6, 4), "{outcomes:?}");
    let failed: Vec<_> = outcomes.iter().filter(|outcome| !outcome.error.is_empty()).collect();
    let start = "node \"n0\", which it was planned for, was changed meanwhile: ";
    assert!(failed.iter().all(|outcome| outcome.error.starts_with(start)), "{failed:?}");
    world.check(&cluster).await;
}

/// What is committed of EACH on a node needs no room there once more.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_rest_of_a_node_is_planned_again_without_what_is_committed() {
    const COUNT: usize = 200;
    let world = World::new();
    // More than fits one transaction: the second one is interrupted.
    let (faults, mut planned, go_on) = pause_at_visit("deploy.before_commit", 2);
    let cluster = world.core_with("c1", faults).await;
    nodes(&cluster, 1, COUNT as u64 * GIB).await;
    let deploying = tokio::spawn({
        let cluster = cluster.clone();
        async move { deploy(&cluster, &pb::DeployOptions { deploy_strategy: 2, ..options(COUNT as i32) }).await }
    });
    within(planned.recv()).await.unwrap();
    assert!((1..COUNT).contains(&world.placements().await.len()));
    let change = NodeChange { storage: 1, ..NodeChange::default() };
    within(world.core("c2").await.set_node(&NodeName::new("n0").unwrap(), &change)).await.unwrap();
    go_on.send(()).unwrap();
    let outcomes = within(deploying).await.unwrap();
    assert_eq!(succeeded(&outcomes).len(), COUNT, "{:?}", outcomes.iter().find(|o| !o.error.is_empty()));
    world.check(&cluster).await;
}

/// Of a deploy that another core has committed the first part of, everything is waited for.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_repeat_waits_for_what_another_core_is_still_committing() {
    const COUNT: usize = 300;
    let world = World::new();
    let (faults, mut planned, go_on) = pause_at_visit("deploy.before_commit", 2);
    let cluster = world.core_with("c1", faults).await;
    nodes(&cluster, 1, COUNT as u64 * GIB).await;
    let up = CoreRecord { instance: "c1".into(), address: String::new() };
    world.put(keys::core("c1"), record::encode(&Versioned::new(up))).await;
    let deploying = |cluster: &Arc<Cluster>| {
        let (cluster, wanted) = (cluster.clone(), pb::DeployOptions { op_id: "op".into(), ..options(COUNT as i32) });
        tokio::spawn(async move { deploy(&cluster, &wanted).await })
    };
    let first = deploying(&cluster);
    within(planned.recv()).await.unwrap();
    assert!((1..COUNT).contains(&world.placements().await.len()));
    let other = world.core("c2").await;
    let mut repeated = deploying(&other);
    let early = tokio::time::timeout(Duration::from_millis(300), &mut repeated).await;
    assert!(early.is_err(), "half of it is no answer: {early:?}");
    assert_eq!(other.tasks.room_left(), IN_FLIGHT_MAX as usize, "who waits makes nothing, and takes no room");
    go_on.send(()).unwrap();
    let ids = |outcomes: &[_]| succeeded(outcomes).into_iter().collect::<BTreeSet<_>>();
    let (first, repeated) = (within(first).await.unwrap(), within(repeated).await.unwrap());
    assert_eq!(ids(&first).len(), COUNT, "{:?}", first.iter().find(|outcome| !outcome.error.is_empty()));
    assert_eq!(ids(&first), ids(&repeated), "{:?}", repeated.iter().find(|outcome| !outcome.error.is_empty()));
    world.check(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_leaves_alone_what_a_newer_core_placed() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, 64 * GIB).await;
    let outcomes = deploy(&cluster, &options(2)).await;
    let node = NodeName::new("n0").unwrap();
    let [newer, gone] = &outcomes[..] else { panic!("{outcomes:?}") };
    let placement = world.placements().await.into_iter().find(|p| Some(&p.name) == newer.name.as_ref()).unwrap();
    world.report_healthy(&placement).await;
    let txn = eru_kv::Txn {
        then: vec![
            eru_kv::Op::put(keys::placement(&node, newer.name.as_ref().unwrap()), "a value of tomorrow"),
            eru_kv::Op::delete(keys::placement(&node, gone.name.as_ref().unwrap())),
        ],
        ..Default::default()
    };
    world.kv.txn(txn, eru_kv::Durability::Durable).await.unwrap();
    // A core that never met the former value.
    let second = world.core("c2").await;
    let mut sweep = Sweep::default();
    sweep.engines(&second, Duration::ZERO).await;
    sweep.store(&second, Duration::ZERO).await.unwrap();
    let left: Vec<_> = world.engine("n0").list(&Default::default()).await.unwrap();
    assert_eq!(left.iter().map(|object| Some(&object.id)).collect::<Vec<_>>(), [newer.id.as_ref()]);
    assert_eq!(sweep.removed, 1, "what has no placement at all is removed");
    let report = keys::status(&node, newer.id.as_ref().unwrap());
    let reports = world.kv.range(&eru_kv::KeyRange::key(report), Default::default()).await.unwrap().kvs;
    assert_eq!(reports.len(), 1, "and its report stays");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_of_what_was_dissociated_is_left_alone() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, 64 * GIB).await;
    let outcome = deploy(&cluster, &options(1)).await.remove(0);
    let (node, id) = (NodeName::new("n0").unwrap(), outcome.id.unwrap());
    // Marks with values so large that one reply of the store does not hold them all; ours is the last of them.
    let large = bytes::Bytes::from(vec![b'x'; 400_000]);
    for i in 0..60 {
        let other = EngineId::new(format!("0{i:06}")).unwrap();
        world.put(keys::dissociated(&node, &other), large.clone()).await;
    }
    let txn = eru_kv::Txn {
        then: vec![
            eru_kv::Op::put(keys::dissociated(&node, &id), "1"),
            eru_kv::Op::delete(keys::placement(&node, outcome.name.as_ref().unwrap())),
        ],
        ..Default::default()
    };
    world.kv.txn(txn, eru_kv::Durability::Durable).await.unwrap();
    let marks = world.kv.range(&keys::all_dissociated(&node), Default::default()).await.unwrap();
    let first: BTreeSet<_> = marks.kvs.iter().map(|kv| kv.key.clone()).collect();
    assert!(marks.more && !first.contains(&keys::dissociated(&node, &id)), "the test wants more than one page");
    let mut sweep = Sweep::default();
    sweep.engines(&cluster, Duration::ZERO).await;
    assert_eq!(sweep.removed, 0);
    let left = world.kv.range(&keys::all_dissociated(&node), Default::default()).await.unwrap().kvs;
    assert_eq!(left.len(), 1, "marks of what the engine does not have are gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_was_done_without_an_answer_counts() {
    let mut world = World::new();
    let faulty = Faulty { inner: world.kv.clone(), text: "\"state\":\"running\"", lost: Default::default() };
    let faulty = Arc::new(Meddled(faulty));
    world.kv = faulty.clone();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, 64 * GIB).await;
    let outcomes = deploy(&cluster, &options(3)).await;
    assert!(faulty.0.lost.load(Ordering::SeqCst) > 0, "no answer was lost");
    assert_eq!(succeeded(&outcomes).len(), 3, "{outcomes:?}");
    world.check(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_each_and_fill_do_not_need_is_given_back_when_it_is_planned() {
    let world = World::new();
    let (faults, mut planned, go_on) = pause_at("deploy.planned");
    let cluster = world.core_with("c1", faults).await;
    nodes(&cluster, 2, 64 * GIB).await;
    let each = pb::DeployOptions { deploy_strategy: 2, ..options(1) };
    let mut outcomes = cluster.deploy(request(&each)).await.unwrap();
    within(planned.recv()).await.unwrap();
    eventually("all but two places are free", async || cluster.tasks.room_left() >= IN_FLIGHT_MAX as usize - 2).await;
    go_on.send(()).unwrap();
    while within(outcomes.recv()).await.is_some() {}
    eventually("all places are free", async || cluster.tasks.room_left() == IN_FLIGHT_MAX as usize).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_cannot_say_where_it_publishes_delays_nobody_for_long() {
    let mut world = World::new();
    world.settings.global_timeout = Duration::from_millis(300);
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, 64 * GIB).await;
    let engine = world.engine("n0");
    let mut slow = engine.options();
    slow.knobs.latency.insert(Operation::Inspect, Duration::from_secs(3600));
    engine.set_options(slow);
    let wanted = pb::DeployOptions {
        entrypoint: Some(pb::EntrypointOptions {
            name: "web".into(),
            publish: vec!["80".into()],
            ..pb::EntrypointOptions::default()
        }),
        ..options(1)
    };
    assert_eq!(succeeded(&deploy(&cluster, &wanted).await).len(), 1);
}
