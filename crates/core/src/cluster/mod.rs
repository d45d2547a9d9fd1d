//! What core does, one verb or noun a file. Handlers of [`crate::rpc`] convert and call in here.

pub mod agent;
pub mod capacity;
pub(crate) mod clock;
mod command_line;
pub mod control;
pub mod copy;
mod create;
pub mod deploy;
pub mod dissociate;
pub mod engines;
mod error;
pub mod exec;
pub(crate) mod execute;
pub mod fence;
mod files;
mod hook;
mod image;
pub mod images;
pub mod lambda;
mod locks;
pub mod logs;
mod needs;
pub mod networks;
pub mod node;
mod outcome;
mod planner;
pub mod pod;
pub mod pool;
mod pull;
pub(crate) mod read;
pub mod remove;
pub mod replace;
pub mod request;
pub mod send;
pub mod status;
mod target;
pub mod tasks;
#[cfg(test)]
mod tests;
mod undo;
mod workload;
mod writer;

pub use error::{Error, Result};
pub use fence::Owner;
pub use outcome::DeployOutcome;
pub use request::DeployRequest;
pub use tasks::{Tasks, TasksOptions};

pub(crate) use clock::now_ms;
pub(crate) use execute::Current;
pub(crate) use hook::Output;
pub(crate) use remove::is_silence;

use crate::cache::Cache;
use engines::Engines;
use eru_kv::Kv;
use std::sync::Arc;

/// Largest piece of output or of a file in one message, in bytes: the longest line that the original passes on, far below
/// what clients take, and enough to be quick.
pub(crate) const PIECE_BYTES_MAX: usize = 64 * 1024;

/// The cluster as one core sees it: the store, the store's cache, and the engines of the nodes.
pub struct Cluster {
    /// The store.
    pub kv: Arc<dyn Kv>,
    /// The store at one revision.
    pub cache: Arc<Cache>,
    /// The engines of the nodes.
    pub engines: Engines,
    /// Identifies this process among the cores; made at each start.
    pub instance: String,
    /// Identifies the cluster: equal for all cores that share a store. The label `eru.coreid` of its workloads.
    pub core_id: String,
    /// Its operations: those that run, and what they run on.
    pub tasks: Tasks,
    /// Where every report goes in.
    pub statuses: status::StatusWriter,
    /// The leases of the nodes' agents.
    pub agents: agent::Agents,
    /// Room for calls that take long.
    pub pools: pool::Pools,
    /// The runs to the end that a task of this core works on.
    pub runs: lambda::Runs,
    /// Limits and times.
    pub settings: crate::options::Settings,
}
