//! What core does not know yet, and the one who tells it.
//!
//! # Invariants
//! - One call is under way at most, so reports of one workload arrive in order.
//! - The newest report of a workload replaces what was waiting; the queue holds one per workload of the node.
//! - A report waits until core has stored it, refused it or knows a newer one.

mod queue;
mod reporter;

pub use queue::{Batch, Counts, Queue};
pub(crate) use reporter::Reporter;
