//! Where workloads go: a pure function from nodes and a request to a plan.
//!
//! [`plan`] filters the nodes, asks each resource how many instances a node can take, and lets the strategy spread the
//! instances. One file a resource, one file a strategy.
//!
//! # Invariants
//! - No clock, no randomness, no IO: equal input gives an equal plan, whatever the order of the nodes.
//! - The work grows with the number of nodes, not with the number of instances (GLOBAL excepted, which is n log n).
//! - A plan never gives a node more than it has left; [`lint()`] checks each one independently of how it was made.

mod filter;
mod lint;
mod node;
mod plan;
mod refusal;
mod request;
pub mod resource;
pub mod strategy;

pub use lint::{Fault, lint};
pub use node::{Counts, NodeSnapshot, Quantities, Readiness};
pub use plan::{Assignment, Plan, capacities, plan};
pub use refusal::{Refusal, RefusalKind};
pub use request::{Content, NodeFilter, Request};
pub use strategy::Strategy;
