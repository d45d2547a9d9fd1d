//! The store of a cluster: etcd 3.4 or later, through a thin client of our own.
//!
//! # Invariants
//! - Every key is under the prefix, and nothing outside of it is read or written; callers never see the prefix.
//! - One channel for each endpoint; which one is used is decided here, and it changes when the used one fails. Reads are
//!   tried on the next endpoint, writes only when they were certainly not sent.
//! - A watch is resumed behind what it delivered, for as long as it is wanted. It ends with `Compacted`, also when the
//!   server broke its word (an event that belongs before a progress note), or when the cluster is another one.
//! - An etcd that is full is reported, and heals without an operator once keys were removed and compacted.
//! - Not supported yet: TLS, users.

mod convert;
mod endpoints;
mod error;
mod proto;
mod put_each;
mod space;
mod store;
mod watch;

pub use store::{Etcd, EtcdOptions};
