//! The runtime port [`Runtime`] and its implementations: `docker` (containers of a Docker daemon), `process` (plain
//! commands of this machine, with a shim that outlives us) and `fake` (in memory, for tests and scale).
//!
//! # Invariants
//! - Whatever a runtime started goes on when we die, and is found again by name and by label.
//! - Every operation can be repeated: creating by a name that exists finds it, stopping the stopped is no error.
//! - Every implementation passes the one suite in `conformance`.

mod clock;
pub mod conformance;
pub mod docker;
mod events;
pub mod fake;
mod inside;
pub mod port;
pub mod process;
mod reason;
mod restart;

pub use docker::{Docker, DockerOptions, TlsMaterial};
pub use fake::{Fake, FakeOptions, FakeRegistry};
pub use port::*;
pub use process::{Process, ProcessOptions, ShimCommand};
pub use restart::{RestartError, RestartPolicy};
