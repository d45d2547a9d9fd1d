//! What is to be done.

use crate::{Millis, Slot};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Everything that is to be done now. There are no choices left in it.
///
/// Order of execution: store [`Plan::slots`] (with the intents of the creates), then create and remove in any order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// Instances to create, by slot.
    pub creates: Vec<Create>,
    /// Instances to remove, in this order.
    pub removes: Vec<Remove>,
    /// Instances that stay, by id.
    pub keeps: Vec<Keep>,
    /// What waits.
    pub holds: Vec<Hold>,
    /// Creates whose outcome is unknown for too long: to be found out by a list, see [`crate::forget_intent`].
    pub resolves: Vec<Resolve>,
    /// The slots as they are to be remembered.
    pub slots: Vec<Slot>,
    /// The last generation that had all its instances healthy, as it is to be remembered.
    pub stable_generation: u64,
    /// Ask again at this time even if nothing happens; 0 = no need.
    pub wake_at: Millis,
    /// How the set is.
    pub status: Status,
}

/// An instance to create.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Create {
    /// Slot that it is for.
    pub slot: u32,
    /// Its epoch.
    pub epoch: u64,
    /// Generation of the spec that it is to be made of.
    pub generation: u64,
    /// Names the create, see [`crate::op_id`].
    pub op_id: String,
    /// Why.
    pub reason: CreateReason,
}

/// Why an instance is created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CreateReason {
    /// The slot is new.
    New,
    /// The instance of the slot has failed.
    Failed,
    /// The node of the slot's instance is lost.
    NodeLost,
    /// The instance of the slot is gone without our doing.
    Vanished,
    /// The slot's instance is of an older generation.
    Rollout,
}

/// An instance to remove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remove {
    /// Id of the workload.
    pub id: String,
    /// Why.
    pub reason: RemoveReason,
    /// To be removed only if at least so many other instances of the set are healthy at that moment; 0 = in any case.
    pub healthy_min: u32,
}

/// Why an instance is removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemoveReason {
    /// It has ended.
    Exited,
    /// It was unhealthy for too long.
    Unhealthy,
    /// It never became healthy in the time it had.
    NeverHealthy,
    /// A newer generation has taken its slot.
    Superseded,
    /// It is of a generation that is not wanted any more, and was not serving.
    Outdated,
    /// Another instance holds its slot.
    Surplus,
    /// Fewer instances are wanted.
    ScaledDown,
    /// The set is being removed.
    SetRemoved,
}

/// An instance that stays.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// Id of the workload.
    pub id: String,
    /// Why.
    pub reason: KeepReason,
}

/// Why an instance stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeepReason {
    /// It is healthy and holds its slot.
    Serving,
    /// It is on its way.
    Starting,
    /// It is unhealthy, but not long enough.
    Unhealthy,
    /// Most of the set is unhealthy, so its turn has not come.
    CommonCause,
    /// Its report has expired, which is not death.
    Unknown,
    /// Its runtime may restart it.
    EngineRestarts,
    /// Its node is silent, and may come back.
    NodeSuspect,
    /// Its node is silent, but its engine is there.
    NodeUnwatched,
    /// Its node is lost; decided when it returns.
    NodeLost,
    /// It is being removed already.
    BeingRemoved,
    /// It takes its slot over when it has been healthy long enough.
    TakingOver,
    /// A newer generation is taking its slot over.
    HandingOver,
    /// Its slot has several instances, and it is not settled which one stays.
    Settling,
    /// It is to go, but too few others are healthy.
    TooFewHealthy,
    /// It belongs to someone else.
    Foreign,
}

/// Something that waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// What waits: `set` or `slot N`.
    pub what: String,
    /// Why, one sentence.
    pub reason: String,
    /// Until when; 0 = until something happens.
    pub until: Millis,
}

/// A create whose outcome must be found out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolve {
    /// Slot that it was for.
    pub slot: u32,
    /// Its epoch.
    pub epoch: u64,
    /// Its name.
    pub op_id: String,
}

/// How a set is as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Instances wanted.
    pub want: u32,
    /// Instances that run.
    pub running: u32,
    /// Instances that are healthy, on nodes that are not in doubt.
    pub healthy: u32,
    /// Instances of the newest generation.
    pub updated: u32,
    /// Instances that are on their way.
    pub starting: u32,
    /// Instances beyond the wanted.
    pub surplus: u32,
    /// One word.
    pub phase: Phase,
    /// One sentence.
    pub message: String,
    /// Slot by slot.
    pub slots: Vec<SlotStatus>,
}

/// One word for the state of a set. The first that fits, in this order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It is being removed.
    Removing,
    /// Too many of its nodes vanished at once; nothing is replaced for a while.
    Held,
    /// The newest generation did not become healthy; nothing more is rolled out.
    Stalled,
    /// A newer generation is being rolled out.
    Rolling,
    /// Instances are missing and cannot be made at once.
    Degraded,
    /// Instances are on their way.
    #[default]
    Starting,
    /// There are more instances than wanted; it is settled which ones go.
    Surplus,
    /// All is as it is to be.
    Healthy,
}

/// How one slot is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotStatus {
    /// Number of the slot.
    pub slot: u32,
    /// Id of the workload that holds it; empty = none.
    pub id: String,
    /// One word.
    pub state: SlotState,
    /// Why it is not healthy, one line.
    pub reason: String,
}

/// One word for the state of a slot.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SlotState {
    /// Its instance is healthy.
    Healthy,
    /// Its instance is unhealthy.
    Unhealthy,
    /// Its instance is on its way.
    #[default]
    Starting,
    /// Nothing certain is known of its instance.
    Unknown,
    /// It is tried again later.
    Backoff,
    /// It waits for the set's hold to end.
    Held,
    /// It has no instance.
    Missing,
}

macro_rules! one_word {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.serialize(f)
            }
        }
    )*};
}

one_word!(CreateReason, RemoveReason, KeepReason, Phase, SlotState);
