//! How a controller is set up.

use eru_client::ClientOptions;
use eru_kv::Kv;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// How a controller is set up.
#[derive(Clone)]
pub struct ControllerOptions {
    /// Addresses of the cores (`host:port`, `eru://host:port`).
    pub core: Vec<String>,
    /// How the cores are called.
    pub client: ClientOptions,
    /// Where the controller's own API listens. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where it keeps its specs, slots and leadership.
    pub store: StoreChoice,
    /// Who it is, for those that look who leads: host name and process id, say.
    pub identity: String,
}

/// Where a controller keeps what is its own.
#[derive(Clone)]
pub enum StoreChoice {
    /// In a folder of its own. Its lock makes the controller alone.
    Folder(PathBuf),
    /// In a store that is there, under a prefix of its own.
    Kv {
        /// The store.
        kv: Arc<dyn Kv>,
        /// How it is made sure that one controller decides at a time.
        leadership: Leadership,
    },
}

/// How it is made sure that one controller decides at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leadership {
    /// Nobody else uses the store.
    Alone,
    /// Whoever holds the lease decides; others wait for it to run out.
    Leased {
        /// Time after which a silent leader is replaced. Whole seconds, at least 2.
        ttl: Duration,
    },
}

impl Leadership {
    /// A takeover within six seconds.
    pub const DEFAULT: Self = Self::Leased { ttl: Duration::from_secs(5) };
}
