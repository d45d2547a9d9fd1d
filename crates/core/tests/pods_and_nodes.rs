//! Pods and nodes through the public API.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use eru_api::pb;
use eru_runtime::Runtime;
use eru_types::NodeName;
use std::collections::BTreeMap;
use support::{node, start};
use tonic::Code;

#[tokio::test]
async fn pods_come_and_go() {
    let mut core = start().await;
    let add = |name: &str| pb::AddPodOptions { name: name.into(), desc: "for tests".into() };
    let pod = core.client.add_pod(add("b")).await.unwrap().into_inner();
    assert_eq!((pod.name.as_str(), pod.desc.as_str()), ("b", "for tests"));
    core.client.add_pod(add("a")).await.unwrap();
    let again = core.client.add_pod(add("a")).await.unwrap_err();
    assert_eq!((again.code(), again.message()), (Code::AlreadyExists, "Key exists"));
    let names: Vec<String> =
        core.client.list_pods(pb::Empty {}).await.unwrap().into_inner().pods.into_iter().map(|p| p.name).collect();
    assert_eq!(names, ["a", "b"]);

    core.client.add_node(pb::AddNodeOptions { podname: "a".into(), ..node("n1") }).await.unwrap();
    let remove = |name: &str| pb::RemovePodOptions { name: name.into() };
    let kept = core.client.remove_pod(remove("a")).await.unwrap_err();
    assert_eq!(kept.code(), Code::FailedPrecondition);
    let want = "pod has nodes: pod a still has 1 node, delete it first: n1; `eru-cli node remove NODE`";
    assert_eq!(kept.message(), want);
    core.client.remove_node(pb::RemoveNodeOptions { nodename: "n1".into() }).await.unwrap();
    core.client.remove_pod(remove("a")).await.unwrap();
    let gone = core.client.remove_pod(remove("a")).await.unwrap_err();
    assert_eq!((gone.code(), gone.message()), (Code::NotFound, "pod not found: a"));
    let missing = core.client.get_pod(pb::GetPodOptions { name: "a".into() }).await.unwrap_err();
    assert_eq!(missing.code(), Code::NotFound);
    assert!(
        missing.message().starts_with("bad `Count` value: key: /pod/info/a: pod \"a\" does not exist"),
        "{missing:?}"
    );
    core.stop().await;
}

#[tokio::test]
async fn whoever_names_a_pod_that_is_not_there_is_told_so() {
    let core = start().await.with_nodes(&["n1"]).await;
    let client = || core.client.clone();
    let deploy = || pb::DeployOptions { podname: "q".into(), image: "nginx".into(), ..support::deploy("app", 1) };
    let pod = pb::GetPodOptions { name: "q".into() };
    let images = || vec!["nginx".to_owned()];
    let networks = pb::ListNetworkOptions { podname: "q".into(), ..Default::default() };
    let list = pb::ListImageOptions { podname: "q".into(), ..Default::default() };
    let fetch = pb::CacheImageOptions { podname: "q".into(), images: images(), ..Default::default() };
    let drop_images = pb::RemoveImageOptions { podname: "q".into(), images: images(), ..Default::default() };
    let replace = pb::ReplaceOptions { deploy_opt: Some(deploy()), ..Default::default() };
    let run = pb::RunAndWaitOptions { deploy_options: Some(deploy()), ..Default::default() };
    for (call, answer) in [
        ("GetPod", client().get_pod(pod).await.map(drop)),
        ("ListNetworks", client().list_networks(networks).await.map(drop)),
        ("ListImage", client().list_image(list).await.map(drop)),
        ("CacheImage", client().cache_image(fetch).await.map(drop)),
        ("RemoveImage", client().remove_image(drop_images).await.map(drop)),
        ("CalculateCapacity", client().calculate_capacity(deploy()).await.map(drop)),
        ("CreateWorkload", client().create_workload(deploy()).await.map(drop)),
        ("ReplaceWorkload", client().replace_workload(replace).await.map(drop)),
        ("RunAndWait", client().run_and_wait(tokio_stream::once(run)).await.map(drop)),
    ] {
        let status = answer.expect_err(call);
        assert_eq!(status.code(), Code::NotFound, "{call}");
        assert!(status.message().starts_with("bad `Count` value: key: /pod/info/q: "), "{call}: {status:?}");
    }
    core.stop().await;
}

/// As in the original: clients that list the nodes of a pod which is not there yet rely on it.
#[tokio::test]
async fn a_pod_that_is_not_there_has_no_nodes() {
    let core = start().await.with_nodes(&["n1"]).await;
    let client = || core.client.clone();
    let nodes = || pb::ListNodesOptions { podname: "q".into(), all: true, ..Default::default() };
    let pod = || pb::GetPodOptions { name: "q".into() };
    assert!(client().list_pod_nodes(nodes()).await.unwrap().into_inner().nodes.is_empty());
    assert!(client().get_pod_resource(pod()).await.unwrap().into_inner().nodes_resource.is_empty());
    let mut streamed = client().pod_nodes_stream(nodes()).await.unwrap().into_inner();
    assert_eq!(streamed.message().await.unwrap(), None);
    let mut streamed = client().pod_resource_stream(pod()).await.unwrap().into_inner();
    assert_eq!(streamed.message().await.unwrap(), None);
    core.stop().await;
}

