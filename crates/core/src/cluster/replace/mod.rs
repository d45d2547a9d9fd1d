//! Replacing workloads one for one, on the node and with the resources that they have.
//!
//! | step | written before it | if the core dies after it |
//! | --- | --- | --- |
//! | the image is there, files are copied out of the old one | - | nothing was done |
//! | - | the new one's `planned` and the old one's `successor`, in one transaction | undone: the old one is started again |
//! | the old one is stopped, after its hooks | so | undone: the old one is started again |
//! | the new one is made as any other is | so | undone or finished as any other is; undone = the old one is started again |
//! | - | the new one's `running` and the old one's `removing`, in one transaction | the old one is removed |
//! | the old one is removed | so | recovery forgets it |
//!
//! # Invariants
//! - The resources of the two are counted once: a placement with a `successor` counts nothing, the successor counts them.
//!   So a replacement needs no free room, and the sum of a node does not change with any of the transactions above, nor
//!   with the one that takes the new one back ([`Cluster::forget`]): none of them has to raise the node's version.
//! - An old workload is only gone once its replacement runs.
//! - A request with an op id is carried out once. What it replaces is not there any more when it is repeated, or is what it
//!   made itself, so a repeat is refused and told where to look.

mod op;
mod plan;
mod request;
mod run;
mod steps;

pub use request::ReplaceRequest;
pub use run::ReplaceOutcome;
