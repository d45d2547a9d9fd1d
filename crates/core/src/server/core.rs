//! A core: built, run, joined.

use super::{accept, registration::Registration, router};
use crate::{
    cache::Cache,
    cluster::{
        Cluster,
        agent::Agents,
        engines::Engines,
        lambda::Runs,
        pool::Pools,
        status::{StatusService, StatusWriter},
        tasks::{Tasks, TasksOptions},
    },
    liveness::Liveness,
    options::{Auth, CoreOptions, Listen, ServerLimits},
    parts::Parts,
    record::CoreRecord,
    recovery::{self, RecoveryOptions},
    rpc,
    watch::serve::{List, intercept},
};
use eru_api::{FILE_DESCRIPTOR_SET, agent::agent_server::AgentServer, pb::core_rpc_server::CoreRpcServer};
use rand::Rng;
use sha1::{Digest, Sha1};
use std::{fmt::Write as _, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{server::NamedService, transport::Server};

/// Largest header list of a call, in bytes: ours are below one kilobyte.
const HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;
/// How often a silent connection is asked whether it is there, and how long it may take to answer.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Streams that a client may reset faster than we accept them, before its connection is ended (CVE-2023-44487).
const PENDING_RESETS_MAX: usize = 64;
/// How long calls may take to end when nothing is left that they wait for.
const CUT_OFF: Duration = Duration::from_secs(1);

/// Why a core could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The address cannot be bound.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The store did not do as asked.
    #[error("cannot start on this store")]
    Store(#[from] eru_kv::Error),
    /// The services could not be put together.
    #[error("cannot offer reflection: {0}")]
    Reflection(String),
}

/// A core that was built and does not run yet.
pub struct Core {
    listener: TcpListener,
    address: SocketAddr,
    auth: Option<Auth>,
    limits: ServerLimits,
    cluster: Arc<Cluster>,
    registration: Registration,
    statuses: StatusService,
    liveness: Liveness,
    service: rpc::CoreService,
    recovery: RecoveryOptions,
    /// What runs already.
    parts: Parts,
    /// Cancelled when calls are to end.
    stopping: CancellationToken,
    /// Cancelled when no call is left: what serves them may end.
    quiet: CancellationToken,
}

/// What the process that runs a core may ask it directly. Cheap to clone.
#[derive(Clone)]
pub struct CoreHandle {
    /// Where the API listens.
    pub address: SocketAddr,
    /// The cluster.
    pub cluster: Arc<Cluster>,
}

impl Core {
    /// Binds the address, loads the cache and registers with the store.
    ///
    /// # Errors
    /// [`BuildError`].
    pub async fn build(options: CoreOptions) -> Result<Self, BuildError> {
        let listener = listen(options.listen).await?;
        let address = listener.local_addr().map_err(|source| BuildError::Listen { address: "?".into(), source })?;
        if options.auth.is_none() && !address.ip().is_loopback() {
            tracing::warn!(%address, "everybody who reaches this address may do everything: set auth.username and auth.password");
        }
        let quiet = CancellationToken::new();
        let kv = options.kv;
        let mut parts = Parts::default();
        let (cache, feed) = Cache::load(kv.clone(), options.cache, quiet.clone()).await?;
        parts.spawn("cache", feed);
        let instance = hex(&rand::rng().random::<[u8; 8]>());
        let record = CoreRecord {
            instance: instance.clone(),
            address: options.advertise.unwrap_or_else(|| address.to_string()),
        };
        let settings = options.settings;
        let registration =
            Registration::register(kv.clone(), record, settings.service_heartbeat, options.store.is_alone()).await?;
        let (writer, statuses) = StatusWriter::new(kv.clone(), cache.clone());
        let core_id = hex(&Sha1::digest(kv.identity().id.as_bytes()));
        let tasks = TasksOptions {
            kv: kv.clone(),
            cache: cache.clone(),
            instance: instance.clone(),
            core_id: core_id.clone(),
            faults: options.faults,
            share: settings.cut(),
            seed: rand::rng().random(),
        };
        let tasks = Tasks::start(tasks, &mut parts);
        let cluster = Arc::new(Cluster {
            core_id,
            tasks,
            kv,
            cache,
            engines: Engines::new(options.process, options.fakes, settings.max_concurrency)
                .with_network_mode(settings.docker.network_mode.clone()),
            instance,
            statuses: writer,
            agents: Agents::default(),
            pools: Pools::default(),
            runs: Runs::default(),
            settings,
        });
        let stopping = CancellationToken::new();
        let service =
            rpc::CoreService::new(cluster.clone(), options.store, options.limits, options.build, stopping.clone());
        Ok(Self {
            listener,
            address,
            auth: options.auth,
            limits: options.limits,
            liveness: Liveness::new(cluster.clone(), options.store.is_alone()),
            cluster,
            registration,
            statuses,
            recovery: options.recovery,
            service,
            parts,
            stopping,
            quiet,
        })
    }

    /// Where the API listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What this process may ask the core directly.
    pub fn handle(&self) -> CoreHandle {
        CoreHandle { address: self.address, cluster: self.cluster.clone() }
    }

    /// Serves until `shutdown`, then ends: streams with UNAVAILABLE, calls in flight within the limit. Everything that was
    /// started is joined when it returns.
    ///
    /// # Errors
    /// When the server itself fails, and [`crate::Broken`] when a part ended that must not: then it ends as with `shutdown`.
    pub async fn run(self, shutdown: CancellationToken) -> anyhow::Result<()> {
        let router = self.router().await?;
        let (stopping, quiet, kill) = (self.stopping, self.quiet, CancellationToken::new());
        let mut parts = self.parts;
        parts.spawn("status writer", self.statuses.run(quiet.clone()));
        parts.spawn("liveness", self.liveness.run(stopping.clone()));
        parts.spawn("recovery", recovery::run(self.cluster.clone(), self.recovery, stopping.clone()));
        parts.spawn("registration", self.registration.run(quiet.clone()));

        let limits = self.limits;
        let incoming = accept::incoming(self.listener, limits, kill.clone());
        let server = Server::builder()
            .max_concurrent_streams(limits.connection_streams_max)
            .http2_max_header_list_size(HEADER_LIST_BYTES_MAX)
            .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
            .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
            .http2_max_pending_accept_reset_streams(Some(PENDING_RESETS_MAX))
            .serve_with_incoming_shutdown(router, incoming, stopping.clone().cancelled_owned());
        tracing::info!(address = %self.address, instance = %self.cluster.instance, "core is ready");

        let mut broken = None;
        let ending = async {
            tokio::select! {
                () = shutdown.cancelled() => {}
                part = parts.broken() => {
                    tracing::error!(%part, "the core cannot go on and stops");
                    broken = Some(part);
                }
            }
            stopping.cancel();
            // Deploys end first, each with a message for its caller; then the calls have nothing to wait for.
            self.cluster.tasks.stop(limits.shutdown).await;
            tokio::time::sleep(CUT_OFF).await;
            tracing::warn!("calls did not end in time and are cut off");
            kill.cancel();
            std::future::pending::<()>().await
        };
        let served = tokio::select! {
            served = server => served,
            () = ending => unreachable!("it only ends the others"),
        };
        stopping.cancel();
        self.cluster.tasks.stop(limits.shutdown).await;
        quiet.cancel();
        let joined = parts.join().await;
        tracing::info!("core has stopped");
        broken.map_or(joined, Err)?;
        Ok(served?)
    }

    async fn router(&self) -> anyhow::Result<router::Router> {
        let (health, health_service) = tonic_health::server::health_reporter();
        health.set_serving::<CoreRpcServer<rpc::CoreService>>().await;
        health.set_serving::<AgentServer<rpc::AgentService>>().await;
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        let v1 = reflection().build_v1().map_err(|e| BuildError::Reflection(e.to_string()))?;
        let v1alpha = reflection().build_v1alpha().map_err(|e| BuildError::Reflection(e.to_string()))?;
        let bytes_max = self.limits.recv_message_bytes_max;
        let core = CoreRpcServer::new(self.service.clone()).max_decoding_message_size(bytes_max);
        let service = self.service.clone();
        let list: List = Arc::new(move |request| {
            let service = service.clone();
            Box::pin(async move { Ok(service.workload_frames(request).await?) })
        });
        let (cache, limits) = (self.cluster.cache.clone(), self.service.stream_limits());
        let core = intercept(core, cache, limits, list, self.stopping.clone());
        let agent = AgentServer::new(rpc::AgentService::new(self.cluster.clone())).max_decoding_message_size(bytes_max);
        Ok(router::Builder::default()
            .add(CoreRpcServer::<rpc::CoreService>::NAME, core)
            .add(AgentServer::<rpc::AgentService>::NAME, agent)
            .add("grpc.health.v1.Health", health_service)
            .add("grpc.reflection.v1.ServerReflection", v1)
            .add("grpc.reflection.v1alpha.ServerReflection", v1alpha)
            .build(self.auth.clone()))
    }
}

async fn listen(listen: Listen) -> Result<TcpListener, BuildError> {
    match listen {
        Listen::Bound(listener) => Ok(listener),
        Listen::Address(address) => TcpListener::bind(address.0)
            .await
            .map_err(|source| BuildError::Listen { address: address.to_string(), source }),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        write!(text, "{byte:02x}").expect("a String takes everything");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cluster::{DeployRequest, node::NewNode},
        fault::Faults,
        options::StoreClass,
    };
    use eru_api::pb;
    use eru_config::BindAddress;
    use eru_kv::{Embedded, EmbeddedOptions};
    use eru_runtime::FakeRegistry;
    use eru_types::{Labels, MemoryBytes, NodeName, PodName};

    #[tokio::test(flavor = "multi_thread")]
    async fn a_core_whose_planner_panics_ends_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let kv = Embedded::open(folder.path(), EmbeddedOptions::default()).unwrap();
        let mut options = CoreOptions::new(kv, StoreClass::Embedded, Listen::Address(BindAddress::loopback(0)));
        options.fakes = Some(Arc::new(FakeRegistry::new(None)));
        options.faults = Faults::with_hook(Arc::new(|point| {
            assert!(point != "deploy.before_commit", "as the test wants it");
            false
        }));
        let core = Core::build(options).await.unwrap();
        let cluster = core.handle().cluster;
        let shutdown = CancellationToken::new();
        let running = tokio::spawn(core.run(shutdown));
        let pod = PodName::new("p").unwrap();
        cluster.add_pod(pod.clone(), String::new()).await.unwrap();
        let node = NewNode {
            name: NodeName::new("n0").unwrap(),
            pod,
            endpoint: "fake://n0".into(),
            cores: 8,
            share: 100,
            memory: MemoryBytes(1 << 30),
            storage: MemoryBytes(1 << 30),
            labels: Labels::default(),
            volumes: Default::default(),
            numa: Default::default(),
            numa_memory: Default::default(),
            tls: None,
        };
        cluster.add_node(node).await.unwrap();
        let wanted = pb::DeployOptions {
            name: "a".into(),
            podname: "p".into(),
            image: "nginx".into(),
            count: 1,
            entrypoint: Some(pb::EntrypointOptions { name: "web".into(), ..pb::EntrypointOptions::default() }),
            ..pb::DeployOptions::default()
        };
        let refused = cluster.deploy(DeployRequest::from_pb(&wanted).unwrap()).await.unwrap_err();
        assert!(matches!(refused, crate::cluster::Error::Unavailable(_)), "{refused}");
        // Nobody asked it to stop.
        let ended = tokio::time::timeout(Duration::from_secs(60), running).await.unwrap().unwrap();
        let text = ended.unwrap_err().to_string();
        assert!(text.starts_with("the planner of the core failed"), "{text}");
    }
}
