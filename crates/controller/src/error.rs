//! Why a controller could not start or go on.

use std::net::SocketAddr;

/// Why a controller could not start or go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The store failed.
    #[error("controller store")]
    Store(#[from] eru_kv::Error),
    /// An address of a core or a login is wrong.
    #[error("controller cannot use the core addresses")]
    Core(#[from] eru_client::ConnectError),
    /// The API's address cannot be listened on.
    #[error("controller cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The API's server ended.
    #[error("controller API on {address} failed")]
    Serve {
        /// The address.
        address: SocketAddr,
        /// What went wrong.
        source: tonic::transport::Error,
    },
    /// Another controller decides now.
    #[error("another controller has become the leader")]
    Deposed,
    /// A record does not encode or is too large.
    #[error("controller record {key}: {cause}")]
    Record {
        /// Its key.
        key: String,
        /// What is wrong with it.
        cause: String,
    },
}

impl Error {
    /// Whether the same may succeed later, without anyone's help.
    pub(crate) fn is_curable(&self) -> bool {
        use eru_kv::Error::{Compacted, Full, Future, LeaseGone, Unavailable};
        matches!(
            self,
            Self::Store(Unavailable { .. } | Full(_) | LeaseGone(_) | Compacted(_) | Future(_)) | Self::Deposed
        )
    }
}
