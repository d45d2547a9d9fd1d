//! Removing, dissociating, controlling, and the sweep.

use super::rig::*;
use crate::{
    cluster::{
        Cluster, Owner,
        control::{Control, ControlRequest},
        remove::RemoveRequest,
    },
    record::{PlacementState, Verdict},
    recovery::{self, Sweep},
};
use eru_api::pb;
use eru_runtime::{CreateRequest, Runtime, State};
use eru_types::{EngineId, Labels, Resources, WorkloadName};
use std::{collections::BTreeMap, sync::Arc, time::Duration};

#[tokio::test(flavor = "multi_thread")]
async fn running_ones_need_force_and_unknown_ones_are_errors_of_their_own() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 2, 64 * GIB).await;
    let ids = succeeded(&deploy(&cluster, &options(3)).await);
    let mut asked = ids.clone();
    asked.push("nonsense".into());
    asked.push("../x".into());
    let outcomes = remove(&cluster, removal(&asked, false)).await;
    assert_eq!(outcomes.len(), 5);
    for outcome in &outcomes {
        let part = if ids.contains(&outcome.id) {
            "is running: stop it first, or remove with force"
        } else {
            "bad `Count` value"
        };
        assert!(outcome.error.contains(part), "{outcome:?}");
    }
    world.check(&cluster).await;
    let stopped = control(&cluster, &ids[..1], Some(Control::Stop)).await;
    assert_eq!(stopped, [String::new()]);
    assert_eq!(remove(&cluster, removal(&ids[..1], false)).await[0].error, "");
    assert!(remove(&cluster, removal(&ids[1..], true)).await.iter().all(|o| o.error.is_empty()));
    assert!(world.placements().await.is_empty());
    world.check(&cluster).await;
    let again = remove(&cluster, removal(&ids, true)).await;
    assert!(again.iter().all(|o| o.error.contains("bad `Count` value")), "{again:?}");
}

async fn control(cluster: &Arc<Cluster>, ids: &[String], control: Option<Control>) -> Vec<String> {
    let request = ControlRequest { ids: ids.to_vec(), control, force: false, owner: None };
    let mut outcomes = cluster.control(request).await.unwrap();
    let mut errors = Vec::new();
    while let Some(outcome) = within(outcomes.recv()).await {
        errors.push(outcome.error);
    }
    errors
}

