//! The port on a Docker daemon.

use super::{
    call::Call,
    connect::Peer,
    events::Gaps,
    facts::{self, DaemonInfo, Facts},
    fault::Fault,
    options::{DockerOptions, Endpoint},
    target::Target,
    transport::Transport,
};
use crate::port::*;
use async_trait::async_trait;
use bytes::Bytes;
use eru_types::{EngineId, ExitStatus, Labels, WorkloadName};
use futures::stream::BoxStream;
use parking_lot::Mutex;
use std::{fmt, net::IpAddr, sync::Arc, time::Duration};

/// A Docker daemon. Cheap to make: the first call connects. Clones share their connections.
#[derive(Clone)]
pub struct Docker {
    pub(super) options: DockerOptions,
    pub(super) transport: Transport,
    pub(super) gaps: Arc<Gaps>,
    known: Arc<Mutex<Option<Known>>>,
}

/// The facts of a daemon, and which one it was.
struct Known {
    daemon: (u64, Peer),
    facts: Arc<Facts>,
}

impl Docker {
    /// The daemon that `options` name. No IO.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an endpoint or certificates that are none, by name.
    pub fn connect(options: DockerOptions) -> Result<Self> {
        let transport = Transport::new(Endpoint::new(&options)?, options.answer_within);
        Ok(Self { options, transport, gaps: Arc::default(), known: Arc::default() })
    }

    /// Where it is.
    pub fn endpoint(&self) -> &str {
        &self.options.endpoint
    }

    /// The address that workloads on the machine's own network are shown with.
    pub(super) fn host_address(&self) -> IpAddr {
        facts::host_address(&self.options, self.transport.connector())
    }

    /// What a create must know. One round trip for each daemon that answers.
    pub(super) async fn facts(&self) -> Result<Arc<Facts>> {
        if let Some(Known { daemon, facts }) = &*self.known.lock()
            && *daemon == self.daemon()
        {
            return Ok(facts.clone());
        }
        let info = self.daemon_info().await?;
        Ok(self.learn(Facts::new(&info, self.transport.connector())))
    }

    /// Remembers what was found out of the daemon that answers now.
    pub(super) fn learn(&self, facts: Facts) -> Arc<Facts> {
        let facts = Arc::new(facts);
        *self.known.lock() = Some(Known { daemon: self.daemon(), facts: facts.clone() });
        facts
    }

    /// Which daemon answers now, as far as that can be told.
    fn daemon(&self) -> (u64, Peer) {
        (self.transport.generation(), self.transport.connector().peer())
    }

    pub(super) async fn daemon_info(&self) -> Result<DaemonInfo> {
        self.transport.json(Call::get(Target::new(&["info"]))).await.map_err(|fault| self.error(fault))
    }

    /// What the port says of a fault that concerns no workload.
    pub(super) fn error(&self, fault: Fault) -> Error {
        fault.into_error(&self.options.endpoint)
    }

    /// What the port says of a fault that concerns this workload.
    pub(super) fn error_of(&self, id: &EngineId) -> impl Fn(Fault) -> Error {
        move |fault| fault.of_workload(&self.options.endpoint, id)
    }
}

impl fmt::Debug for Docker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Docker").field("options", &self.options).finish_non_exhaustive()
    }
}

#[async_trait]
impl Runtime for Docker {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Docker
    }

    async fn info(&self) -> Result<Info> {
        let info = self.daemon_info().await?;
        Ok(Info {
            storage_bytes: facts::storage_bytes(&info, self.transport.connector().endpoint()),
            id: info.id,
            cores: info.cores,
            memory_bytes: u64::try_from(info.mem_total).unwrap_or(0),
        })
    }

    async fn ping(&self) -> Result<()> {
        self.transport.done(Call::get(Target::new(&["_ping"]))).await.map_err(|fault| self.error(fault))
    }

    async fn create(&self, request: &CreateRequest) -> Result<EngineId> {
        self.create_container(request).await
    }

    async fn start(&self, id: &EngineId) -> Result<()> {
        self.start_container(id).await
    }

    async fn stop(&self, id: &EngineId, grace: Duration) -> Result<()> {
        self.stop_container(id, grace).await
    }

    async fn remove(&self, id: &EngineId, force: bool) -> Result<()> {
        self.remove_container(id, force).await
    }

    async fn inspect(&self, id: &EngineId) -> Result<Inspection> {
        self.inspect_container(id).await
    }

    async fn find(&self, name: &WorkloadName) -> Result<Option<EngineId>> {
        self.find_container(name).await
    }

    async fn list(&self, labels: &Labels) -> Result<Vec<Inspection>> {
        self.list_containers(labels).await
    }

    async fn events(&self) -> Result<BoxStream<'static, Event>> {
        self.container_events().await
    }

    async fn logs(&self, id: &EngineId, options: LogOptions) -> Result<BoxStream<'static, Result<LogLine>>> {
        self.container_logs(id, options).await
    }

    async fn last_lines(&self, id: &EngineId, lines: usize) -> Result<Vec<String>> {
        self.last_log_lines(id, lines).await
    }

    async fn send_files(&self, id: &EngineId, files: &[SentFile]) -> Result<()> {
        self.put_files(id, files).await
    }

    async fn copy_from(&self, id: &EngineId, path: &str) -> Result<BoxStream<'static, Result<Bytes>>> {
        self.get_files(id, path).await
    }

    async fn exec(&self, id: &EngineId, request: &ExecRequest) -> Result<Session> {
        self.exec_inside(id, request).await
    }

    async fn attach(&self, id: &EngineId) -> Result<Session> {
        self.attach_container(id).await
    }

    async fn wait(&self, id: &EngineId) -> Result<ExitStatus> {
        self.wait_container(id).await
    }

    async fn image(&self, name: &str) -> Result<Option<Image>> {
        self.find_image(name).await
    }

    async fn images(&self, filter: &str) -> Result<Vec<Image>> {
        self.list_images(filter).await
    }

    async fn pull(
        &self,
        name: &str,
        login: Option<&RegistryLogin>,
    ) -> Result<BoxStream<'static, Result<PullProgress>>> {
        self.pull_image(name, login).await
    }

    async fn remove_image(&self, name: &str) -> Result<Vec<String>> {
        self.delete_image(name).await
    }

    async fn prune_images(&self) -> Result<()> {
        self.delete_dangling_images().await
    }

    async fn networks(&self, driver: &str) -> Result<Vec<Network>> {
        self.list_networks(driver).await
    }

    async fn connect(&self, network: &str, id: &EngineId, ipv4: &str, ipv6: &str) -> Result<Vec<String>> {
        self.join_network(network, id, ipv4, ipv6).await
    }

    async fn disconnect(&self, network: &str, id: &EngineId, force: bool) -> Result<()> {
        self.leave_network(network, id, force).await
    }
}
