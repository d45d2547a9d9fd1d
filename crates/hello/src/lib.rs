//! `eru-hello`: a small HTTP server to try Eru with. It says who it is, and fails in the ways that a watched application
//! can fail: unhealthy, gone, hanging, or deaf to SIGTERM.
//!
//! # Invariants
//! - It listens on `ERU_IP` where that is set, so that copies of it share one port on one machine.
//! - One thread, a bounded number of connections, no request body is read.

mod args;
mod respond;
mod serve;

pub use serve::main;