#[tokio::test]
async fn a_node_is_registered_with_what_its_engine_says() {
    let mut core = start().await.with_nodes(&["n1"]).await;
    let added = core.client.add_node(node("n1")).await.unwrap_err();
    assert_eq!((added.code(), added.message()), (Code::AlreadyExists, "Key exists"));
    let no_pod = core.client.add_node(pb::AddNodeOptions { podname: "x".into(), ..node("n2") }).await.unwrap_err();
    assert_eq!(no_pod.code(), Code::NotFound);
    assert!(
        no_pod.message().starts_with("bad `Count` value: key: /pod/info/x: pod \"x\" does not exist"),
        "{no_pod:?}"
    );
    let down = pb::AddNodeOptions { endpoint: "fake://n2?down=1".into(), ..node("n2") };
    assert_eq!(core.client.add_node(down).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(
        core.client
            .get_node(pb::GetNodeOptions { nodename: "n2".into(), ..Default::default() })
            .await
            .unwrap_err()
            .code(),
        Code::NotFound,
        "nothing half-made stays behind"
    );

    let got = core.client.get_node(pb::GetNodeOptions { nodename: "n1".into(), ..Default::default() }).await.unwrap();
    let got = got.into_inner();
    assert_eq!((got.state.as_str(), got.available, got.memory, got.init_cpu.len()), ("new", false, 16 << 30, 8));
    let engine = core.client.get_node_engine(pb::GetNodeOptions { nodename: "n1".into(), ..Default::default() }).await;
    assert_eq!(engine.unwrap().into_inner().r#type, "fake");

    let list = |all, skip_info| pb::ListNodesOptions { podname: "p".into(), all, skip_info, ..Default::default() };
    let nodes = core.client.list_pod_nodes(list(false, false)).await.unwrap().into_inner().nodes;
    assert!(nodes.is_empty(), "a node without a sign of life is down");
    let nodes = core.client.list_pod_nodes(list(true, false)).await.unwrap().into_inner().nodes;
    assert!(nodes[0].info.contains(r#""Type":"fake""#), "{}", nodes[0].info);
    core.client.set_node_status(pb::SetNodeStatusOptions { nodename: "n1".into(), ttl: 60 }).await.unwrap();
    let nodes = core.client.list_pod_nodes(list(false, true)).await.unwrap().into_inner().nodes;
    assert_eq!((nodes.len(), nodes[0].available, nodes[0].state.as_str()), (1, true, "ready"));
    core.stop().await;
}

#[tokio::test]
async fn a_node_is_changed_wholly_or_not_at_all() {
    let mut core = start().await.with_nodes(&["n1"]).await;
    let set = pb::SetNodeOptions {
        nodename: "n1".into(),
        bypass_opt: pb::TriOpt::True.into(),
        delta_memory: 1 << 30,
        delta_cpu: BTreeMap::from([("0".into(), -100), ("8".into(), 100)]),
        labels: BTreeMap::from([("zone".into(), "a".into())]),
        ..Default::default()
    };
    let node = core.client.set_node(set.clone()).await.unwrap().into_inner();
    assert!(
        node.bypass
            && node.init_memory == 17 << 30
            && node.init_cpu.contains_key("8")
            && !node.init_cpu.contains_key("0")
    );
    let bad = pb::SetNodeOptions {
        nodename: "n1".into(),
        workloads_down: true,
        bypass_opt: pb::TriOpt::False.into(),
        delta_memory: -(100 << 30),
        ..Default::default()
    };
    let refused = core.client.set_node(bad).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert!(refused.message().starts_with("bad `Memory` value"), "{}", refused.message());
    let get = pb::GetNodeOptions { nodename: "n1".into(), ..Default::default() };
    let node = core.client.get_node(get.clone()).await.unwrap().into_inner();
    assert!(node.bypass && node.generation == 0 && node.state == "new");
    let down = pb::SetNodeOptions { nodename: "n1".into(), workloads_down: true, ..Default::default() };
    let node = core.client.set_node(down).await.unwrap().into_inner();
    assert_eq!((node.generation, node.state.as_str()), (1, "lost"));
    core.stop().await;
}

#[tokio::test]
async fn engines_are_opened_for_nodes_that_are_there_and_forgotten_with_them() {
    let mut core = start().await.with_nodes(&["n1", "n2"]).await;
    let engine = |name: &str| core.fakes.get(&NodeName::new(name).unwrap());
    let set = |node: &str, endpoint: &str| pb::SetNodeOptions {
        nodename: node.into(),
        endpoint: endpoint.into(),
        ..Default::default()
    };
    let mut client = core.client.clone();
    let unknown = client.set_node(set("ghost", "fake://ghost")).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound, "{unknown:?}");
    assert!(engine("ghost").is_none(), "nothing was made for a node that is not there");
    client.set_node(set("ghost", "fake://n1?down=1")).await.unwrap_err();
    engine("n1").unwrap().ping().await.expect("nobody turned the knobs of a live engine");
    let bad = client.set_node(set("n1", "fake://n1?nonsense=1")).await.unwrap_err();
    assert_eq!(bad.code(), Code::InvalidArgument, "{bad:?}");
    client.set_node(set("n1", "fake://n1?down=1")).await.unwrap();
    assert!(engine("n1").unwrap().ping().await.is_err(), "the node's own change takes effect at once");

    let engines = &core.handle.cluster.engines;
    assert_eq!(engines.open_len(), 2);
    client.set_node(set("n1", "fake://n2")).await.unwrap();
    assert_eq!(engines.open_len(), 1, "nobody has the former endpoint");
    client.remove_node(pb::RemoveNodeOptions { nodename: "n1".into() }).await.unwrap();
    assert_eq!(engines.open_len(), 1, "the other node has it still");
    core.client.remove_node(pb::RemoveNodeOptions { nodename: "n2".into() }).await.unwrap();
    assert_eq!(core.handle.cluster.engines.open_len(), 0);
    core.stop().await;
}
