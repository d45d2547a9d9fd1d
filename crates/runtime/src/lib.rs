//! The runtime port [`Runtime`] and its implementations: `process` (plain commands of this machine, with a shim that
//! outlives us) and `fake` (in memory, for tests and scale). Docker joins them later.
//!
//! # Invariants
//! - Whatever a runtime started goes on when we die, and is found again by name and by label.
//! - Every operation can be repeated: creating by a name that exists finds it, stopping the stopped is no error.
//! - Every implementation passes the one suite in `conformance`.

mod clock;
pub mod conformance;
mod events;
pub mod fake;
pub mod port;
pub mod process;
mod reason;
mod restart;

pub use fake::{Fake, FakeOptions, FakeRegistry};
pub use port::*;
pub use process::{Process, ProcessOptions, ShimCommand};
pub use restart::{RestartError, RestartPolicy};
