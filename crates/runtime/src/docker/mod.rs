//! Workloads as containers of a Docker daemon.
//!
//! # Invariants
//! - No server certificate goes unverified, no answer is without a deadline, no body is read without a bound.
//! - What the daemon cannot give is refused or lowered here, with the reason, and not left to fail inside of it.
//! - Output is decoded by what the container is (with a terminal or without), never by what its bytes look like.
//! - A word of the daemon that this code does not know spoils no list.

mod binds;
mod bodies;
mod call;
mod connect;
mod containers;
mod create;
mod events;
mod exec;
mod facts;
mod fault;
mod files;
mod frames;
mod images;
mod inspect;
mod joins;
mod limits;
mod lines;
mod logs;
mod networks;
mod options;
mod raw;
mod reading;
mod reason;
mod runtime;
mod session;
mod target;
mod tls;
mod transport;
mod version;

pub use options::{DockerOptions, TlsMaterial};
pub use runtime::Docker;
