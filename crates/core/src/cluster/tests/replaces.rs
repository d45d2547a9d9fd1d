//! Replacements.

use super::{
    crashes::{settle, stop_at},
    rig::*,
};
use crate::{
    cluster::{Cluster, Error, replace::ReplaceRequest},
    fault::POINTS,
    record::PlacementState,
    recovery,
};
use eru_api::pb;
use eru_runtime::{Runtime, State, fake::Operation};
use eru_types::{EngineId, NodeName, PodName};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

fn used(cluster: &Cluster) -> u64 {
    cluster.cache.node(&NodeName::new("n0").unwrap()).unwrap().used.memory_request.0
}

/// A node that is full with `count` workloads of 1 GiB, and their ids.
async fn full(world: &World, count: usize) -> (Arc<Cluster>, Vec<String>) {
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, count as u64 * GIB).await;
    let ids = succeeded(&deploy(&cluster, &options(count as i32)).await);
    assert_eq!(ids.len(), count);
    (cluster, ids)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_node_replaces_one_for_one_with_the_same_resources() {
    let world = World::new();
    let (cluster, ids) = full(&world, 3).await;
    let wanted = pb::DeployOptions { image: "nginx:2".into(), count: 2, resource_opts: None, ..options(1) };
    let outcomes = replace(&cluster, &replacement(&[], &wanted)).await;
    assert_eq!(outcomes.len(), 3, "no id is all of the app and entrypoint");
    for outcome in &outcomes {
        assert_eq!((outcome.error.as_str(), outcome.remove.error.as_str()), ("", ""), "{outcome:?}");
        let create = outcome.create.as_ref().unwrap();
        assert_eq!(create.resources.memory_request.0, GIB);
        assert!(ids.contains(&outcome.remove.id) && !ids.contains(&create.id.as_ref().unwrap().to_string()));
    }
    let placements = world.placements().await;
    assert!(placements.iter().all(|p| p.spec.image == "nginx:2"));
    let mut seqs: Vec<u32> = placements.iter().map(|p| p.seq).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, [0, 1, 2]);
    world.check(&cluster).await;
    assert_eq!(used(&cluster), 3 * GIB);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_replaced_is_left_as_it_is() {
    let world = World::new();
    let (cluster, ids) = full(&world, 2).await;
    let before = world.placements().await;
    let mut labelled = replacement(&ids[..1], &options(1));
    labelled.filter_labels = [("zone".into(), "b".into())].into();
    let outcome = replace(&cluster, &labelled).await.remove(0);
    assert_eq!((outcome.error.as_str(), outcome.remove.error.as_str()), ("not fit labels", "not fit labels"));
    assert!(outcome.create.is_none());
    let elsewhere = pb::DeployOptions { podname: "q".into(), ..options(1) };
    let unknown = ReplaceRequest::from_pb(&replacement(&ids, &elsewhere)).unwrap();
    assert!(matches!(cluster.replace(unknown).await, Err(Error::NotFound(_))), "there is no pod q yet");
    cluster.add_pod(PodName::new("q").unwrap(), String::new()).await.unwrap();
    assert!(replace(&cluster, &replacement(&ids, &elsewhere)).await.is_empty(), "another pod's are left out");
    let outcome = replace(&cluster, &replacement(&["nope".into()], &options(1))).await.remove(0);
    assert_eq!(outcome.error, "bad `Count` value: key: /workloads/nope");
    let engine = world.engine("n0");
    let id = EngineId::new(&ids[0]).unwrap();
    engine.stop(&id, Duration::ZERO).await.unwrap();
    let inherit = pb::ReplaceOptions { networkinherit: true, ..replacement(&ids[..1], &options(1)) };
    let outcome = replace(&cluster, &inherit).await.remove(0);
    assert_eq!(outcome.error, format!("Not Support: workload {id} is not running, can not inherit"));
    engine.start(&id).await.unwrap();
    engine.refuse_image("gone", "manifest unknown");
    let gone = pb::DeployOptions { image: "gone".into(), ..options(1) };
    let outcome = replace(&cluster, &replacement(&ids[..1], &gone)).await.remove(0);
    assert_eq!(outcome.error, "image gone cannot be fetched: manifest unknown");
    let starts = engine.counts().starts;
    assert_eq!(starts, 3, "two deploys and one start by hand: nothing was stopped for it");
    assert_eq!(world.placements().await, before);
    world.check(&cluster).await;
    let none = crate::cluster::replace::ReplaceRequest::from_pb(&pb::ReplaceOptions::default()).unwrap_err();
    assert_eq!(none.to_string(), "No deploy options");
}

