//! What a core is started with.

use crate::{cache::CacheOptions, fault::Faults, recovery::RecoveryOptions};
use eru_config::{BindAddress, CoreConfig, Secret, StoreKind, core::Docker};
use eru_kv::Kv;
use eru_runtime::{FakeRegistry, Runtime};
use eru_types::Build;
use std::{sync::Arc, time::Duration};
use tokio::net::TcpListener;

/// Where a core's API listens.
#[derive(Debug)]
pub enum Listen {
    /// Bind this address; port 0 takes a free one.
    Address(BindAddress),
    /// Bound already.
    Bound(TcpListener),
}

/// Which store the core runs on, as `Info` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreClass {
    /// In this process and nowhere else: this core is alone, so what a core before it held is free at once.
    Embedded,
    /// Shared with other cores.
    Etcd,
}

impl StoreClass {
    /// The word for it on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Etcd => "etcd",
        }
    }

    /// Whether no other core can be on this store.
    pub fn is_alone(self) -> bool {
        self == Self::Embedded
    }
}

/// Who may call. Every call carries metadata whose key is the user name and whose value is the password, which is how the
/// original's clients do it.
#[derive(Debug, Clone)]
pub struct Auth {
    /// The user name; metadata keys are lower case, so it is compared in lower case.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// How long a silent node is believed, and what agents are told to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LivenessTimes {
    /// How often an agent beats.
    pub beat: Duration,
    /// How long a beat counts; whole seconds, at least two.
    pub lease: Duration,
    /// How long the lease of an agent that said good-bye goes on: long enough to replace it.
    pub leave: Duration,
    /// How long a core holds the right to judge without renewing it.
    pub holder: Duration,
}

impl Default for LivenessTimes {
    fn default() -> Self {
        Self {
            beat: Duration::from_secs(2),
            lease: Duration::from_secs(6),
            leave: Duration::from_secs(60),
            holder: Duration::from_secs(16),
        }
    }
}

/// Bounds on what clients may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerLimits {
    /// Largest request, in bytes.
    pub recv_message_bytes_max: usize,
    /// Most streams and calls at a time on one connection.
    pub connection_streams_max: u32,
    /// Most open server streams of the core; each costs a few kilobytes.
    pub streams_max: usize,
    /// Most connections; more wait in the listener's queue.
    pub connections_max: usize,
    /// Most connections of one address; more are closed at once. Of IPv6, addresses of one /64 count as one.
    pub connections_per_ip_max: usize,
    /// How long a new connection may take to show that its end speaks HTTP/2; later it is asked for signs of life.
    pub handshake: Duration,
    /// How long calls in flight may take to end when the core stops.
    pub shutdown: Duration,
}

impl Default for ServerLimits {
    fn default() -> Self {
        Self {
            recv_message_bytes_max: 20 * 1024 * 1024,
            connection_streams_max: 1000,
            streams_max: 20_000,
            connections_max: 4096,
            connections_per_ip_max: 1024,
            handshake: Duration::from_secs(10),
            shutdown: Duration::from_secs(5),
        }
    }
}

/// Times and bounds of the cluster operations.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Liveness of nodes.
    pub liveness: LivenessTimes,
    /// How long an engine may take to answer when a node is added or asked for its state.
    pub connection_timeout: Duration,
    /// How long one operation may take at most.
    pub global_timeout: Duration,
    /// Most calls at a time to one node's engine.
    pub max_concurrency: usize,
    /// Pieces of one core, when a node does not say.
    pub share: u32,
    /// Most cores of a node that may be cut into pieces; `None` = all of them.
    pub share_cores_max: Option<u32>,
    /// How often WatchServiceStatus repeats the addresses; clients wait twice as long before they look elsewhere.
    pub service_interval: Duration,
    /// How long a core's registration outlives it.
    pub service_heartbeat: Duration,
    /// What containers get that do not say, and the logins for their images.
    pub docker: Docker,
}

