//! What is refused, and in which words.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use eru_api::pb;
use support::{TestCore, deploy, start};
use tonic::Code;

/// The only message of a deploy.
async fn only(core: &mut TestCore, options: pb::DeployOptions) -> pb::CreateWorkloadMessage {
    let mut stream = core.client.create_workload(options).await.unwrap().into_inner();
    let message = stream.message().await.unwrap().unwrap();
    assert_eq!(stream.message().await.unwrap(), None);
    message
}

#[tokio::test]
async fn a_deploy_that_is_refused_is_one_message_as_in_the_original_and_says_the_code() {
    let mut core = start().await.with_nodes(&["n1"]).await;
    let names = |includes: &[&str]| {
        let includes = includes.iter().map(|name| (*name).to_owned()).collect();
        Some(pb::NodeFilter { includes, ..Default::default() })
    };
    let huge = pb::ResourceOptions { memory_request: 900 << 40, memory_limit: 900 << 40, ..Default::default() };
    core.client.add_pod(pb::AddPodOptions { name: "empty".into(), ..Default::default() }).await.unwrap();
    for (options, code) in [
        (pb::DeployOptions { node_filter: names(&["zz"]), ..deploy("app", 1) }, Code::NotFound),
        (pb::DeployOptions { resource_opts: Some(huge), ..deploy("app", 1) }, Code::ResourceExhausted),
    ] {
        let message = only(&mut core, options).await;
        assert!(!message.success && !message.error.is_empty(), "{message:?}");
        assert_eq!(Code::from(message.code), code, "{message:?}");
    }
    let made = only(&mut core, deploy("app", 1)).await;
    assert!(made.success && made.code == 0, "{made:?}");
    core.stop().await;
}

#[tokio::test]
async fn a_refusal_begins_as_the_originals_and_names_what_is_in_the_way() {
    let mut core = start().await.with_nodes(&["n1"]).await;
    core.deployed(deploy("app", 2)).await;
    let remove_node = |name: &str| pb::RemoveNodeOptions { nodename: name.into() };
    let remove_pod = || pb::RemovePodOptions { name: "p".into() };
    let used = core.client.remove_node(remove_node("n1")).await.unwrap_err();
    assert_eq!(used.code(), Code::FailedPrecondition);
    let want =
        "node not empty, still has workloads associated: 2 on node \"n1\"; `eru-cli node workloads n1` lists them";
    assert!(used.message().starts_with(want), "{}", used.message());
    let one = core.client.remove_pod(remove_pod()).await.unwrap_err();
    assert_eq!(one.code(), Code::FailedPrecondition);
    let want = "pod has nodes: pod p still has 1 node, delete it first: n1; `eru-cli node remove NODE`";
    assert_eq!(one.message(), want);
    for n in 2..=7 {
        core.client.add_node(support::node(&format!("n{n}"))).await.unwrap();
    }
    let many = core.client.remove_pod(remove_pod()).await.unwrap_err();
    let want = "pod has nodes: pod p still has 7 nodes, delete them first: n1, n2, n3, n4, n5, ...; `eru-cli";
    assert!(many.message().starts_with(want), "{}", many.message());
    let unknown = core.client.remove_node(remove_node("zz")).await.unwrap_err();
    let want =
        "bad `Count` value: key: /node/zz: node \"zz\" does not exist; `eru-cli node add --nodename zz POD` adds it";
    assert_eq!((unknown.code(), unknown.message()), (Code::NotFound, want));
    let get = pb::GetPodOptions { name: "zz".into() };
    let unknown = core.client.get_pod(get).await.unwrap_err();
    let want = "bad `Count` value: key: /pod/info/zz: pod \"zz\" does not exist; `eru-cli pod list` lists all, ";
    assert!(unknown.code() == Code::NotFound && unknown.message().starts_with(want), "{}", unknown.message());
    core.stop().await;
}
