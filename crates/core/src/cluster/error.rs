//! Why core did not do as asked: one kind for each answer that a client can act on.

use eru_kv::Error as StoreError;
use eru_runtime::Error as RuntimeError;
use eru_scheduler::Refusal;
use eru_types::{NameError, labels::LabelError, resource::ResourceError};

/// Why core did not do as asked. The text is what a client reads: it names the object, quotes the value and says the
/// bound. `rpc` turns the kind into a gRPC code.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request breaks a rule that holds whatever the cluster's state is.
    #[error("{0}")]
    Invalid(String),
    /// The thing that the request names is not there.
    #[error("{0}")]
    NotFound(String),
    /// The thing that the request would make is there.
    #[error("{0}")]
    Exists(String),
    /// The state of the cluster forbids it; changing that state helps, repeating does not.
    #[error("{0}")]
    Precondition(String),
    /// There is not enough of something.
    #[error("{0}")]
    Exhausted(String),
    /// Others changed the same thing again and again; repeating helps.
    #[error("{0}")]
    Conflict(String),
    /// What is needed does not answer; repeating later helps.
    #[error("{0}")]
    Unavailable(String),
    /// Not built yet.
    #[error("{0}")]
    Unimplemented(String),
    /// The scheduler found no place; it says how many nodes failed for which reason.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// A fault of ours.
    #[error("{0}")]
    Internal(String),
    /// The store did not do as asked.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A runtime did not do as asked.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
}

/// Result of a cluster operation.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The original's word for a key that is not there; clients match it.
    pub fn missing(key: impl std::fmt::Display) -> Self {
        Self::NotFound(format!("bad `Count` value: key: {key}"))
    }

    /// A workload that is not there, in the original's words.
    pub fn no_workload(id: impl std::fmt::Display) -> Self {
        Self::missing(format_args!("/workloads/{id}"))
    }

    /// A node that is not there, in the original's words and in those of people.
    pub fn no_node(name: impl std::fmt::Display) -> Self {
        let words = format!("node \"{name}\" does not exist; `eru-cli node add --nodename {name} POD` adds it");
        Self::missing(format_args!("/node/{name}: {words}"))
    }

    /// A pod that is not there, in the original's words and in those of people.
    pub fn no_pod(name: impl std::fmt::Display) -> Self {
        let words =
            format!("pod \"{name}\" does not exist; `eru-cli pod list` lists all, `eru-cli pod add {name}` adds it");
        Self::missing(format_args!("/pod/info/{name}: {words}"))
    }
}

impl From<NameError> for Error {
    fn from(error: NameError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<LabelError> for Error {
    fn from(error: LabelError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<ResourceError> for Error {
    fn from(error: ResourceError) -> Self {
        Self::Invalid(error.to_string())
    }
}
