//! Why a command was refused.

use super::SETS_MAX;
use eru_types::name::excerpt;

/// Why a command was refused.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is no such set.
    #[error("replicaset \"{}\" not found", excerpt(.0))]
    NotFound(String),
    /// The set is being removed.
    #[error("replicaset \"{0}\" is being removed; wait until it is gone")]
    Removing(String),
    /// The set is of another generation than the caller thinks.
    #[error("replicaset \"{name}\" is of generation {is}, not {expected}; read it again")]
    Generation {
        /// Its name.
        name: String,
        /// Its generation; 0 = there is no such set.
        is: u64,
        /// What the caller expected.
        expected: u64,
    },
    /// What is stored of a set of that name cannot be read.
    #[error(
        "replicaset \"{name}\" is stored, but its record cannot be read and is left alone: {cause}; take another name, or repair it"
    )]
    Damaged {
        /// Its name.
        name: String,
        /// What is wrong with the record.
        cause: String,
    },
    /// There are too many.
    #[error("at most {SETS_MAX} replicasets, remove one first")]
    TooMany,
    /// Another controller decides.
    #[error("this controller does not lead (yet); ask again, or another one")]
    NotLeading,
    /// The store failed.
    #[error("the controller's store failed: {0}")]
    Store(String),
}
