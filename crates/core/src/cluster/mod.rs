//! What core does, one verb or noun a file. Handlers of [`crate::rpc`] convert and call in here.

pub mod agent;
pub mod engines;
mod error;
pub mod node;
pub mod pod;
pub(crate) mod read;
pub(crate) mod clock;
pub mod status;

pub use error::{Error, Result};

use crate::cache::Cache;
use engines::Engines;
use eru_kv::Kv;
use std::sync::Arc;

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
    /// Where every report goes in.
    pub statuses: status::StatusWriter,
    /// The leases of the nodes' agents.
    pub agents: agent::Agents,
    /// Limits and times.
    pub settings: crate::options::Settings,
}
