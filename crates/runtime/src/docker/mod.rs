//! Workloads as containers of a Docker daemon.
//!
//! # Invariants
//! - No server certificate goes unverified, no unary call is without a deadline, no body is read without a bound.
//! - What the daemon cannot give is refused or lowered here, with the reason, and not left to fail inside of it.
//! - Output is decoded by what the container is (with a terminal or without), never by what its bytes look like.

mod options;
mod runtime;
mod tls;

pub use options::{DockerOptions, TlsMaterial};
pub use runtime::Docker;
