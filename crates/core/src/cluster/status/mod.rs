//! Reports of workloads: one way in for all of them.
//!
//! Every report, of whichever call, goes through one queue into one writer, which combines what is waiting into batches:
//! the newest per workload, only what changed, each guarded by the existence of its workload.
//!
//! # Invariants
//! - A report is stored only under a workload that exists.
//! - Of two reports of one workload the later one in the agent's order wins, whichever core it came through.
//! - A report that says what is stored already writes nothing and wakes nobody.

mod decide;
mod lease;
mod report;
mod writer;

pub use report::{Outcome, Report};
pub(crate) use writer::StatusService;
pub use writer::StatusWriter;
