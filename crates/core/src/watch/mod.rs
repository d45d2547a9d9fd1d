//! Streams of changes: cursors into the cache's change index, not queues.
//!
//! # Invariants
//! - A subscriber is a filter and a position. It is woken, reads past its position, and sends the newest state of each
//!   workload; nothing is kept for it while it does not read.
//! - A token means that everything up to its revision was sent.
//! - No stream ends in silence: it ends with the client, or with a status that says why.

pub(crate) mod index;
pub(crate) mod signal;

pub use index::TombstoneLimits;
