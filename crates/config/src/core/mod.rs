//! `core.yaml`: the configuration of eru-core.

pub(crate) mod read;
mod sections;

pub use sections::{Auth, Docker, Etcd, Git, Grpc, Redis, RegistryAuth, Scheduler, Systemd, Virt};

use crate::layer::{Loaded, Setting};
use crate::problem::InputError;
use crate::value::{BindAddress, LogLevel, Secret};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The port that clients of the original expect.
pub const PORT: u16 = 5001;

/// The configuration of eru-core, checked. Fields are named and grouped as the keys are.
#[derive(Debug, Clone, PartialEq)]
pub struct CoreConfig {
    /// How much is logged.
    pub log_level: LogLevel,
    /// Where gRPC is served.
    pub bind: BindAddress,
    /// Later: there is no lock service.
    pub lock_timeout: Duration,
    /// The longest that one operation on an engine may take.
    pub global_timeout: Duration,
    /// The longest that connecting to an engine may take.
    pub connection_timeout: Duration,
    /// Lease of the liveness leader.
    pub ha_keepalive_interval: Duration,
    /// Later: statsd server, `host:port`.
    pub statsd: Option<String>,
    /// Later: where profiles are served.
    pub profile: Option<String>,
    /// Later: Sentry.
    pub sentry_dsn: Secret,
    /// Later: where certificates of engines are kept.
    pub cert_path: Option<PathBuf>,
    /// Calls to the engine of one node at a time.
    pub max_concurrency: usize,
    /// Where state is kept.
    pub store: StoreKind,
    /// The folder of the embedded store.
    pub data_dir: PathBuf,
    /// Accepts nodes of simulated engines, `fake://NAME`.
    pub allow_fake: bool,
    /// How often an agent is asked to give a sign of life.
    pub beat_interval: Duration,
    /// How long a sign of life counts.
    pub lease_ttl: Duration,
    /// Most status streams at a time.
    pub max_streams: usize,
    /// Who may call; nobody is asked while the name is empty.
    pub auth: Auth,
    /// The gRPC server.
    pub grpc: Grpc,
    /// Accepted and without effect: what is to be done stands in the store.
    pub wal_file: PathBuf,
    /// Accepted and without effect, as `wal_file`.
    pub wal_open_timeout: Duration,
    /// Later: image builds.
    pub git: Git,
    /// The etcd store.
    pub etcd: Etcd,
    /// Accepted and without effect: Redis is not a store of ours.
    pub redis: Redis,
    /// Docker engines.
    pub docker: Docker,
    /// The scheduler.
    pub scheduler: Scheduler,
    /// Later: virtual machines.
    pub virt: Virt,
    /// Later: systemd.
    pub systemd: Systemd,
    /// Keys that were given and have no effect yet, to be named in one line at the start.
    pub later_keys: Vec<String>,
}

/// Where state is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StoreKind {
    /// A folder of this machine, [`CoreConfig::data_dir`].
    Embedded,
    /// etcd, [`CoreConfig::etcd`].
    Etcd,
}

impl fmt::Display for StoreKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Embedded => "embedded",
            Self::Etcd => "etcd",
        })
    }
}

impl Default for CoreConfig {
    /// The defaults of the original where it has the key; with the embedded store, so that it is valid by itself.
    fn default() -> Self {
        Self {
            log_level: LogLevel::Info,
            bind: BindAddress::any(PORT),
            lock_timeout: Duration::from_secs(30),
            global_timeout: Duration::from_secs(300),
            connection_timeout: Duration::from_secs(10),
            ha_keepalive_interval: Duration::from_secs(16),
            statsd: None,
            profile: None,
            sentry_dsn: Secret::default(),
            cert_path: None,
            max_concurrency: 20,
            store: StoreKind::Embedded,
            data_dir: "/var/lib/eru".into(),
            allow_fake: false,
            beat_interval: Duration::from_secs(2),
            lease_ttl: Duration::from_secs(6),
            max_streams: 20_000,
            auth: Auth::default(),
            grpc: Grpc::default(),
            wal_file: "core.wal".into(),
            wal_open_timeout: Duration::from_secs(8),
            git: Git::default(),
            etcd: Etcd::default(),
            redis: Redis::default(),
            docker: Docker::default(),
            scheduler: Scheduler::default(),
            virt: Virt::default(),
            systemd: Systemd::default(),
            later_keys: Vec::new(),
        }
    }
}

impl CoreConfig {
    /// Reads a file, with the environment (`ERU_CORE_<KEY>`) and flags over it.
    ///
    /// # Errors
    /// [`InputError`] with everything that is wrong.
    pub fn load(
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[Setting],
    ) -> Result<Loaded<Self>, InputError> {
        read::PLAN.load(path, environment, flags)
    }

    /// Reads a text, with the environment and flags over it. An empty text is all defaults.
    ///
    /// # Errors
    /// [`InputError`] with everything that is wrong.
    pub fn parse(
        name: &str,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[Setting],
    ) -> Result<Loaded<Self>, InputError> {
        read::PLAN.parse(name, text, environment, flags)
    }

    /// The line to log at the start about keys that have no effect yet.
    pub fn later_notice(&self) -> Option<String> {
        (!self.later_keys.is_empty())
            .then(|| format!("accepted but without effect yet: {}", self.later_keys.join(", ")))
    }

    /// The configuration for a log at the start. Secrets read `***`.
    pub fn dump(&self) -> String {
        format!("{self:#?}")
    }
}
