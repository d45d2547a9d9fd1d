//! Eight cores on one etcd deploy onto the same nodes at once: never over-booked, and nothing fails that fits.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use eru_api::pb;
use eru_config::BindAddress;
use eru_core::{
    Core, CoreOptions,
    options::{Listen, StoreClass},
};
use eru_kv::{Etcd, EtcdOptions};
use eru_runtime::FakeRegistry;
use eru_testkit::etcd::EtcdServer;
use std::{collections::BTreeMap, sync::Arc, time::Instant};
use support::PATIENCE;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

type Client = pb::core_rpc_client::CoreRpcClient<Channel>;

const CORES: usize = 8;
const NODES: usize = 50;
/// Whole cores of a node.
const NODE_CPUS: i32 = 8;
const DEPLOYS: usize = 25;
/// So that all deploys of all cores together take every core of every node: the last one that fits has one place left.
const INSTANCES: i32 = (NODES as i32 * NODE_CPUS) / (CORES * DEPLOYS) as i32;

struct Cores {
    clients: Vec<Client>,
    shutdown: CancellationToken,
    running: JoinSet<anyhow::Result<()>>,
    _etcd: EtcdServer,
}

async fn start() -> Cores {
    let etcd = EtcdServer::start().await.unwrap();
    let fakes = Arc::new(FakeRegistry::new(None));
    let (shutdown, mut running, mut clients) = (CancellationToken::new(), JoinSet::new(), Vec::new());
    for _ in 0..CORES {
        let options = EtcdOptions { endpoints: vec![etcd.endpoint.clone()], ..EtcdOptions::default() };
        let kv = Etcd::connect(options).await.unwrap();
        let mut options = CoreOptions::new(kv, StoreClass::Etcd, Listen::Address(BindAddress::loopback(0)));
        options.fakes = Some(fakes.clone());
        let core = Core::build(options).await.unwrap();
        let address = format!("http://{}", core.handle().address);
        running.spawn(core.run(shutdown.clone()));
        clients.push(Client::new(Channel::from_shared(address).unwrap().connect().await.unwrap()));
    }
    Cores { clients, shutdown, running, _etcd: etcd }
}

fn deploy(app: &str) -> pb::DeployOptions {
    let resources =
        pb::ResourceOptions { cpu_quota_request: 1.0, cpu_bind: true, memory_request: 1 << 20, ..Default::default() };
    pb::DeployOptions { resource_opts: Some(resources), ..support::deploy(app, INSTANCES) }
}

/// Deploys and answers the node and cores of each instance; every one must succeed.
async fn deployed(client: &mut Client, options: pb::DeployOptions) -> Vec<(String, BTreeMap<String, i32>)> {
    let mut placed = Vec::new();
    let mut stream = client.create_workload(options).await.unwrap().into_inner();
    while let Some(message) = stream.message().await.unwrap() {
        assert!(message.success, "it fits, but: {message:?}");
        placed.push((message.nodename, message.resource.unwrap_or_default().cpu));
    }
    placed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_cores_on_etcd_never_overbook_and_nothing_fails_that_fits() {
    if !EtcdServer::is_installed() {
        println!("skipped: etcd is not installed");
        return;
    }
    let mut cores = start().await;
    let first = &mut cores.clients[0];
    first.add_pod(pb::AddPodOptions { name: "p".into(), desc: String::new() }).await.unwrap();
    for number in 0..NODES {
        let node = pb::AddNodeOptions { cpu: NODE_CPUS, ..support::node(&format!("n{number:02}")) };
        first.add_node(node).await.unwrap();
    }
    let begun = Instant::now();
    let mut deploys = JoinSet::new();
    for (number, client) in cores.clients.iter().enumerate() {
        let mut client = client.clone();
        deploys.spawn(async move {
            let mut placed = Vec::new();
            for turn in 0..DEPLOYS {
                placed.extend(deployed(&mut client, deploy(&format!("a{number}x{turn}"))).await);
            }
            placed
        });
    }
    let mut taken: BTreeMap<(String, String), i32> = BTreeMap::new();
    let mut instances = 0;
    while let Some(placed) = deploys.join_next().await {
        for (node, cpus) in placed.unwrap() {
            instances += 1;
            assert_eq!(cpus.values().sum::<i32>(), 100, "{node}: {cpus:?}");
            for (cpu, pieces) in cpus {
                *taken.entry((node.clone(), cpu)).or_default() += pieces;
            }
        }
    }
    let took = begun.elapsed();
    assert!(taken.values().all(|pieces| *pieces == 100), "a core was given away twice: {taken:?}");
    assert_eq!(taken.len(), NODES * NODE_CPUS as usize, "every core is taken");
    println!(
        "{CORES} cores, {NODES} nodes: {instances} instances in {took:.2?}, {:.0}/s",
        f64::from(instances) / took.as_secs_f64()
    );

    // What each core says of the nodes, and that nothing more fits.
    for client in &mut cores.clients {
        let listing = pb::ListNodesOptions { podname: "p".into(), all: true, ..Default::default() };
        for node in client.list_pod_nodes(listing).await.unwrap().into_inner().nodes {
            assert!(node.cpu.values().all(|pieces| *pieces == 0), "{node:?}");
        }
        let get = pb::GetNodeResourceOptions {
            opts: Some(pb::GetNodeOptions { nodename: "n00".into(), ..Default::default() }),
            fix: false,
        };
        let resource = client.get_node_resource(get).await.unwrap().into_inner();
        assert_eq!((resource.cpu_percent, resource.diffs.len()), (1.0, 0), "{resource:?}");
    }
    let one_more = pb::DeployOptions { count: 1, ..deploy("more") };
    let refused = cores.clients[3].calculate_capacity(one_more).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    assert!(refused.message().ends_with("not enough resource: 50 nodes: no 1 free cores"), "{}", refused.message());
    assert!(!refused.details().is_empty(), "the reasons are in the details");

    cores.shutdown.cancel();
    while let Some(ended) = tokio::time::timeout(PATIENCE, cores.running.join_next()).await.expect("they stop in time")
    {
        ended.unwrap().unwrap();
    }
}
