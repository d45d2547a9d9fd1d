//! Keeps N instances alive, on paper: [`reconcile`] takes what a set is to be, what is there and what time it is, and
//! returns everything that is to be done, each item with its reason.
//!
//! A set wants N instances in slots. Each replacement of a slot raises the slot's epoch; of several live instances in
//! one slot one owns it (see `returns`), the others are on their way in or out.
//!
//! # Invariants
//! - No clock, no randomness, no IO, no async: equal input gives an equal plan, whatever the order of its lists.
//! - Every instance of the view leaves with exactly one verdict and one reason, in [`Plan::removes`] or
//!   [`Plan::keeps`].
//! - A plan's own removals never take the set below `min(count, healthy before)` healthy instances.
//! - Run on what it returned, it creates nothing new: an open [`Intent`] counts as an instance.
//! - An expired or unknown status is never taken for death; neither is a node that is suspect or unwatched.

mod backoff;
mod classify;
mod millis;
mod missing;
mod pace;
mod plan;
mod reconcile;
mod returns;
mod rollout;
mod set;
mod status;
mod surplus;
mod view;
mod work;

pub use backoff::{FAILURE_DELAY_MAX, create_failed, delay_after, forget_intent};
pub use millis::Millis;
pub use missing::{HOLD_MAX, INTENT_TTL, op_id};
pub use pace::SlowStart;
pub use plan::{
    Create, CreateReason, Hold, Keep, KeepReason, Phase, Plan, Remove, RemoveReason, Resolve, SlotState, SlotStatus,
    Status,
};
pub use reconcile::reconcile;
pub use set::{Policy, Set, Strategy, UnknownPolicy};
pub use view::{Instance, InstancePhase, Intent, Node, NodeState, Slot, View};
