//! Networks of engines.

use super::{engine, support};
use eru_api::pb::{self, ConnectNetworkOptions, DisconnectNetworkOptions, ListNetworkOptions, SetNodeOptions};
use support::{TestCore, deploy, start};
use tonic::{Code, Status};

async fn list(core: &TestCore, pod: &str, driver: &str) -> Result<Vec<(String, Vec<String>)>, Status> {
    let options = ListNetworkOptions { podname: pod.into(), driver: driver.into() };
    let networks = core.client.clone().list_networks(options).await?.into_inner().networks;
    Ok(networks.into_iter().map(|network| (network.name, network.subnets)).collect())
}

#[tokio::test]
async fn the_first_node_that_answers_and_has_networks_is_asked() {
    let mut core = start().await;
    core.client.add_pod(pb::AddPodOptions { name: "p".into(), desc: String::new() }).await.unwrap();
    let empty = list(&core, "p", "").await.unwrap_err();
    assert_eq!((empty.code(), empty.message()), (Code::FailedPrecondition, "pod has no nodes: p"));
    for name in ["n1", "n2", "n3"] {
        core.client.add_node(support::node(name)).await.unwrap();
    }
    let own = ("fake".to_owned(), vec!["10.0.0.0/8".to_owned()]);
    assert_eq!(list(&core, "p", "").await.unwrap(), [own]);
    engine(&core, "n1").set_down(true);
    engine(&core, "n2").clear_networks();
    engine(&core, "n3").add_network("net1", "overlay", "172.30.0.0/24");
    assert_eq!(list(&core, "p", "overlay").await.unwrap(), [("net1".into(), vec!["172.30.0.0/24".into()])]);
    assert_eq!(list(&core, "p", "").await.unwrap().len(), 2);
    assert_eq!(list(&core, "p", "nosuch").await.unwrap(), []);
    for node in ["n2", "n3"] {
        engine(&core, node).set_down(true);
    }
    assert_eq!(list(&core, "p", "").await.unwrap_err().code(), Code::Unavailable);
    assert!(list(&core, "p", "a b").await.unwrap_err().message().contains("driver must be"));
    core.stop().await;
}

#[tokio::test]
async fn workloads_join_and_leave() {
    let mut core = start().await.with_nodes(&["n1"]).await;
    let id = core.deployed(deploy("app", 1)).await.remove(0);
    engine(&core, "n1").add_network("net1", "bridge", "172.30.0.0/24");
    let connect = |network: &str, target: &str, ipv4: &str| ConnectNetworkOptions {
        network: network.into(),
        target: target.into(),
        ipv4: ipv4.into(),
        ipv6: String::new(),
    };
    let joined = core.client.connect_network(connect("net1", &id, "172.30.0.9")).await.unwrap().into_inner();
    assert_eq!((joined.name.as_str(), joined.subnets), ("net1", vec!["172.30.0.9".to_owned()]));
    for (bad, code, part) in [
        (connect("net1", &id, ""), Code::InvalidArgument, "already"),
        (connect("nonet", &id, ""), Code::InvalidArgument, "no network \"nonet\""),
        (connect("net1", "nope", ""), Code::NotFound, "bad `Count` value: key: /workloads/nope"),
        (connect("net1", &id, "1.2.3"), Code::InvalidArgument, "ipv4: bad IP address: 1.2.3"),
    ] {
        let status = core.client.connect_network(bad).await.unwrap_err();
        assert!(status.code() == code && status.message().contains(part), "{status:?} lacks {part}");
    }
    let leave = |network: &str| DisconnectNetworkOptions { network: network.into(), target: id.clone(), force: false };
    core.client.disconnect_network(leave("net1")).await.unwrap();
    let status = core.client.disconnect_network(leave("net1")).await.unwrap_err();
    assert!(status.message().contains("is not in network \"net1\""), "{status:?}");
    engine(&core, "n1").set_down(true);
    assert_eq!(core.client.disconnect_network(leave("fake")).await.unwrap_err().code(), Code::Unavailable);
    core.stop().await;
}

#[tokio::test]
async fn a_node_that_is_held_to_be_dead_is_not_asked() {
    let mut core = start().await.with_nodes(&["n1", "n2"]).await;
    engine(&core, "n1").add_network("net1", "bridge", "172.30.0.0/24");
    engine(&core, "n2").add_network("net2", "bridge", "172.31.0.0/24");
    let names = async |core: &TestCore| {
        let networks = list(core, "p", "bridge").await?;
        Ok::<_, Status>(networks.iter().any(|(name, _)| name == "net1"))
    };
    assert!(names(&core).await.unwrap());
    let down = |node: &str| SetNodeOptions { nodename: node.into(), workloads_down: true, ..Default::default() };
    core.client.set_node(down("n1")).await.unwrap();
    assert!(!names(&core).await.unwrap());
    core.client.set_node(down("n2")).await.unwrap();
    assert_eq!(names(&core).await.unwrap_err().message(), "node \"n2\" is lost");
    core.stop().await;
}