impl Settings {
    /// How cores are cut.
    pub fn cut(&self) -> eru_scheduler::Share {
        eru_scheduler::Share { base: self.share, cores_max: self.share_cores_max }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            liveness: LivenessTimes::default(),
            connection_timeout: Duration::from_secs(10),
            global_timeout: Duration::from_secs(300),
            max_concurrency: 20,
            share: 100,
            share_cores_max: None,
            service_interval: Duration::from_secs(15),
            service_heartbeat: Duration::from_secs(15),
            docker: Docker::default(),
        }
    }
}

/// Everything that [`Core::build`](crate::Core::build) needs.
pub struct CoreOptions {
    /// The store.
    pub kv: Arc<dyn Kv>,
    /// Which kind of store it is.
    pub store: StoreClass,
    /// Where the API listens.
    pub listen: Listen,
    /// The address that other cores' clients are told; `None` = the one that it is bound to.
    pub advertise: Option<String>,
    /// The runtime of plain commands that this process holds, for `process://` nodes.
    pub process: Option<Arc<dyn Runtime>>,
    /// The simulated engines that this process holds, for `fake://` nodes.
    pub fakes: Option<Arc<FakeRegistry>>,
    /// Who may call; `None` = everybody who reaches the port.
    pub auth: Option<Auth>,
    /// How it finishes or undoes what another core left.
    pub recovery: RecoveryOptions,
    /// Where tests make it die.
    pub faults: Faults,
    /// Bounds of the server.
    pub limits: ServerLimits,
    /// Bounds of the cluster operations.
    pub settings: Settings,
    /// How the cache follows the store, and how much it remembers of what was removed.
    pub cache: CacheOptions,
    /// What `Info` says of the program.
    pub build: Build,
}

impl CoreOptions {
    /// A core with the defaults: no runtimes of its own, no authentication.
    pub fn new(kv: Arc<dyn Kv>, store: StoreClass, listen: Listen) -> Self {
        Self {
            kv,
            store,
            listen,
            advertise: None,
            process: None,
            fakes: None,
            auth: None,
            recovery: RecoveryOptions::new(store.is_alone()),
            faults: Faults::default(),
            limits: ServerLimits::default(),
            settings: Settings::default(),
            cache: CacheOptions::default(),
            build: Build::default(),
        }
    }

    /// A core as its configuration says, on the store that the configuration names. Simulated engines live in the data
    /// folder when the store does, so that they outlive the process as real ones would.
    pub fn from_config(config: &CoreConfig, kv: Arc<dyn Kv>) -> Self {
        let (store, fake_folder) = match config.store {
            StoreKind::Embedded => (StoreClass::Embedded, Some(config.data_dir.join("fake"))),
            StoreKind::Etcd => (StoreClass::Etcd, None),
        };
        let grpc = &config.grpc;
        let auth = &config.auth;
        Self {
            fakes: config.allow_fake.then(|| Arc::new(FakeRegistry::new(fake_folder))),
            auth: (!auth.username.is_empty())
                .then(|| Auth { username: auth.username.clone(), password: auth.password.clone() }),
            limits: ServerLimits {
                recv_message_bytes_max: grpc.max_recv_msg_size,
                connection_streams_max: grpc.max_concurrent_streams,
                streams_max: config.max_streams,
                connections_max: grpc.max_connections,
                connections_per_ip_max: grpc.max_connections_per_ip,
                handshake: grpc.handshake_timeout,
                ..ServerLimits::default()
            },
            settings: Settings {
                liveness: LivenessTimes {
                    beat: config.beat_interval,
                    lease: config.lease_ttl,
                    holder: config.ha_keepalive_interval,
                    ..LivenessTimes::default()
                },
                connection_timeout: config.connection_timeout,
                global_timeout: config.global_timeout,
                max_concurrency: config.max_concurrency,
                share: u32::try_from(config.scheduler.sharebase).unwrap_or(Settings::default().share),
                share_cores_max: u32::try_from(config.scheduler.maxshare).ok(),
                service_interval: grpc.service_discovery_interval,
                service_heartbeat: grpc.service_heartbeat_interval,
                docker: config.docker.clone(),
            },
            ..Self::new(kv, store, Listen::Address(config.bind))
        }
    }
}

impl std::fmt::Debug for CoreOptions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CoreOptions")
            .field("store", &self.store)
            .field("listen", &self.listen)
            .field("auth", &self.auth)
            .field("limits", &self.limits)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}
