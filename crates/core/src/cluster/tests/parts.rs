//! Cores, NUMA groups and volumes of one's own, from the request to the placement and back.

use super::rig::*;
use crate::cluster::{Cluster, Error, node::NewNode};
use eru_api::pb;
use eru_scheduler::ReasonKind;
use eru_types::{Labels, MemoryBytes, NodeName, PodName};
use std::collections::{BTreeMap, BTreeSet};

/// A pod `p` with two nodes of four cores in two groups of 2 GiB each, and two devices.
async fn numa_nodes(cluster: &Cluster) {
    cluster.add_pod(PodName::new("p").unwrap(), String::new()).await.unwrap();
    for (number, zone) in ["a", "b"].into_iter().enumerate() {
        let new = NewNode {
            name: NodeName::new(format!("n{number}")).unwrap(),
            pod: PodName::new("p").unwrap(),
            endpoint: format!("fake://n{number}"),
            cores: 4,
            share: 100,
            memory: MemoryBytes(4 * GIB),
            storage: MemoryBytes(100 * GIB),
            labels: Labels::new([("zone".to_owned(), zone.to_owned())].into()).unwrap(),
            volumes: [("/d0".to_owned(), GIB), ("/d1".to_owned(), 2 * GIB)].into(),
            numa: (0..4).map(|core: u32| (core.to_string(), (core % 2).to_string())).collect(),
            numa_memory: [("0".to_owned(), 2 * GIB), ("1".to_owned(), 2 * GIB)].into(),
            tls: None,
        };
        cluster.add_node(new).await.unwrap();
    }
    cluster.cache.linearizable().await.unwrap();
}

fn bound(count: i32, cores: f64, volumes: &[&str]) -> pb::DeployOptions {
    let resources = pb::ResourceOptions {
        cpu_quota_request: cores,
        cpu_bind: true,
        memory_request: GIB as i64,
        volumes_request: volumes.iter().map(ToString::to_string).collect(),
        volumes_limit: volumes.iter().map(ToString::to_string).collect(),
        ..Default::default()
    };
    pb::DeployOptions { resource_opts: Some(resources), ..options(count) }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_planned_is_recorded_counted_and_given_back() {
    let world = World::new();
    let cluster = world.core("c1").await;
    numa_nodes(&cluster).await;
    let volume = "AUTO:/data:rw:1073741824";
    let ids = succeeded(&deploy(&cluster, &bound(4, 1.5, &[volume])).await);
    assert_eq!(ids.len(), 4);
    world.check(&cluster).await;
    let mut held = BTreeSet::new();
    for placement in world.placements().await {
        let allotment = &placement.allotment;
        assert_eq!(allotment.cores.values().sum::<u32>(), 150);
        assert_eq!(allotment.cores.len(), 2);
        let groups: BTreeSet<u32> = allotment.cores.keys().map(|core| core.parse::<u32>().unwrap() % 2).collect();
        assert_eq!(groups.len(), 1, "its cores are of one group: {allotment:?}");
        assert_eq!(allotment.numa_node, groups.first().unwrap().to_string());
        assert!(held.insert((placement.node.clone(), allotment.numa_node.clone())), "each has a group of its own");
        assert_eq!(allotment.volume_plan_request[volume].values().sum::<u64>(), GIB);
        assert_eq!(allotment.volumes_limit.len(), 1);
    }
    for node in cluster.cache.nodes(None) {
        assert_eq!(node.parts.cores.values().sum::<u64>(), 300);
        assert_eq!(node.parts.numa_memory.values().copied().collect::<Vec<_>>(), [GIB, GIB]);
        assert_eq!(node.parts.devices.values().map(|device| device.0).sum::<u64>(), 2 * GIB);
    }
    // What is left is half a core in each group; a whole one is nowhere.
    let refused = cluster.calculate_capacity(&request(&bound(1, 1.0, &[]))).await.unwrap_err();
    let Error::Refused(refusal) = refused else { panic!("{refused}") };
    assert_eq!(refusal.reasons.iter().map(|r| (r.count, r.kind)).collect::<Vec<_>>(), [(2, ReasonKind::NumaCores)]);
    assert!(refusal.to_string().ends_with("2 nodes: no 1 free cores in one NUMA group"), "{refusal}");

    assert_eq!(remove(&cluster, removal(&ids, true)).await.len(), 4);
    world.check(&cluster).await;
    for node in cluster.cache.nodes(None) {
        assert_eq!(*node.parts, Default::default(), "everything is given back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn zones_and_limits_are_kept() {
    let world = World::new();
    let cluster = world.core("c1").await;
    numa_nodes(&cluster).await;
    let zoned = pb::DeployOptions { spread_label: "zone".into(), max_per_node: 2, ..options(3) };
    assert_eq!(succeeded(&deploy(&cluster, &zoned).await).len(), 3);
    let mut by_node: BTreeMap<NodeName, u32> = BTreeMap::new();
    world.placements().await.iter().for_each(|p| *by_node.entry(p.node.clone()).or_default() += 1);
    assert_eq!(by_node.values().copied().collect::<BTreeSet<_>>(), [1, 2].into());
    let capacity =
        cluster.calculate_capacity(&request(&pb::DeployOptions { count: 1, ..zoned.clone() })).await.unwrap();
    assert_eq!((capacity.total, capacity.nodes.len()), (1, 1), "{capacity:?}");
    assert_eq!(capacity.reasons[0].to_string(), "1 node: has the 2 instances that a node may have");
    let outcomes = deploy(&cluster, &pb::DeployOptions { count: 2, ..zoned }).await;
    assert!(outcomes[0].error.starts_with("not enough resource: need: 2, available: 1: 1 node: has"), "{outcomes:?}");
    world.check(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_cores_at_once_never_give_a_core_away_twice() {
    let world = World::new();
    let (one, two) = (world.core("c1").await, world.core("c2").await);
    nodes(&one, 4, 64 * GIB).await;
    two.cache.linearizable().await.unwrap();
    let deploys = (0..16).map(|i| {
        let cluster = if i % 2 == 0 { one.clone() } else { two.clone() };
        tokio::spawn(async move { succeeded(&deploy(&cluster, &bound(2, 1.0, &[])).await).len() })
    });
    let placed: usize = futures::future::join_all(deploys).await.into_iter().map(|placed| placed.unwrap()).sum();
    assert_eq!(placed, 32, "all of it fits");
    world.check(&one).await;
    for node in one.cache.nodes(None) {
        assert!(node.parts.cores.len() == 8 && node.parts.cores.values().all(|pieces| *pieces == 100), "{node:?}");
    }
}
