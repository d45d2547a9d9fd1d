//! What others build on: a client that knows all cores, and an informer that knows all workloads.
//!
//! - [`Client`] holds one connection per core, calls the one that answers and fails over to the next.
//! - [`Informer`] keeps the workloads of a filter and their statuses in memory, always whole and nearly always now.
//!
//! # Invariants
//! - A write is sent to a second core only when it surely never reached the first.
//! - Nobody can see a half-read snapshot.
//! - Nothing here decides: it tells what is there.

mod address;
mod backoff;
mod client;
mod credentials;
mod endpoints;
mod error;
pub mod informer;
mod options;
mod route;

pub use address::{Address, AddressError, Fault};
pub use backoff::Backoff;
pub use client::{Client, Retry};
pub use credentials::{CredentialsError, Transport};
pub use error::{ConnectError, Error};
pub use informer::{Change, Changes, Entry, Filter, Informer, InformerOptions, Progress, Snapshot};
pub use options::ClientOptions;
pub use route::{AgentRpc, ControllerRpc, CoreRpc, Route};
