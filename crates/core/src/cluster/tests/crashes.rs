//! A core that dies at any point of any operation: another one finishes or undoes, and everything agrees afterwards.

use super::rig::*;
use crate::{
    cluster::Cluster,
    fault::{Faults, POINTS},
    record::PlacementState,
    recovery::{self, Sweep},
};
use eru_api::pb;
use eru_runtime::{Runtime, fake::Operation};
use eru_types::Labels;
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::sync::watch;

/// Stops everybody who comes to `point` for the `visit`-th time or later; the receiver changes when somebody does.
pub(super) fn stop_at(point: &'static str, visit: u32) -> (Faults, watch::Receiver<u32>) {
    let (reached, receiver) = watch::channel(0);
    let visits = AtomicU32::new(0);
    let hook = move |name: &'static str| {
        let stops = name == point && visits.fetch_add(1, Ordering::SeqCst) + 1 >= visit;
        if stops {
            reached.send_modify(|count| *count += 1);
        }
        stops
    };
    (Faults::with_hook(Arc::new(hook)), receiver)
}

/// A life with a bit of everything: deploys that succeed and fail, removals, forgetting.
async fn live(cluster: Arc<Cluster>, world: Arc<World>) {
    world.engine("n1").fail_next(Operation::Start, 1);
    let wanted = pb::DeployOptions { op_id: "op".into(), ..options(6) };
    let ids = succeeded(&deploy(&cluster, &wanted).await);
    remove(&cluster, removal(&ids[..2], true)).await;
    let mut forgotten = cluster.dissociate(&ids[2..3]).await.unwrap();
    while forgotten.recv().await.is_some() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_agrees_after_a_death_at_any_point() {
    // Those of replacements have a test of their own.
    let others = ["recover.", "sweep.", "replace.", "undo.old_started"];
    let of_life = |point: &&&'static str| !others.iter().any(|other| point.starts_with(other));
    for point in POINTS.iter().filter(of_life) {
        for visit in [1, 2] {
            let world = Arc::new(World::new());
            let (faults, mut reached) = stop_at(point, visit);
            let first = world.core_with("dying", faults).await;
            nodes(&first, 3, 64 * GIB).await;
            let life = tokio::spawn(live(first.clone(), world.clone()));
            if visit == 1 {
                within(reached.changed()).await.unwrap();
            } else {
                // Not every point is met twice; then the life ends.
                tokio::select! {
                    changed = reached.changed() => changed.unwrap(),
                    () = async { while !life.is_finished() { tokio::time::sleep(Duration::from_millis(2)).await } } => {}
                }
            }
            first.tasks.die().await;
            life.abort();
            let second = world.core("second").await;
            settle(&world, &second).await;
            world.check(&second).await;
            let wanted = pb::DeployOptions { op_id: "op".into(), ..options(6) };
            let before = world.placements().await.len();
            let repeated = deploy(&second, &wanted).await;
            let claimed = *point != "deploy.before_commit" || visit > 1;
            assert_eq!(
                world.placements().await.len(),
                if claimed { before } else { 6 },
                "{point}@{visit}: {repeated:?}"
            );
            world.check(&second).await;
        }
    }
}

/// Recovery until there is nothing to recover. What was dissociated is taken away, as it is no placement's.
pub(super) async fn settle(world: &World, cluster: &Arc<Cluster>) {
    // What the dead core had sent is on its way to the disk; a durable write of ours comes after it.
    let after_it = eru_kv::Txn { then: vec![eru_kv::Op::put("after", "")], ..eru_kv::Txn::default() };
    world.kv.txn(after_it, eru_kv::Durability::Durable).await.unwrap();
    eventually("nothing is left to recover", async || {
        // On a machine that is busy with other things a look may fail; the next one does not.
        recovery::look(cluster, true).await.is_ok()
            && world.placements().await.iter().all(|placement| placement.state == PlacementState::Running)
    })
    .await;
    let mut sweep = Sweep::default();
    sweep.engines(cluster, Duration::ZERO).await;
    assert_eq!(sweep.removed, 0, "recovery leaves nothing to sweep");
    let marked: Vec<_> =
        world.kv.range(&eru_kv::KeyRange::prefix("/dissociated/"), eru_kv::RangeOptions::default()).await.unwrap().kvs;
    for kv in marked {
        let Some(crate::keys::Key::Dissociated(node, id)) = crate::keys::parse(&kv.key) else { panic!("{kv:?}") };
        world.engine(node.as_str()).remove(&id, true).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_death_during_recovery_is_recovered_from() {
    let world = World::new();
    let (faults, mut reached) = stop_at("deploy.created", 1);
    let first = world.core_with("first", faults).await;
    nodes(&first, 2, 64 * GIB).await;
    let outcomes = first.deploy(request(&options(4))).await.unwrap();
    within(reached.wait_for(|count| *count == 4)).await.unwrap();
    first.tasks.die().await;
    drop(outcomes);
    let (faults, mut reached) = stop_at("recover.taken_over", 2);
    let second = world.core_with("second", faults).await;
    let looking = tokio::spawn({
        let second = second.clone();
        async move { recovery::look(&second, true).await }
    });
    within(reached.changed()).await.unwrap();
    looking.abort();
    second.tasks.die().await;
    let third = world.core("third").await;
    settle(&world, &third).await;
    assert_eq!(world.placements().await.len(), 4, "what was created is finished, not undone");
    world.check(&third).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_core_that_was_only_slow_stops_when_it_is_taken_over() {
    let world = World::new();
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let slow = world.core("slow").await;
    nodes(&slow, 1, 64 * GIB).await;
    world.engine("n0").set_options(eru_runtime::FakeOptions::parse("fake://n0?create_ms=3000").unwrap());
    let deploying = tokio::spawn({
        let (slow, gate) = (slow.clone(), gate.clone());
        async move {
            gate.add_permits(1);
            deploy(&slow, &options(1)).await
        }
    });
    let _begun = gate.acquire().await.unwrap();
    let other = world.core("other").await;
    eventually("it is planned", async || {
        other.cache.linearizable().await.unwrap();
        other.cache.placements().len() == 1
    })
    .await;
    // The other core takes the slow one for dead, although it is not.
    eventually("it is undone", async || {
        recovery::look(&other, true).await.unwrap();
        world.placements().await.is_empty()
    })
    .await;
    let outcomes = within(deploying).await.unwrap();
    assert!(!outcomes[0].error.is_empty(), "{outcomes:?}");
    // The slow core's create may have come after the undoing: that is what the sweep is for.
    let mut sweep = Sweep::default();
    sweep.engines(&other, Duration::ZERO).await;
    world.check(&other).await;
    assert!(world.engine("n0").list(&Labels::default()).await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_does_not_answer_is_waited_for_without_a_write() {
    let world = World::new();
    let (faults, mut reached) = stop_at("deploy.created", 1);
    let first = world.core_with("first", faults).await;
    nodes(&first, 1, 64 * GIB).await;
    let outcomes = first.deploy(request(&options(3))).await.unwrap();
    within(reached.wait_for(|count| *count == 3)).await.unwrap();
    first.tasks.die().await;
    drop(outcomes);
    let second = world.core("second").await;
    // Opening an endpoint applies its options, so it is opened before it goes down.
    second.engines.open("fake://n0").unwrap();
    world.engine("n0").set_down(true);
    let before = world.kv.revision().await.unwrap();
    assert_eq!(recovery::look(&second, true).await.unwrap(), 0);
    assert_eq!(world.kv.revision().await.unwrap(), before);
    world.engine("n0").set_down(false);
    assert_eq!(recovery::look(&second, true).await.unwrap(), 3);
    assert_eq!(world.placements().await.len(), 3);
    world.check(&second).await;
}
