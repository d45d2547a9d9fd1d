//! The groups of keys in `core.yaml`.

use crate::value::Secret;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Name and password that callers must give.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Auth {
    /// The name. It is the key of the metadata on the wire, which is lower case.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// Limits and intervals of the gRPC server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grpc {
    /// Streams of one connection at a time.
    pub max_concurrent_streams: u32,
    /// Largest request, in bytes.
    pub max_recv_msg_size: usize,
    /// Connections at a time; more wait.
    pub max_connections: usize,
    /// Connections at a time of one address; more are refused.
    pub max_connections_per_ip: usize,
    /// The longest that a new connection may take to begin to speak HTTP/2.
    pub handshake_timeout: Duration,
    /// How often the addresses of cores are told to clients at least.
    pub service_discovery_interval: Duration,
    /// How often a core tells the store that it is there.
    pub service_heartbeat_interval: Duration,
}

impl Default for Grpc {
    fn default() -> Self {
        Self {
            // The original's 100 would let a client's hundredth watch hold up its calls on the same connection.
            max_concurrent_streams: 1000,
            max_recv_msg_size: 20 << 20,
            max_connections: 4096,
            // A quarter, so that no single address takes them all; enough for the clients behind one proxy.
            max_connections_per_ip: 1024,
            handshake_timeout: Duration::from_secs(10),
            service_discovery_interval: Duration::from_secs(15),
            service_heartbeat_interval: Duration::from_secs(15),
        }
    }
}

/// Where image builds take their source from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Git {
    /// github or gitlab.
    pub scm_type: String,
    /// File of the private key.
    pub private_key: Option<PathBuf>,
    /// Token for artifacts.
    pub token: Secret,
    /// The longest that a clone may take.
    pub clone_timeout: Duration,
}

impl Default for Git {
    fn default() -> Self {
        Self {
            scm_type: String::new(),
            private_key: None,
            token: Secret::default(),
            clone_timeout: Duration::from_secs(300),
        }
    }
}

/// The etcd store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Etcd {
    /// Its members, `host:port` or URLs. Not empty when etcd is the store.
    pub machines: Vec<String>,
    /// What every key begins with.
    pub prefix: String,
    /// Without effect: there is no lock service.
    pub lock_prefix: String,
    /// Certificate authority, file.
    pub ca: Option<PathBuf>,
    /// Key, file.
    pub key: Option<PathBuf>,
    /// Certificate, file.
    pub cert: Option<PathBuf>,
    /// Name and password.
    pub auth: Auth,
}

impl Default for Etcd {
    fn default() -> Self {
        Self {
            machines: Vec::new(),
            prefix: "/eru".into(),
            lock_prefix: "__lock__/eru".into(),
            ca: None,
            key: None,
            cert: None,
            auth: Auth::default(),
        }
    }
}

/// The Redis store of the original, read so that its files are accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redis {
    /// Address.
    pub addr: String,
    /// Number of the database.
    pub db: i64,
    /// What lock keys begin with.
    pub lock_prefix: String,
}

impl Default for Redis {
    fn default() -> Self {
        Self { addr: "localhost:6379".into(), db: 0, lock_prefix: "/lock".into() }
    }
}

/// Docker engines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Docker {
    /// API version.
    pub version: String,
    /// Network of a workload that names none.
    pub network_mode: String,
    /// Registry for built images.
    pub hub: String,
    /// Namespace for built images.
    pub namespace: String,
    /// Pod that builds images.
    pub build_pod: String,
    /// Whether workloads ask the node's own name server.
    pub local_dns: bool,
    /// Log driver of workloads deployed for debugging.
    pub log_type: String,
    /// Its options.
    pub log_config: BTreeMap<String, String>,
    /// Logins by registry.
    pub auths: BTreeMap<String, RegistryAuth>,
}

impl Default for Docker {
    fn default() -> Self {
        Self {
            version: "1.32".into(),
            network_mode: "host".into(),
            hub: String::new(),
            namespace: String::new(),
            build_pod: String::new(),
            local_dns: false,
            log_type: "journald".into(),
            log_config: BTreeMap::new(),
            auths: BTreeMap::new(),
        }
    }
}

/// A login to a registry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RegistryAuth {
    /// The name.
    pub username: String,
    /// The password.
    pub password: Secret,
}

/// The scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scheduler {
    /// Most cores of a node that may be cut into pieces; -1 leaves it to the scheduler.
    pub maxshare: i64,
    /// Pieces of a core.
    pub sharebase: i64,
}

impl Default for Scheduler {
    fn default() -> Self {
        Self { maxshare: -1, sharebase: 100 }
    }
}

/// Virtual machines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Virt {
    /// API version, a part of the path.
    pub version: String,
}

/// systemd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Systemd {
    /// Name of the runtime.
    pub runtime: String,
}

impl Default for Systemd {
    fn default() -> Self {
        Self { runtime: "io.containerd.eru.v2".into() }
    }
}
