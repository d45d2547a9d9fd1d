//! What core keeps in the store: one JSON value a key, with a version.
//!
//! # Invariants
//! - Fields that this build does not know survive a rewrite ([`Versioned::extra`]).
//! - A value that does not decode never fails a list: [`decode`] says why, the cache sets it aside and counts it.
//! - What a node has given away is the sum over its placements; no record holds that sum.

mod certificates;
mod placement;

pub use certificates::Certificates;
pub use placement::{Hook, Placement, PlacementState, Replaced, WorkloadSpec};

use eru_types::{
    AppName, EngineId, EntrypointName, Labels, MemoryBytes, NodeName, PodName, WorkloadName, WorkloadStatus,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::collections::BTreeMap;

/// The version that this build writes. A reader takes any version whose known fields decode.
pub const RECORD_VERSION: u32 = 1;

/// A record with its version and whatever fields a newer build added.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Versioned<T> {
    /// [`RECORD_VERSION`] of the build that wrote it.
    #[serde(rename = "v")]
    pub version: u32,
    /// The record.
    #[serde(flatten)]
    pub record: T,
    /// Fields that this build does not know.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

impl<T> Versioned<T> {
    /// A new record of this build.
    pub fn new(record: T) -> Self {
        Self { version: RECORD_VERSION, record, extra: serde_json::Map::new() }
    }
}

impl<T> std::ops::Deref for Versioned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.record
    }
}

impl<T> std::ops::DerefMut for Versioned<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.record
    }
}

/// What most records need, in bytes: a buffer that does not have to grow.
const ENCODED_BYTES: usize = 512;

/// The value for the store.
pub fn encode<T: Serialize>(record: &Versioned<T>) -> bytes::Bytes {
    let mut value = Vec::with_capacity(ENCODED_BYTES);
    serde_json::to_writer(&mut value, record).expect("records hold only strings, numbers and maps with text keys");
    // It stays in memory for as long as it is the newest.
    value.shrink_to_fit();
    value.into()
}

/// Reads a value from the store.
///
/// # Errors
/// The reason, for the log and the metric of set-aside values.
pub fn decode<T: DeserializeOwned>(value: &[u8]) -> Result<Versioned<T>, serde_json::Error> {
    serde_json::from_slice(value)
}

/// A pod.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PodRecord {
    /// Its name.
    pub name: PodName,
    /// What it is for.
    #[serde(default)]
    pub desc: String,
}

/// A node, as it was registered and set. Written by AddNode and SetNode only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NodeRecord {
    /// Its name.
    pub name: NodeName,
    /// Its pod.
    pub pod: PodName,
    /// Where its runtime is.
    pub endpoint: String,
    /// The runtime's kind (`process`, `fake`, `docker`), as it said when the node was added.
    pub runtime: String,
    /// Whether it runs workloads with an image.
    pub runs_images: bool,
    /// Whether it runs workloads without one.
    pub runs_commands: bool,
    /// Labels to select by.
    #[serde(default)]
    pub labels: Labels,
    /// Kept out of scheduling by hand.
    #[serde(default)]
    pub bypass: bool,
    /// Core name to pieces (100 = one whole core).
    pub cpu: BTreeMap<String, u32>,
    /// Memory to give away.
    pub memory: MemoryBytes,
    /// Storage to give away.
    #[serde(default)]
    pub storage: MemoryBytes,
    /// Directory to bytes.
    #[serde(default)]
    pub volumes: BTreeMap<String, u64>,
    /// Core name to NUMA node.
    #[serde(default)]
    pub numa: BTreeMap<String, String>,
    /// NUMA node to bytes.
    #[serde(default)]
    pub numa_memory: BTreeMap<String, u64>,
    /// Certificates for the endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<Certificates>,
    /// When it was added, milliseconds since the epoch.
    #[serde(default)]
    pub created_at_ms: i64,
}

/// From an engine id to its placement. Written with `Created`, removed with the placement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IndexRecord {
    /// The node.
    pub node: NodeName,
    /// The workload's name: with the node, the placement's key.
    pub name: WorkloadName,
}

/// The last report of one workload. Written by agents (through core) only; the shown status is derived from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StatusRecord {
    /// The workload.
    pub id: EngineId,
    /// Its node.
    pub node: NodeName,
    /// The reporter's incarnation; 0 = a reporter of the original's API, which has none.
    #[serde(default)]
    pub incarnation: i64,
    /// The reporter's sequence number within its incarnation.
    #[serde(default)]
    pub seq: i64,
    /// The node generation that was in force when it was stored; an older one than the verdict's means "before the loss".
    #[serde(default)]
    pub generation: i64,
    /// Time to live in seconds as it was asked for; 0 = never expires.
    #[serde(default)]
    pub ttl_s: i64,
    /// What was reported.
    pub status: WorkloadStatus,
}

/// Core's word on a node's life. Written by the holder of the liveness lease, by compare-and-set, and by SetNode's
/// `workloads_down`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct VerdictRecord {
    /// What is held to be true.
    pub verdict: Verdict,
    /// Grows with every loss: reports of an older generation do not count any more.
    pub generation: i64,
    /// When it was written, milliseconds since the epoch.
    #[serde(default)]
    pub at_ms: i64,
    /// Why, one line.
    #[serde(default)]
    pub reason: String,
}

/// The verdicts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Nothing is known against it.
    #[default]
    Fine,
    /// Its workloads are held to be dead.
    Lost,
    /// No agent reports, but its engine answers: shown, alarmed, not replaced.
    Unwatched,
}

/// What keeps a node alive: this key is bound to the agent's lease and vanishes with it. Beats renew the lease and write
/// nothing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AliveRecord {
    /// The node.
    pub node: NodeName,
    /// Time to live in seconds that the lease was granted with.
    pub ttl_s: u64,
    /// The agent's incarnation; 0 = SetNodeStatus of the original's API.
    #[serde(default)]
    pub incarnation: i64,
}

/// The agent of a node. Written at registration; stays when the agent goes, so that a node that was never reported on
/// (*new*) differs from one that fell silent.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct AgentRecord {
    /// Counts registrations; reports of an older one are dropped.
    pub incarnation: i64,
    /// The machine's boot.
    #[serde(default)]
    pub boot_id: String,
    /// The agent's version.
    #[serde(default)]
    pub version: String,
    /// The agent's own id.
    #[serde(default)]
    pub agent_id: String,
}

/// A deploy that was given an op id. Written with its first placements; forgotten a day later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OpRecord {
    /// Of the request, without its op id and epoch: another request under the same op id is refused.
    pub digest: String,
    /// The app.
    pub app: AppName,
    /// The entrypoint.
    pub entrypoint: EntrypointName,
    /// Number of its instances; `seq` counts to it.
    pub count: u32,
    /// When it was planned, milliseconds since the epoch.
    #[serde(default)]
    pub created_at_ms: i64,
    /// The core process that is still committing placements of it; empty = all that will be are.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub placing: String,
}

/// A workload that we forgot on demand: the sweep of engine objects without a placement leaves it alone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DissociatedRecord {
    /// What it is called in the engine.
    pub name: WorkloadName,
}

/// The highest leader epoch that an owner (a ReplicaSet's uid, a controller) has shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OwnerRecord {
    /// The epoch.
    pub epoch: i64,
}

/// A running core: bound to its lease.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CoreRecord {
    /// Made at each start.
    pub instance: String,
    /// Where its API is.
    pub address: String,
}
