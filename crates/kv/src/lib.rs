//! The store port [`Kv`] and its implementations: [`embedded`] (one machine, a durable folder) and [`etcd`] (clusters).
//!
//! # Invariants
//! - The port is etcd-shaped: one revision for all keys, ranges at a revision, guarded transactions, leases, watches.
//! - etcd's limits ([`limits`]) are the port's limits; every implementation refuses what etcd would refuse, with the
//!   same words, before it asks anyone.
//! - Every implementation passes the one suite in [`conformance`].
//! - A watch is never silently behind: it delivers, says `Compacted`, or fails.

mod check;
pub mod conformance;
pub mod embedded;
pub mod etcd;
pub mod port;

pub use embedded::{Embedded, EmbeddedOptions};
pub use etcd::{Etcd, EtcdOptions};
pub use port::*;
