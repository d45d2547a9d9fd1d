//! Deploying through core, in this process: so that the moment at which a plan is committed can be seen.

use crate::{cluster::POD, table::Table};
use anyhow::{Result, ensure};
use eru_api::pb::{self, core_rpc_client::CoreRpcClient};
use eru_config::BindAddress;
use eru_core::{Core, CoreOptions, Listen, StoreClass, fault::Faults};
use eru_kv::{Embedded, EmbeddedOptions, Etcd, EtcdOptions, Kv};
use eru_runtime::FakeRegistry;
use eru_testkit::{Percentiles, etcd::EtcdServer};
use futures::{StreamExt, TryStreamExt};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

type Client = CoreRpcClient<Channel>;

/// Where a deploy is once its plan is committed.
const COMMITTED: &str = "deploy.planned";
/// Deploys that the median is taken of.
const ROUNDS: usize = 201;
/// Nodes that are added at a time.
const ADDS_AT_A_TIME: usize = 64;

/// Cores of one store, which end with it.
#[derive(Default)]
struct Cores {
    shutdown: CancellationToken,
    running: JoinSet<Result<()>>,
    fakes: Option<Arc<FakeRegistry>>,
}

impl Cores {
    async fn start(&mut self, kv: Arc<dyn Kv>, store: StoreClass, faults: Faults) -> Result<Client> {
        let fakes = self.fakes.get_or_insert_with(|| Arc::new(FakeRegistry::new(None)));
        let mut options = CoreOptions::new(kv, store, Listen::Address(BindAddress::loopback(0)));
        options.fakes = Some(fakes.clone());
        options.faults = faults;
        let core = Core::build(options).await?;
        let address = format!("http://{}", core.handle().address);
        self.running.spawn(core.run(self.shutdown.clone()));
        Ok(Client::new(Channel::from_shared(address)?.tcp_nodelay(true).connect().await?))
    }

    async fn stop(mut self) -> Result<()> {
        self.shutdown.cancel();
        while let Some(ended) = self.running.join_next().await {
            ended??;
        }
        Ok(())
    }
}

/// One instance into a pod of ten thousand nodes, on an embedded store.
pub(super) async fn one_instance(table: &mut Table) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let committed = Arc::new(Mutex::new(None));
    let note = committed.clone();
    let hook = move |point: &'static str| {
        if point == COMMITTED {
            *note.lock().expect("nobody panics with it") = Some(Instant::now());
        }
        false
    };
    let mut cores = Cores::default();
    let kv = Embedded::open(folder.path(), EmbeddedOptions::default())?;
    let mut client = cores.start(kv, StoreClass::Embedded, Faults::with_hook(Arc::new(hook))).await?;
    add_nodes(&client, 10_000, 24).await?;
    deploy(&mut client, "warm", 10, 1.3).await?;
    let (mut plans, mut wholes): (Vec<Duration>, Vec<Duration>) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let begin = Instant::now();
        deploy(&mut client, "app", 1, 1.3).await?;
        wholes.push(begin.elapsed());
        let committed = committed.lock().expect("nobody panics with it").take();
        plans.extend(committed.map(|at| at - begin));
    }
    ensure!(plans.len() == ROUNDS, "{} of {ROUNDS} plans were seen to be committed", plans.len());
    let what = "one instance of 1.3 bound cores into a pod of 10 000 nodes, embedded store";
    table.row(
        format!("{what}: from gRPC call to committed plan"),
        "<= 10 ms median",
        Percentiles::new(plans).to_string(),
    );
    table.row(format!("{what}: to the answer that it runs"), "-", Percentiles::new(wholes).to_string());
    cores.stop().await
}

/// Eight cores on one etcd, which fill fifty nodes to the last core.
pub(super) async fn eight_cores(table: &mut Table) -> Result<()> {
    const CORES: usize = 8;
    const NODES: usize = 50;
    const NODE_CPUS: i32 = 64;
    const DEPLOYS: usize = 40;
    const INSTANCES: i32 = NODES as i32 * NODE_CPUS / (CORES * DEPLOYS) as i32;

    let etcd = EtcdServer::start().await?;
    let (mut cores, mut clients) = (Cores::default(), Vec::new());
    for _ in 0..CORES {
        let options = EtcdOptions { endpoints: vec![etcd.endpoint.clone()], ..EtcdOptions::default() };
        clients.push(cores.start(Etcd::connect(options).await?, StoreClass::Etcd, Faults::default()).await?);
    }
    add_nodes(&clients[0], NODES, NODE_CPUS).await?;
    let begin = Instant::now();
    let mut deploys = JoinSet::new();
    for (number, mut client) in clients.into_iter().enumerate() {
        deploys.spawn(async move {
            for turn in 0..DEPLOYS {
                deploy(&mut client, &format!("a{number}x{turn}"), INSTANCES, 1.0).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = deploys.join_next().await {
        done??;
    }
    let took = begin.elapsed().as_secs_f64();
    let all = f64::from(INSTANCES) * (CORES * DEPLOYS) as f64;
    table.row(
        format!("{CORES} cores on one etcd fill {NODES} nodes, {INSTANCES} bound instances a call"),
        "none fails",
        format!("{:.0}/s, {all} instances in {took:.2} s", all / took),
    );
    cores.stop().await
}

async fn add_nodes(client: &Client, nodes: usize, cpu: i32) -> Result<()> {
    client.clone().add_pod(pb::AddPodOptions { name: POD.into(), desc: String::new() }).await?;
    let adds = (0..nodes).map(|n| {
        let mut client = client.clone();
        async move {
            let options = pb::AddNodeOptions {
                nodename: format!("n{n:05}"),
                endpoint: format!("fake://n{n:05}?engine=stays"),
                podname: POD.into(),
                memory: 1 << 37,
                cpu,
                ..Default::default()
            };
            client.add_node(options).await?;
            anyhow::Ok(())
        }
    });
    futures::stream::iter(adds).buffer_unordered(ADDS_AT_A_TIME).try_collect().await
}

/// Deploys instances with cores of their own; every one must run.
async fn deploy(client: &mut Client, app: &str, count: i32, cores: f64) -> Result<()> {
    let options = pb::DeployOptions {
        name: app.into(),
        entrypoint: Some(pb::EntrypointOptions { name: "web".into(), command: "serve".into(), ..Default::default() }),
        podname: POD.into(),
        image: "bench/image:1".into(),
        count,
        resource_opts: Some(pb::ResourceOptions {
            cpu_quota_request: cores,
            cpu_bind: true,
            memory_request: 1 << 20,
            ..Default::default()
        }),
        ..Default::default()
    };
    let messages: Vec<_> = client.create_workload(options).await?.into_inner().try_collect().await?;
    if let Some(failed) = messages.iter().find(|m| !m.success) {
        anyhow::bail!("an instance failed: {}", failed.error);
    }
    ensure!(messages.len() as i64 == i64::from(count), "{} of {count} instances", messages.len());
    Ok(())
}
