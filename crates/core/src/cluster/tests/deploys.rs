//! Deploys.

use super::rig::*;
use crate::{cluster::Error, record::PlacementState};
use eru_api::pb;
use eru_runtime::{Runtime, fake::Operation};
use std::collections::{BTreeMap, BTreeSet};

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_on_a_hundred_nodes_are_spread_and_the_sums_agree() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 100, 64 * GIB).await;
    let began = std::time::Instant::now();
    let outcomes = deploy(&cluster, &options(1000)).await;
    println!("1000 instances in {:?}", began.elapsed());
    assert_eq!(succeeded(&outcomes).len(), 1000, "{:?}", outcomes.iter().find(|o| !o.error.is_empty()));
    let mut by_node: BTreeMap<_, u32> = BTreeMap::new();
    outcomes.iter().for_each(|o| *by_node.entry(o.node.clone()).or_default() += 1);
    assert!(by_node.values().all(|count| *count == 10), "{by_node:?}");
    let placements = world.placements().await;
    assert_eq!(placements.iter().map(|p| p.seq).collect::<BTreeSet<_>>().len(), 1000, "every instance has its number");
    world.check(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_of_one_node_than_fits_one_transaction() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, 1000 * GIB).await;
    assert_eq!(succeeded(&deploy(&cluster, &options(300)).await).len(), 300);
    world.check(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_undone_and_the_rest_stays() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 3, 64 * GIB).await;
    cluster.engines.open("fake://n0").unwrap();
    world.engine("n0").fail_next(Operation::Create, 2);
    world.engine("n1").fail_next(Operation::Start, 3);
    let outcomes = deploy(&cluster, &options(30)).await;
    assert_eq!((outcomes.len(), succeeded(&outcomes).len()), (30, 25));
    let failed: Vec<_> = outcomes.iter().filter(|o| !o.error.is_empty()).collect();
    assert!(failed.iter().all(|o| o.id.is_none() && o.name.is_some() && o.node.is_some()), "{failed:?}");
    assert_eq!(world.placements().await.len(), 25);
    world.check(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_cannot_even_undo_is_undone_later() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, 64 * GIB).await;
    world.engine("n0").fail_next(Operation::Start, 1);
    world.engine("n0").fail_next(Operation::Remove, 1);
    let wanted = pb::DeployOptions { op_id: "op".into(), ..options(1) };
    let outcomes = deploy(&cluster, &wanted).await;
    assert!(!outcomes[0].error.is_empty() && outcomes[0].refused.is_none(), "{outcomes:?}");
    let left = world.placements().await;
    assert_eq!(left[0].state, PlacementState::Removing, "written before it was tried");
    let again = deploy(&cluster, &wanted).await;
    let want = format!("instance 0 of op \"op\", workload {}, is being removed", left[0].name);
    assert_eq!(again[0].error, want);
    assert_eq!(crate::recovery::look(&cluster, false).await.unwrap(), 1);
    assert!(world.placements().await.is_empty());
    world.check(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_one_message_and_nothing_is_done() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 2, 4 * GIB).await;
    let outcomes = deploy(&cluster, &options(9)).await;
    assert_eq!(outcomes.len(), 1);
    assert_eq!(outcomes[0].error, "not enough resource: need: 9, available: 8");
    assert!(world.placements().await.is_empty());
    let unknown = cluster.deploy(request(&pb::DeployOptions { podname: "q".into(), ..options(1) })).await.unwrap_err();
    assert!(matches!(unknown, Error::NotFound(_)), "{unknown}");
    let huge = pb::DeployOptions { env: vec![format!("A={}", "x".repeat(600_000))], ..options(1) };
    let text = cluster.deploy(request(&huge)).await.unwrap_err().to_string();
    assert!(text.starts_with("workload record would be"), "{text}");
    assert!(world.placements().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_and_fill() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 3, 64 * GIB).await;
    let each = pb::DeployOptions { deploy_strategy: 2, ..options(2) };
    assert_eq!(succeeded(&deploy(&cluster, &each).await).len(), 6);
    let fill = pb::DeployOptions { deploy_strategy: 1, nodes_limit: 2, ..options(5) };
    assert_eq!(succeeded(&deploy(&cluster, &fill).await).len(), 6);
    world.check(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_cores_and_many_deploys_never_overbook() {
    let world = World::new();
    let (one, two) = (world.core("c1").await, world.core("c2").await);
    nodes(&one, 4, 25 * GIB).await;
    two.cache.linearizable().await.unwrap();
    let cores = [one.clone(), two.clone()];
    let deploys = (0..40).map(|i| {
        let cluster = cores[i % 2].clone();
        tokio::spawn(async move { deploy(&cluster, &options(1 + i as i32 % 7)).await })
    });
    let mut placed = 0;
    let mut refused = 0;
    for deploy in futures::future::join_all(deploys).await {
        let outcomes = deploy.unwrap();
        placed += succeeded(&outcomes).len();
        refused += outcomes.iter().filter(|o| !o.error.is_empty()).count();
    }
    assert!(refused > 0, "more was asked for than there is");
    assert_eq!(world.placements().await.len(), placed);
    assert!((93..=100).contains(&placed), "all but what the last refused deploy was too large for: {placed}");
    world.check(&one).await;
    world.check(&two).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_deploy_finds_its_own_instances() {
    let world = World::new();
    let cluster = world.core("c1").await;
    // Room for the second only once.
    nodes(&cluster, 7, 50 * GIB).await;
    for count in [2, 300] {
        let wanted = pb::DeployOptions { op_id: format!("op{count}"), ..options(count) };
        // Three at once: one of them makes the instances, and all answer the same.
        let deploys = (0..3).map(|_| deploy(&cluster, &wanted));
        let answers = futures::future::join_all(deploys).await;
        let ids: Vec<BTreeSet<String>> = answers.iter().map(|a| succeeded(a).into_iter().collect()).collect();
        assert_eq!(ids[0].len(), count as usize);
        assert!(
            ids.iter().all(|other| *other == ids[0]),
            "{:?}",
            answers.iter().flatten().find(|o| !o.error.is_empty())
        );
        let again: BTreeSet<String> = succeeded(&deploy(&world.core("c2").await, &wanted).await).into_iter().collect();
        assert_eq!(again, ids[0]);
    }
    assert_eq!(world.placements().await.len(), 302);
    let other = pb::DeployOptions { op_id: "op2".into(), ..options(3) };
    let text = cluster.deploy(request(&other)).await.unwrap_err().to_string();
    assert_eq!(text, "op_id \"op2\" was used for another request, of 2 web of app a");
    world.check(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_leader_deploys_nothing() {
    let world = World::new();
    let (one, two) = (world.core("c1").await, world.core("c2").await);
    nodes(&one, 1, 64 * GIB).await;
    two.cache.linearizable().await.unwrap();
    let by = |epoch| pb::DeployOptions { owner: "set".into(), owner_epoch: epoch, ..options(1) };
    assert_eq!(succeeded(&deploy(&one, &by(3)).await).len(), 1);
    assert_eq!(succeeded(&deploy(&two, &by(5)).await).len(), 1);
    // This core has met epoch 3 before and need not ask: the guard in the transaction finds out.
    let error = one.deploy(request(&by(3))).await.unwrap_err();
    assert!(matches!(error, Error::Precondition(_)));
    assert_eq!(error.to_string(), "owner epoch 3 is older than 5");
    assert_eq!(world.placements().await.len(), 2);
    world.check(&one).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_stops_nothing_that_is_committed() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 2, 64 * GIB).await;
    drop(cluster.deploy(request(&options(20))).await.unwrap());
    eventually("all instances run", async || {
        let placements = world.placements().await;
        placements.len() == 20 && placements.iter().all(|p| p.state == PlacementState::Running)
    })
    .await;
    world.check(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn environment_and_labels_reach_the_engine() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, 64 * GIB).await;
    let wanted =
        pb::DeployOptions { env: vec!["A=1".into()], labels: [("zone".into(), "x".into())].into(), ..options(1) };
    let outcome = deploy(&cluster, &wanted).await.remove(0);
    let inspection = world.engine("n0").inspect(outcome.id.as_ref().unwrap()).await.unwrap();
    for (key, value) in [("ERU", "1"), ("eru.nodename", "n0"), ("eru.coreid", "test"), ("zone", "x")] {
        assert_eq!(inspection.labels.get(key), Some(value));
    }
    let node = cluster.cache.node(&eru_types::NodeName::new("n0").unwrap()).unwrap();
    let placement = world.placements().await.remove(0);
    let docker = eru_config::core::Docker::default();
    let request = crate::cluster::create::create_request(&placement, &node.record, &docker);
    let env: Vec<String> = request.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let want = [
        "A=1",
        "APP_NAME=a",
        "ERU_POD=p",
        "ERU_NODE_NAME=n0",
        "ERU_WORKLOAD_SEQ=0",
        "ERU_MEMORY=1073741824",
        "ERU_STORAGE=0",
    ];
    assert_eq!(env, want);
}