#[tokio::test(flavor = "multi_thread")]
async fn start_stop_restart() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, 64 * GIB).await;
    let ids = succeeded(&deploy(&cluster, &options(1)).await);
    let id = EngineId::new(&ids[0]).unwrap();
    let state = async || world.engine("n0").inspect(&id).await.unwrap().state;
    for (action, want) in
        [(Control::Stop, State::Exited), (Control::Start, State::Running), (Control::Restart, State::Running)]
    {
        assert_eq!(control(&cluster, &ids, Some(action)).await, [""]);
        assert_eq!(state().await, want, "{action:?}");
    }
    assert_eq!(world.engine("n0").counts().starts, 3);
    assert_eq!(control(&cluster, &ids, None).await, ["Unknown control type"]);
    assert!(control(&cluster, &["nope".into()], Some(Control::Stop)).await[0].contains("bad `Count` value"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_node_keeps_a_tombstone_until_it_is_back() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 2, 64 * GIB).await;
    let outcomes = deploy(&cluster, &options(2)).await;
    let on_n0: Vec<String> = outcomes
        .iter()
        .filter(|o| o.node.as_ref().unwrap().as_str() == "n0")
        .map(|o| o.id.as_ref().unwrap().to_string())
        .collect();
    world.judge("n0", Verdict::Lost).await;
    cluster.cache.linearizable().await.unwrap();
    let refused = remove(&cluster, removal(&on_n0, false)).await;
    assert!(refused[0].error.contains("node \"n0\" is lost"), "{refused:?}");
    assert_eq!(remove(&cluster, removal(&on_n0, true)).await[0].error, "");
    let states = async || {
        let placements = world.placements().await;
        placements.iter().filter(|p| p.state == PlacementState::Removing).count()
    };
    assert_eq!(states().await, 1);
    assert_eq!(world.engine("n0").counts().running, 1, "a dead machine cannot be asked");
    assert_eq!(recovery::look(&cluster, true).await.unwrap(), 0, "it is not back");
    world.judge("n0", Verdict::Fine).await;
    cluster.cache.linearizable().await.unwrap();
    assert_eq!(recovery::look(&cluster, true).await.unwrap(), 1);
    assert_eq!(world.placements().await.len(), 1);
    world.check(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_down_keeps_a_tombstone_too() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, 64 * GIB).await;
    let ids = succeeded(&deploy(&cluster, &options(1)).await);
    world.engine("n0").set_down(true);
    assert!(remove(&cluster, removal(&ids, false)).await[0].error.contains("does not answer"));
    assert_eq!(world.placements().await[0].state, PlacementState::Running, "nothing was changed");
    assert_eq!(remove(&cluster, removal(&ids, true)).await[0].error, "");
    assert_eq!(world.placements().await[0].state, PlacementState::Removing);
    world.engine("n0").set_down(false);
    assert_eq!(recovery::look(&cluster, true).await.unwrap(), 1);
    world.check(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removals_never_go_below_the_healthy_minimum() {
    let world = World::new();
    let (one, two) = (world.core("c1").await, world.core("c2").await);
    nodes(&one, 4, 64 * GIB).await;
    let ids = succeeded(&deploy(&one, &pb::DeployOptions { owner: "set".into(), owner_epoch: 1, ..options(8) }).await);
    for placement in world.placements().await {
        world.report_healthy(&placement).await;
    }
    two.cache.linearizable().await.unwrap();
    // Every one of them could go; together only five may.
    let removals = ids.iter().enumerate().map(|(i, id)| {
        let cluster = if i % 2 == 0 { one.clone() } else { two.clone() };
        let owner = Some(Owner { name: "set".into(), epoch: 1 });
        let request = RemoveRequest { ids: vec![id.clone()], force: true, owner, healthy_min: 3 };
        tokio::spawn(async move { remove(&cluster, request).await.remove(0).error })
    });
    let errors: Vec<String> =
        futures::future::join_all(removals).await.into_iter().map(|e| e.unwrap()).filter(|e| !e.is_empty()).collect();
    assert_eq!(errors.len(), 3, "{errors:?}");
    assert!(errors.iter().all(|e| e.contains("healthy_min is 3")), "{errors:?}");
    world.check(&one).await;

    let other = Some(Owner { name: "other".into(), epoch: 1 });
    let request = RemoveRequest { ids: ids.clone(), force: true, owner: other, healthy_min: 0 };
    let errors = remove(&one, request).await;
    assert!(errors.iter().any(|o| o.error.contains("belongs to owner \"set\", not to \"other\"")), "{errors:?}");
    let old = RemoveRequest { ids, force: true, owner: Some(Owner { name: "set".into(), epoch: 0 }), healthy_min: 0 };
    assert_eq!(one.remove(old).await.unwrap_err().to_string(), "owner epoch 0 is older than 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_belongs_to_nobody_is_swept_and_what_does_not_belong_to_us_is_not() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, 64 * GIB).await;
    let ids = succeeded(&deploy(&cluster, &options(2)).await);
    let engine = world.engine("n0");
    let object = |name: &str, core: &str, node: &str| {
        let mut labels = Labels::default();
        labels.set("ERU", "1");
        labels.set("eru.coreid", core);
        labels.set("eru.nodename", node);
        CreateRequest {
            name: WorkloadName::parse(name).unwrap(),
            labels,
            image: "x".into(),
            command: vec![],
            env: vec![],
            dir: String::new(),
            user: String::new(),
            resources: Resources::default(),
            allotment: eru_types::Allotment::default(),
            networks: BTreeMap::new(),
            publish: vec![],
            restart: String::new(),
            privileged: false,
            extras: eru_runtime::Extras::default(),
        }
    };
    engine.create(&object("a_b_orphan", "test", "n0")).await.unwrap();
    engine.create(&object("a_b_foreign", "other", "n0")).await.unwrap();
    engine.create(&object("a_b_elsewhere", "test", "n9")).await.unwrap();
    let mut forgotten = cluster.dissociate(&ids[..1]).await.unwrap();
    assert_eq!(forgotten.recv().await.unwrap().error, "");
    assert_eq!(world.placements().await.len(), 1);

    let mut sweep = Sweep::default();
    sweep.engines(&cluster, Duration::from_secs(60)).await;
    assert_eq!(sweep.removed, 0, "it has not been there for long");
    sweep.engines(&cluster, Duration::ZERO).await;
    assert_eq!(sweep.removed, 1);
    let mut left: Vec<String> =
        engine.list(&Labels::default()).await.unwrap().iter().map(|o| o.name.to_string()).collect();
    left.retain(|name| name.starts_with("a_b_"));
    left.sort();
    assert_eq!(left, ["a_b_elsewhere", "a_b_foreign"]);
    assert_eq!(engine.counts().running, 2, "the dissociated one goes on");

    // Its mark goes with it.
    engine.remove(&EngineId::new(&ids[0]).unwrap(), true).await.unwrap();
    sweep.engines(&cluster, Duration::ZERO).await;
    let marks: Vec<crate::record::Versioned<crate::record::DissociatedRecord>> =
        world.read(eru_kv::KeyRange::prefix("/dissociated/")).await;
    assert!(marks.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_of_nobody_are_swept() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, 64 * GIB).await;
    deploy(&cluster, &options(1)).await;
    let mut placement = world.placements().await.remove(0);
    world.report_healthy(&placement).await;
    placement.engine_id = Some(EngineId::new("gone").unwrap());
    world.report_healthy(&placement).await;
    let mut sweep = Sweep::default();
    sweep.store(&cluster, Duration::from_secs(60)).await.unwrap();
    sweep.store(&cluster, Duration::ZERO).await.unwrap();
    world.check(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_whom_another_core_saw_replaced_controls_nothing() {
    let world = World::new();
    let (one, two) = (world.core("c1").await, world.core("c2").await);
    nodes(&one, 1, 64 * GIB).await;
    let owned = pb::DeployOptions { owner: "set".into(), owner_epoch: 1, ..options(1) };
    let ids = succeeded(&deploy(&one, &owned).await);
    let request = |epoch| ControlRequest {
        ids: ids.clone(),
        control: Some(Control::Stop),
        force: false,
        owner: Some(Owner { name: "set".into(), epoch }),
    };
    let mut outcomes = two.control(request(2)).await.unwrap();
    assert_eq!(within(outcomes.recv()).await.unwrap().error, "");
    // The first core still remembers that the first epoch was the newest.
    let refused = one.control(request(1)).await.unwrap_err();
    assert_eq!(refused.to_string(), "owner epoch 1 is older than 2");
    assert!(one.control(request(2)).await.is_ok());
}
