//! Streams of changes: cursors into the cache's change index, not queues.
//!
//! # Invariants
//! - A subscriber is a filter and a position. It is woken, reads past its position, and sends the newest state of each
//!   workload; nothing is kept for it while it does not read.
//! - A token means that everything up to its revision was sent.
//! - No stream ends in silence: it ends with the client, or with a status that says why.
//! - A workload's message is encoded once, however many subscribers get it.

mod frame;
pub(crate) mod index;
mod limits;
pub mod nodes;
mod request;
pub mod serve;
pub(crate) mod signal;
mod subscription;
#[cfg(test)]
mod tests;
mod token;

pub use frame::Frame;
pub use index::TombstoneLimits;
pub use limits::StreamLimits;
pub use request::{Extended, Subscribe};
pub use subscription::subscribe;
pub use token::{Malformed, Token};
