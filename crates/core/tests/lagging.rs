//! Reads while the watch on the store stands still.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use bytes::Bytes;
use eru_api::pb;
use eru_core::{
    keys,
    record::{self, PodRecord, StatusRecord, Versioned},
};
use eru_kv::{Durability, Kv, Op, Txn};
use eru_types::{EngineId, NodeName, PodName, WorkloadStatus};
use support::{deploy, lagging::Lagging, start_with};
use tonic::Code;

fn encode<T: serde::Serialize>(record: T) -> Bytes {
    record::encode(&Versioned::new(record))
}

fn running(node: &NodeName, id: &EngineId) -> StatusRecord {
    StatusRecord {
        id: id.clone(),
        node: node.clone(),
        incarnation: 0,
        seq: 1,
        generation: 0,
        ttl_s: 0,
        status: WorkloadStatus { running: true, healthy: true, ..WorkloadStatus::default() },
    }
}

#[tokio::test]
async fn single_objects_are_read_from_the_store_and_lists_say_why_they_cannot_be() {
    let mut lagging = None;
    let core = start_with(|o| {
        let kv = Lagging::new(o.kv.clone());
        o.kv = kv.clone();
        lagging = Some(kv);
    })
    .await;
    let (mut core, store) = (core.with_nodes(&["n1"]).await, lagging.unwrap());
    let ids = core.deployed(deploy("a", 2)).await;
    let get_node = || pb::GetNodeOptions { nodename: "n1".into(), ..Default::default() };
    let before = core.client.get_node(get_node()).await.unwrap().into_inner();

    store.0.hold(true);
    let (node, pod) = (NodeName::new("n1").unwrap(), PodName::new("late").unwrap());
    let [kept, gone] = [&ids[0], &ids[1]].map(|id| EngineId::new(id.as_str()).unwrap());
    let cache = core.handle.cluster.cache.clone();
    let mut node_record = (*cache.node(&node).unwrap().record).clone();
    node_record.record.bypass = true;
    let gone_name = cache.workload(&gone).unwrap().placement.name.clone();
    let then = vec![
        Op::put(keys::pod(&pod), encode(PodRecord { name: pod.clone(), desc: "late".into() })),
        Op::put(keys::node(&node), record::encode(&node_record)),
        Op::put(keys::status(&node, &kept), encode(running(&node, &kept))),
        Op::delete(keys::placement(&node, &gone_name)),
        Op::delete(keys::index(&gone)),
    ];
    store.txn(Txn { then, ..Txn::default() }, Durability::Durable).await.unwrap();

    assert_eq!(core.client.get_pod(pb::GetPodOptions { name: "late".into() }).await.unwrap().into_inner().desc, "late");
    assert_eq!(core.client.list_pods(pb::Empty {}).await.unwrap().into_inner().pods.len(), 2);
    let after = core.client.get_node(get_node()).await.unwrap().into_inner();
    assert!(!before.bypass && after.bypass, "{after:?}");
    assert_eq!((after.memory, after.state_since_ms), (before.memory, before.state_since_ms));
    let opts = pb::GetNodeResourceOptions { opts: Some(get_node()), fix: false };
    assert!(core.client.get_node_resource(opts).await.unwrap().into_inner().diffs.is_empty());
    assert!(core.status_of(&ids[0]).await.running);
    let workload = core.client.get_workload(pb::WorkloadId { id: ids[0].clone() }).await.unwrap().into_inner();
    assert_eq!((workload.id.as_str(), workload.nodename.as_str()), (ids[0].as_str(), "n1"));
    assert!(workload.status.unwrap().healthy);
    let missing = core.client.get_workload(pb::WorkloadId { id: ids[1].clone() }).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound, "{missing:?}");
    let many = core.client.get_workloads(pb::WorkloadIDs { ids: vec![ids[0].clone(); 2] }).await.unwrap().into_inner();
    assert_eq!(many.workloads.len(), 2);

    let listed = core.client.list_workloads(pb::ListWorkloadsOptions::default()).await.unwrap_err();
    assert_eq!(listed.code(), Code::Unavailable);
    assert!(listed.message().contains("the watch on the store lags"), "{listed:?}");
    store.0.hold(false);
    let mut listed = core.client.list_workloads(pb::ListWorkloadsOptions::default()).await.unwrap().into_inner();
    assert_eq!(listed.message().await.unwrap().unwrap().id, ids[0]);
    assert!(listed.message().await.unwrap().is_none());
    core.stop().await;
}
