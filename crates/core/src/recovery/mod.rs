//! Finishing or undoing what a core left half done, and sweeping away what belongs to nobody.
//!
//! | placement | whose core is gone | of this core, but nobody works on it |
//! | --- | --- | --- |
//! | `planned` | undone: its client was told nothing | undone |
//! | `created` | started, and `running`; undone if it cannot be started | undone: its client was told that it failed |
//! | `running` | left alone | left alone |
//! | any, of a run to the end | undone: nobody is left who waits for it | undone |
//! | `removing` | removed from the engine, then gone; tried again while the node does not answer | the same |
//!
//! The second column also is what a removal for a node that did not answer comes to: it waits here until the node is back.
//!
//! # Invariants
//! - A placement of another core is taken over by compare-and-set before anything is done with it; a core that was only
//!   slow loses its next write and stops.
//! - Level-triggered: each look reads all placements; what wakes it is only a hint.
//! - The sweep touches only objects that carry our cluster's label and the node's name, have had no placement for
//!   [`RecoveryOptions::orphan_age`], and were not dissociated. A placement whose value this core cannot read is one.

mod placements;
mod sweep;

use crate::cluster::Cluster;
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// How recovery goes about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecoveryOptions {
    /// No other core can be on this store: whatever is not of this core is of a dead one.
    pub alone: bool,
    /// How often placements are looked at, besides whenever a core goes.
    pub look_every: Duration,
    /// How often engines are looked at.
    pub sweep_every: Duration,
    /// How long an engine object or a report has no placement before it is removed.
    pub orphan_age: Duration,
}

impl RecoveryOptions {
    /// The defaults.
    pub fn new(alone: bool) -> Self {
        Self {
            alone,
            look_every: Duration::from_secs(2),
            sweep_every: Duration::from_secs(15),
            orphan_age: Duration::from_secs(60),
        }
    }
}

/// Recovers until `shutdown`.
pub async fn run(cluster: Arc<Cluster>, options: RecoveryOptions, shutdown: CancellationToken) {
    let working = async {
        tokio::join!(placements::run(&cluster, options), sweep::run(&cluster, options));
    };
    tokio::select! {
        () = shutdown.cancelled() => {}
        () = working => {}
    }
}

/// One look at all placements; answers how many it dealt with. What [`run`] does again and again.
///
/// # Errors
/// What the store answered.
pub async fn look(cluster: &Arc<Cluster>, alone: bool) -> crate::cluster::Result<usize> {
    placements::look(cluster, alone).await
}

pub use sweep::Sweep;
