//! A whole core in this process: embedded store in a folder of its own, simulated engines, a port of its own.
#![allow(dead_code, reason = "each test file uses a part of it")]
#![allow(clippy::unwrap_used, reason = "a test may fail")]

pub mod lagging;

use eru_api::{
    agent::agent_client::AgentClient,
    pb::{self, core_rpc_client::CoreRpcClient},
};
use eru_config::BindAddress;
use eru_core::{
    Core, CoreHandle, CoreOptions,
    options::{Listen, LivenessTimes, StoreClass},
};
use eru_kv::{Embedded, EmbeddedOptions};
use eru_runtime::FakeRegistry;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

/// How long a condition may take to become true.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct TestCore {
    pub handle: CoreHandle,
    pub client: CoreRpcClient<Channel>,
    pub agent: AgentClient<Channel>,
    pub fakes: Arc<FakeRegistry>,
    pub channel: Channel,
    shutdown: CancellationToken,
    running: JoinHandle<anyhow::Result<()>>,
    pub folder: Arc<tempfile::TempDir>,
}

/// A core with fast liveness on a new folder.
pub async fn start() -> TestCore {
    start_with(|_| ()).await
}

pub async fn start_with(change: impl FnOnce(&mut CoreOptions)) -> TestCore {
    start_on(Arc::new(tempfile::tempdir().unwrap()), Arc::new(FakeRegistry::new(None)), change).await
}

pub async fn start_on(
    folder: Arc<tempfile::TempDir>,
    fakes: Arc<FakeRegistry>,
    change: impl FnOnce(&mut CoreOptions),
) -> TestCore {
    // A core that was stopped a moment ago lets go of its folder when the last part of it is dropped.
    let kv = eventually("the folder to be free", || {
        let opened = Embedded::open(folder.path(), EmbeddedOptions::default());
        async move {
            match opened {
                Err(eru_kv::Error::Locked(_)) => None,
                opened => Some(opened.unwrap()),
            }
        }
    })
    .await;
    let mut options = CoreOptions::new(kv, StoreClass::Embedded, Listen::Address(BindAddress::loopback(0)));
    options.fakes = Some(fakes.clone());
    options.settings.liveness =
        LivenessTimes { beat: Duration::from_millis(700), lease: Duration::from_secs(2), ..LivenessTimes::default() };
    change(&mut options);
    let core = Core::build(options).await.unwrap();
    let handle = core.handle();
    let shutdown = CancellationToken::new();
    let running = tokio::spawn(core.run(shutdown.clone()));
    let channel = Channel::from_shared(format!("http://{}", handle.address)).unwrap().connect().await.unwrap();
    TestCore {
        client: CoreRpcClient::new(channel.clone()),
        agent: AgentClient::new(channel.clone()),
        channel,
        handle,
        fakes,
        shutdown,
        running,
        folder,
    }
}

impl TestCore {
    /// A pod `p` with the nodes `names`, simulated.
    pub async fn with_nodes(mut self, names: &[&str]) -> Self {
        self.client.add_pod(pb::AddPodOptions { name: "p".into(), desc: String::new() }).await.unwrap();
        for name in names {
            self.client.add_node(node(name)).await.unwrap();
        }
        self
    }

    /// Tells the core to stop and waits until it has.
    pub async fn stop(self) {
        self.shutdown.cancel();
        tokio::time::timeout(PATIENCE, self.running).await.expect("the core stops in time").unwrap().unwrap();
    }

    pub fn shut_down(&self) {
        self.shutdown.cancel();
    }
}

/// A simulated node of pod `p` with 8 cores and 16 GiB.
pub fn node(name: &str) -> pb::AddNodeOptions {
    pb::AddNodeOptions {
        nodename: name.into(),
        endpoint: format!("fake://{name}"),
        podname: "p".into(),
        cpu: 8,
        memory: 16 << 30,
        ..pb::AddNodeOptions::default()
    }
}

/// Waits until `condition` gives a value.
pub async fn eventually<T, F>(what: &str, mut condition: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let begun = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "{what} did not happen in {PATIENCE:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// `count` instances of `app_web` as plain commands of pod `p`.
pub fn deploy(app: &str, count: i32) -> pb::DeployOptions {
    pb::DeployOptions {
        name: app.into(),
        entrypoint: Some(pb::EntrypointOptions {
            name: "web".into(),
            command: "sleep 1000".into(),
            ..Default::default()
        }),
        podname: "p".into(),
        count,
        ..Default::default()
    }
}

impl TestCore {
    /// Deploys and answers the ids; every instance must succeed.
    pub async fn deployed(&mut self, options: pb::DeployOptions) -> Vec<String> {
        let mut ids = Vec::new();
        let mut stream = self.client.create_workload(options).await.unwrap().into_inner();
        while let Some(message) = stream.message().await.unwrap() {
            assert!(message.success, "{message:?}");
            ids.push(message.id);
        }
        ids
    }

    pub async fn status_of(&mut self, id: &str) -> pb::WorkloadStatus {
        let ids = vec![id.to_owned()];
        self.client.get_workloads_status(pb::WorkloadIDs { ids }).await.unwrap().into_inner().status.remove(0)
    }

    pub async fn node_state(&mut self, name: &str) -> (String, i64) {
        let get = pb::GetNodeOptions { nodename: name.into(), ..Default::default() };
        let node = self.client.get_node(get).await.unwrap().into_inner();
        (node.state, node.generation)
    }
}
