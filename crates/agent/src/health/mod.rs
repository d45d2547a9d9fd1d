//! Health checks: what is asked, and when.
//!
//! # Invariants
//! - Only the workload's own address is asked: no redirect, no proxy, no name is followed elsewhere.
//! - A probe ends by its deadline and reads no more than its limit, whatever the other side does.

mod http;
mod probe;
mod schedule;
mod tcp;

pub(crate) use probe::in_words;
pub use probe::probe;
pub use schedule::Schedule;