#[tokio::test(flavor = "multi_thread")]
async fn networks_hooks_and_files_are_taken_over() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, GIB).await;
    let mut old = options(1);
    old.networks.insert("blue".into(), "10.9.9.9".into());
    old.networks.insert("bridge".into(), String::new());
    old.data.insert("/data/a".into(), "kept".into());
    old.data.insert("/data/sub/b".into(), "too".into());
    let before_stop = vec!["eru-fake print:bye".to_owned()];
    old.entrypoint.as_mut().unwrap().hook = Some(pb::HookOptions { before_stop, ..pb::HookOptions::default() });
    let ids = succeeded(&deploy(&cluster, &old).await);
    let mut wanted = replacement(&ids, &pb::DeployOptions { data: [("/new".into(), "n".into())].into(), ..options(1) });
    wanted.networkinherit = true;
    wanted.copy = [("/data".into(), "/kept".into())].into();
    let outcome = replace(&cluster, &wanted).await.remove(0);
    assert_eq!((outcome.error.as_str(), &outcome.hook[..]), ("", &b"bye\n"[..]));
    let id = outcome.create.unwrap().id.unwrap();
    let placement = world.placements().await.remove(0);
    let want: BTreeMap<String, String> = [("blue".into(), "10.9.9.9".into()), ("bridge".into(), String::new())].into();
    assert_eq!(placement.spec.networks, want, "an address that the engine chooses cannot be asked for");
    let engine = cluster.engines.open("fake://n0").unwrap();
    for (path, data) in [("/kept/a", "kept"), ("/kept/sub/b", "too"), ("/new", "n")] {
        let file = cluster.take_files(&engine, &id, path, "/x", 1 << 20).await.unwrap().remove(0);
        assert_eq!(file.data, data, "{path}");
    }
    let mut missing = replacement(&[id.to_string()], &options(1));
    missing.copy = [("/nowhere".into(), "/x".into())].into();
    let outcome = replace(&cluster, &missing).await.remove(0);
    assert!(outcome.error.contains("/nowhere") && outcome.create.is_none(), "{outcome:?}");
    world.check(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_the_new_one_fails_the_old_one_runs_again() {
    let world = World::new();
    let (cluster, ids) = full(&world, 1).await;
    let bad = running("eru-fake cannot-execute", options(1));
    let outcome = replace(&cluster, &replacement(&ids, &bad)).await.remove(0);
    assert!(outcome.error.contains("cannot execute"), "{outcome:?}");
    let create = outcome.create.unwrap();
    assert!(create.id.is_none() && create.name.is_some() && create.error == outcome.error);
    assert_eq!(outcome.remove.error, outcome.error);
    assert_eq!(world.placements().await[0].engine_id, Some(EngineId::new(&ids[0]).unwrap()));
    world.check(&cluster).await;
    assert_eq!(used(&cluster), GIB);

    // One that was stopped by hand is not started by a replacement that fails.
    let (engine, id) = (world.engine("n0"), EngineId::new(&ids[0]).unwrap());
    engine.stop(&id, Duration::ZERO).await.unwrap();
    replace(&cluster, &replacement(&ids, &bad)).await;
    assert_eq!(engine.inspect(&id).await.unwrap().state, State::Exited);
    engine.start(&id).await.unwrap();

    // A hook that must not fail does.
    let mut strict = options(1);
    let before_stop = vec!["eru-fake exit:1".to_owned()];
    strict.entrypoint.as_mut().unwrap().hook = Some(pb::HookOptions { before_stop, force: true, ..Default::default() });
    let replaced = replace(&cluster, &replacement(&ids, &strict)).await.remove(0);
    let ids = vec![replaced.create.unwrap().id.unwrap().to_string()];
    let outcome = replace(&cluster, &replacement(&ids, &options(1))).await.remove(0);
    assert_eq!(outcome.error, "before_stop \"eru-fake exit:1\": ended with exit code 1");
    world.check(&cluster).await;
    let careless = pb::DeployOptions { ignore_hook: true, ..options(1) };
    assert_eq!(replace(&cluster, &replacement(&ids, &careless)).await.remove(0).error, "");
    world.check(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_one_that_cannot_be_removed_is_counted_once_and_removed_later() {
    let world = World::new();
    let (cluster, ids) = full(&world, 1).await;
    world.engine("n0").fail_next(Operation::Remove, 1);
    let outcome = replace(&cluster, &replacement(&ids, &options(1))).await.remove(0);
    assert!(outcome.error.starts_with("the new one runs, and a_web_"), "{outcome:?}");
    assert!(outcome.create.unwrap().error.is_empty() && !outcome.remove.error.is_empty());
    cluster.cache.linearizable().await.unwrap();
    assert_eq!((world.placements().await.len(), used(&cluster)), (2, GIB));
    assert_eq!(recovery::look(&cluster, false).await.unwrap(), 1);
    world.check(&cluster).await;
    assert_eq!((world.placements().await.len(), used(&cluster)), (1, GIB));
}

#[tokio::test(flavor = "multi_thread")]
async fn another_core_that_forgets_the_new_one_gives_the_old_one_its_own_back() {
    let world = World::new();
    let (faults, mut reached) = stop_at("deploy.created", 2);
    let first = world.core_with("first", faults).await;
    nodes(&first, 1, GIB).await;
    let ids = succeeded(&deploy(&first, &options(1)).await);
    let outcomes =
        first.replace(crate::cluster::replace::ReplaceRequest::from_pb(&replacement(&ids, &options(1))).unwrap());
    let outcomes = outcomes.await.unwrap();
    within(reached.changed()).await.unwrap();
    let second = world.core("second").await;
    let new = world.placements().await.into_iter().find(|p| p.state == PlacementState::Created).unwrap();
    let id = new.engine_id.clone().unwrap().to_string();
    assert_eq!(remove(&second, removal(&[id], true)).await[0].error, "");
    world.check(&second).await;
    assert_eq!(world.placements().await[0].engine_id.as_ref().unwrap().as_str(), ids[0]);
    assert_eq!(used(&second), GIB);
    first.tasks.die().await;
    drop(outcomes);
}

/// One replacement that succeeds and one that fails.
async fn live(cluster: Arc<Cluster>, ids: Vec<String>) {
    let good = pb::DeployOptions { data: [("/a".into(), "x".into())].into(), ..options(1) };
    replace(&cluster, &replacement(&ids[..1], &good)).await;
    replace(&cluster, &replacement(&ids[1..], &running("eru-fake cannot-execute", options(1)))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_agrees_after_a_death_at_any_point_of_a_replacement() {
    let mut met = 0;
    for point in POINTS {
        for visit in [1, 2] {
            let world = Arc::new(World::new());
            let (first, ids) = full(&world, 2).await;
            first.tasks.die().await;
            let (faults, mut reached) = stop_at(point, visit);
            let dying = world.core_with("dying", faults).await;
            let life = tokio::spawn(live(dying.clone(), ids.clone()));
            tokio::select! {
                changed = reached.changed() => {
                    changed.unwrap();
                    met += 1;
                }
                () = async { while !life.is_finished() { tokio::time::sleep(Duration::from_millis(2)).await } } => {}
            }
            dying.tasks.die().await;
            life.abort();
            let second = world.core("second").await;
            settle(&world, &second).await;
            world.check(&second).await;
            assert_eq!((world.placements().await.len(), used(&second)), (2, 2 * GIB), "{point}@{visit}");
        }
    }
    assert_eq!(met, 22, "each of its points is met as often as both replacements come there");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_an_op_id_is_carried_out_once() {
    let world = World::new();
    let (cluster, ids) = full(&world, 2).await;
    let named = pb::DeployOptions { op_id: "roll".into(), ..options(1) };
    // No ids: a repeat would replace what the first one made.
    let all = replacement(&[], &named);
    assert_eq!(replace(&cluster, &all).await.iter().filter(|outcome| outcome.error.is_empty()).count(), 2);
    let made = world.placements().await;
    assert!(made.iter().all(|placement| placement.op_id == "roll"));
    let again = |options: &pb::ReplaceOptions| {
        let request = crate::cluster::replace::ReplaceRequest::from_pb(options).unwrap();
        let cluster = cluster.clone();
        async move { within(cluster.replace(request)).await.err().unwrap() }
    };
    let refused = again(&all).await;
    assert!(matches!(refused, crate::cluster::Error::Exists(_)), "{refused:?}");
    assert!(refused.to_string().starts_with("op_id \"roll\" came before, and its replacements are not made twice"));
    let other = again(&replacement(&ids, &named)).await.to_string();
    assert_eq!(other, "op_id \"roll\" was used for another request, of 2 web of app a");
    assert_eq!(world.placements().await, made);
    // Two at the same time: one of them is carried out.
    let both = replacement(&[], &pb::DeployOptions { op_id: "both".into(), ..options(1) });
    let request = || crate::cluster::replace::ReplaceRequest::from_pb(&both).unwrap();
    let (one, two) = tokio::join!(cluster.replace(request()), cluster.replace(request()));
    assert_eq!([one.is_ok(), two.is_ok()].iter().filter(|is_ok| **is_ok).count(), 1);
    for mut outcomes in [one, two].into_iter().flatten() {
        while let Some(outcome) = within(outcomes.recv()).await {
            assert_eq!(outcome.error, "");
        }
    }
    world.check(&cluster).await;
}
