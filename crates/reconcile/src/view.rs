//! What is there: the slots as they were remembered, the instances and nodes as they were seen.

use crate::Millis;
use serde::{Deserialize, Serialize};

/// Everything that a decision about one set looks at, as of one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct View {
    /// What is remembered of each slot.
    pub slots: Vec<Slot>,
    /// The instances.
    pub instances: Vec<Instance>,
    /// The nodes. One that is not listed is taken for ready.
    pub nodes: Vec<Node>,
}

/// What is remembered of one slot. Its number is never used for two live purposes: a slot that was scaled away stays on
/// record with its epoch, so that a copy which returns later is known for what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Slot {
    /// Number of the slot, from 0.
    pub slot: u32,
    /// Whether the set wants an instance in it.
    pub active: bool,
    /// The highest epoch that was given out.
    pub epoch: u64,
    /// A create that has been decided and whose instance has not been seen yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub intent: Option<Intent>,
    /// Failures in a row.
    pub failures: u32,
    /// The slot is not tried again before.
    pub retry_at: Millis,
    /// The highest epoch whose failure has been counted.
    pub failed_epoch: u64,
    /// The generation that the failures belong to.
    pub failed_generation: u64,
    /// The highest epoch that has been healthy.
    pub healthy_epoch: u64,
    /// The generation that could not be rolled out to this slot; 0 = none.
    pub stalled_generation: u64,
    /// What went wrong last, one line.
    pub reason: String,
}

/// A create that has been decided.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Names the create: repeated with the same name it finds its own instance.
    pub op_id: String,
    /// Epoch of the instance.
    pub epoch: u64,
    /// Generation of the instance.
    pub generation: u64,
    /// When it was decided.
    pub sent_at: Millis,
}

/// One instance as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// Id of the workload.
    pub id: String,
    /// Uid of the set that it belongs to.
    pub owner: String,
    /// Slot that it was made for.
    pub slot: u32,
    /// Its epoch in the slot.
    pub epoch: u64,
    /// Generation that it was made of.
    pub generation: u64,
    /// Node that it is on.
    pub node: String,
    /// Where it is in its life.
    pub phase: InstancePhase,
    /// It runs and its health checks pass.
    pub healthy: bool,
    /// Since when phase and health are as they are, by the clock of the one who decides.
    pub since: Millis,
    /// When it was started, by the node's clock; 0 = unknown. Only compared between instances.
    pub started_at: Millis,
    /// The report says how it ended (and not only that it does not run).
    pub exit_known: bool,
    /// Why it is not healthy, one line.
    pub reason: String,
}

/// Where an instance is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InstancePhase {
    /// It was made, and nothing has been reported of it yet.
    Starting,
    /// It runs.
    Running,
    /// It has ended.
    Exited,
    /// It is being removed.
    Removing,
    /// Its report has expired.
    Unknown,
}

/// One node as it was seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// What core says of it.
    pub state: NodeState,
    /// Since when, by the clock of the one who decides.
    pub since: Millis,
}

/// What core says of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NodeState {
    /// Never reported on.
    New,
    /// Alive.
    #[default]
    Ready,
    /// Silent; nothing is replaced yet.
    Suspect,
    /// Dead as far as anyone can tell.
    Lost,
    /// Its engine answers although its agent is silent: nothing is replaced.
    Unwatched,
}
