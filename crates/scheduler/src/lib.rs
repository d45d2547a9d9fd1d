//! Where workloads go: a pure function from nodes and a request to a plan.
//!
//! [`plan`] filters the nodes, asks each resource how many instances a node can take, lets the strategy spread the
//! instances, and decides for each node which cores and devices they get. [`realloc()`] does the same for one workload
//! that is there already. One file a resource, one file a strategy.
//!
//! # Invariants
//! - No clock, no randomness, no IO: equal input gives an equal plan, whatever the order of the nodes.
//! - The work grows with the nodes and their cores, not with the number of instances; nothing is made for an instance
//!   before it is placed, and what is then made for each is only what differs between them.
//! - A plan never gives a node more than it has left; [`lint()`] checks each one independently of how it was made.

mod assignment;
mod filter;
mod lint;
mod node;
mod parts;
mod plan;
pub mod realloc;
mod reason;
mod refusal;
mod request;
pub mod resource;
pub mod strategy;

pub use assignment::{Assignment, CoreRun, Place, Slice, VolumeRun};
pub use lint::{Fault, lint};
pub use node::{Counts, NodeSnapshot, Quantities, Readiness};
pub use parts::{Core, Device, DeviceFree, Free, Group, Parts, PartsUsed};
pub use plan::{Explanation, Plan, Room, capacities, explain, plan};
pub use realloc::realloc;
pub use reason::{Reason, ReasonKind};
pub use refusal::{Refusal, RefusalKind};
pub use request::{Content, NodeFilter, Request, SHARE_BASE, Share};
pub use strategy::Strategy;
