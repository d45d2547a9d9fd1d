//! The suite that every implementation of the port passes.
//!
//! A runtime joins by a [`Subject`] that can make workloads with a known [`Behaviour`]; each of [`CASES`] then runs on a
//! runtime of its own. A case panics where the promise of the port is broken.

mod cases;
mod subject;

pub use cases::{CASES, Case};
pub use subject::{Behaviour, Subject, request, within};
