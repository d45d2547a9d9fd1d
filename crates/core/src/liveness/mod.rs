//! Whether nodes live: a lease is evidence, not a verdict.
//!
//! One core holds the right to judge, bound to a lease. A node whose sign of life is gone is *suspect* at once, for
//! everybody, without anybody writing it. The holder writes what follows from it: *lost*, *unwatched*, *fine* again.
//!
//! | a silent node | is |
//! | --- | --- |
//! | seen silent without a gap for the patience, no brake, engine does not answer | lost: generation raised |
//! | the same, engine answers | unwatched: generation kept |
//! | that is back, in whatever verdict | fine: generation kept |
//!
//! # Invariants
//! - The judge is a pure function of facts and times ([`judge`]).
//! - A verdict is written by compare-and-set, together with proof that the right to judge is still held.
//! - A stall of our own, or of the store, counts for nobody's silence.

mod compact;
mod holder;
mod judge;
mod service;

pub(crate) use service::Liveness;
