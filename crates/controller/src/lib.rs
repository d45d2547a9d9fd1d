//! The watch application: keeps ReplicaSets alive on top of core's public API.
//!
//! ```text
//! status stream ──> observe ──wakes──> worker (one a set) ──plan──> act ──> CreateWorkload, RemoveWorkload
//!                                        ^   │
//!        api ──> sets (one task) ──desired   └──> store (slots, before any create)
//! ```
//!
//! # Invariants
//! - No decision is made here: workers call [`eru_reconcile::reconcile`] and carry out what it says.
//! - No act on old knowledge: without a live status stream nothing is created or removed.
//! - A create is on record, with its name, before it is sent; an answer that was lost is asked for again by that name.
//! - Every act carries the owner and the leader's epoch; core refuses the acts of an earlier leader.
//! - What goes wrong with one set is that set's alone: it is shown in its status, tried again, and stops no other. Only the loss
//!   of leadership ends the work of all.
//! - One writer per record: `sets` writes specs, a set's worker writes its slots and progress.

mod act;
mod api;
mod clock;
mod controller;
mod error;
mod keys;
mod leader;
mod observe;
mod options;
mod record;
mod serve;
mod sets;
mod shown;
mod spec;
mod store;
mod trouble;
mod view;
mod worker;

pub use controller::{Controller, Handle};
pub use error::Error;
pub use options::{ControllerOptions, Leadership, StoreChoice};
