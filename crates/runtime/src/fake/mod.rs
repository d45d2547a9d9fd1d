//! A simulated engine, in memory: for tests, and for figures about ten thousands of workloads.
//!
//! A workload of it is a record. It runs when it is started and ends when a test control, a stop or its script says so,
//! see [`script`]. The state lives in this process: a restart forgets it, unless the registry was given a folder.
//!
//! # Invariants
//! - No task, no thread: an engine that nobody calls costs its records and nothing else.
//! - What is answered was written to the registry's folder before, where there is one. Output, files, images and networks are
//!   forgotten with the process in any case.

mod endpoint;
mod engine;
mod files;
mod images;
mod journal;
mod networks;
mod output;
mod record;
mod registry;
mod runtime;
pub mod script;
mod session;

pub use endpoint::{EndpointError, FakeOptions, Knobs, Operation};
pub use engine::{Counts, Fake};
pub use registry::FakeRegistry;
