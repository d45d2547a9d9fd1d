//! A controller over a core in memory, and what a test asks of it.

use crate::fake_core::FakeCore;
use eru_api::controller::controller_client::ControllerClient;
use eru_api::controller::{ApplyRequest, GetRequest, ReplicaSet, ReplicaSetSpec, Strategy};
use eru_api::pb;
use eru_client::ClientOptions;
use eru_controller::{Controller, ControllerOptions, Error, Handle, StoreChoice};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

/// Longest time that anything here may take.
pub const PATIENCE: Duration = Duration::from_secs(20);

pub struct World {
    pub core: FakeCore,
    pub core_address: String,
    pub folder: tempfile::TempDir,
    pub _core_stops: tokio_util::sync::DropGuard,
}

pub struct Running {
    pub api: ControllerClient<Channel>,
    pub shutdown: CancellationToken,
    pub task: JoinHandle<Result<(), Error>>,
}

impl World {
    pub async fn new() -> Self {
        let stop = CancellationToken::new();
        let (core, address) = FakeCore::start(stop.clone()).await;
        let folder = tempfile::tempdir().expect("a temporary folder");
        Self { core, core_address: address.to_string(), folder, _core_stops: stop.drop_guard() }
    }

    pub async fn controller(&self) -> Running {
        start(self.folder.path(), &self.core_address).await
    }

    pub fn ids(&self) -> BTreeSet<String> {
        self.core.workloads().into_iter().map(|workload| workload.id).collect()
    }

    pub fn epochs(&self) -> Vec<String> {
        self.core.workloads().iter().map(|workload| workload.labels["replicaset.epoch"].clone()).collect()
    }
}

pub async fn start(folder: &Path, core: &str) -> Running {
    start_on(StoreChoice::Folder(folder.to_owned()), core).await.leading().await
}

pub async fn start_on(store: StoreChoice, core: &str) -> Waiting {
    let options = ControllerOptions {
        core: vec![core.to_owned()],
        client: ClientOptions::default(),
        listen: "127.0.0.1:0".parse().expect("an address"),
        store,
        identity: "test".into(),
    };
    let controller = Controller::build(options).await.expect("it builds");
    let handle = controller.handle();
    let shutdown = CancellationToken::new();
    let task = tokio::spawn(controller.run(shutdown.clone()));
    let api = ControllerClient::connect(format!("http://{}", handle.address())).await.expect("it listens");
    Waiting { handle, running: Running { api, shutdown, task } }
}

/// A controller that may not lead yet.
pub struct Waiting {
    pub handle: Handle,
    pub running: Running,
}

impl Waiting {
    pub async fn leading(self) -> Running {
        tokio::time::timeout(PATIENCE, self.handle.leading()).await.expect("it leads");
        self.running
    }
}

impl Running {
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.expect("it does not panic").expect("it ends well");
    }

    pub async fn apply(&mut self, spec: ReplicaSetSpec) -> ReplicaSet {
        let request = ApplyRequest { spec: Some(spec), expect_generation: 0 };
        self.api.apply(request).await.expect("it is applied").into_inner()
    }

    pub async fn get(&mut self, name: &str) -> ReplicaSet {
        self.api.get(GetRequest { name: name.into() }).await.expect("it is there").into_inner()
    }

    /// Waits until the set is as wanted.
    pub async fn until(&mut self, name: &str, what: &str, is: impl Fn(&ReplicaSet) -> bool) -> ReplicaSet {
        let start = Instant::now();
        loop {
            let set = self.get(name).await;
            if is(&set) {
                return set;
            }
            assert!(start.elapsed() < PATIENCE, "{name} is not {what}: {set:#?}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    pub async fn until_healthy(&mut self, name: &str) -> ReplicaSet {
        self.until(name, "healthy", |set| phase(set) == "healthy").await
    }
}

pub async fn eventually(what: &str, is: impl Fn() -> bool) {
    let start = Instant::now();
    while !is() {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub fn phase(set: &ReplicaSet) -> &str {
    set.status.as_ref().map_or("", |status| &status.phase)
}

pub fn spec(name: &str, count: i32) -> ReplicaSetSpec {
    let entrypoint = pb::EntrypointOptions { name: "web".into(), command: "serve".into(), ..Default::default() };
    let template = pb::DeployOptions { entrypoint: Some(entrypoint), ..Default::default() };
    let strategy = Strategy {
        min_healthy_ms: 30,
        unhealthy_after_ms: 50,
        return_settle_ms: 50,
        healthy_deadline_ms: 300,
        ..Default::default()
    };
    ReplicaSetSpec {
        name: name.into(),
        appname: "shop".into(),
        podname: "local".into(),
        count,
        template: Some(template),
        strategy: Some(strategy),
        ..Default::default()
    }
}

pub fn with_command(mut spec: ReplicaSetSpec, command: &str) -> ReplicaSetSpec {
    let template = spec.template.as_mut().expect("it has one");
    template.entrypoint.as_mut().expect("it has one").command = command.into();
    spec
}
