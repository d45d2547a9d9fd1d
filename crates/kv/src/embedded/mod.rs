//! The store of one machine: everything in memory, made durable in one folder.
//!
//! A write is applied to memory under one lock, and the order of the lock is the order of revisions. What is applied is
//! *published* (readable, sent to watchers) at once when it is an observed write and nothing before it still waits for
//! the disk; otherwise after the next commit. One thread, the committer, owns the database file: each commit writes the
//! newest state of every key changed since the last one, so a commit covers all writes that came in during the one
//! before (group commit), and the file always holds a prefix of history.
//!
//! # Invariants
//! - Nothing durable is acknowledged or published before it is on disk; publication is in revision order.
//! - A commit that fails takes back everything unpublished; those who wait get the error, and the store goes on.
//! - Revisions never repeat: a block of them is reserved on disk before observed writes may be published past it, and a
//!   start after an unclean stop begins behind the block. The store epoch is raised then, if observed writes may be lost.
//! - History (old revisions, events) is in memory only: after a start it begins with the revision after the one on disk.
//! - The restart of a store is no evidence of anybody's death: every lease begins anew at start, and a stall of this
//!   process moves every deadline by its length.

mod apply;
mod committer;
mod dirty;
mod disk;
#[cfg(test)]
mod failing_disk_tests;
mod history;
mod lease;
mod state;
mod store;
mod watch;

pub use store::{Embedded, EmbeddedOptions};
