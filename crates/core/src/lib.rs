//! The scheduler and its API: everything that `eru-core` is.
//!
//! Rooms: [`rpc`] converts, calls, converts; [`cluster`] has one verb a file; [`cache`] is the store at one revision;
//! [`watch`] serves its changes to subscribers; [`liveness`] judges nodes; [`recovery`] finishes or undoes what a dead
//! core left; [`keys`] spells the store's keys and [`record`] its values.

pub mod cache;
pub mod cluster;
pub mod fault;
pub mod keys;
pub mod liveness;
pub mod options;
mod parts;
pub mod record;
pub mod recovery;
pub mod rpc;
pub mod server;
pub mod watch;

pub use options::{CoreOptions, Listen, StoreClass};
pub use parts::Broken;
pub use server::{BuildError, Core, CoreHandle};
