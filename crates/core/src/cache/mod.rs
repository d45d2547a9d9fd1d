//! The store at one revision, indexed: what every read and every stream of a core is answered from.
//!
//! One [`Cache`] per core is fed by one watch over the whole prefix: a paged load at a revision, then every change after
//! it. Readers get `Arc`s and never wait for the feeder longer than it takes to apply one batch.
//!
//! # Invariants
//! - A reader sees whole revisions only, and the revision never goes back.
//! - What a node has given away is summed here from its placements, one by one as they come and go; nothing else sums it.
//! - A value that does not decode is set aside and counted; the last one that did stays in force.
//! - The status that is shown is derived ([`shown()`]) and never stored.
//! - Nothing in here decides or writes.

mod derive;
mod feed;
mod filter;
mod node;
mod past;
mod placing;
mod question;
mod reader;
mod shown;
mod state;
mod sum;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod wire;
mod workload;

pub use feed::CacheOptions;
pub use filter::WorkloadFilter;
pub use node::{NodeLife, NodeState, NodeView, PodEntry};
pub use reader::Cache;
pub use shown::{Shown, shown};
pub use wire::{to_pb_status, to_pb_workload};
pub use workload::WorkloadView;

pub(crate) use node::{NodeChange, NodeSlot};
pub(crate) use past::Wanted;
pub(crate) use reader::Parts;
pub(crate) use state::State;
#[cfg(test)]
pub(crate) use sum::PartsSum;
pub(crate) use workload::Serial;
