//! The workloads of a filter and their statuses, kept in memory over the extended status stream.
//!
//! | part | does |
//! | --- | --- |
//! | [`fold`] | pure: messages in, the whole and what changed out |
//! | [`changes`] | pure: what one reader has not seen yet, newest per workload |
//! | `run` | the stream: connect, read, notice silence, reconnect |
//!
//! # Invariants
//! - What [`Informer::snapshot`] shows is a whole that a core once sent: a snapshot that was cut short is thrown away.
//! - A reader that falls behind is sent the newest state of each workload, and never costs more than the workloads it knows
//!   and those that are there.

pub mod changes;
pub mod entry;
pub mod fold;
mod handle;
mod options;
mod run;

pub use changes::{Change, Changes, Progress};
pub use entry::{Entry, Snapshot};
pub use handle::{Informer, Stopped};
pub use options::{Filter, InformerOptions};
