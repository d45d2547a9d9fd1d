//! Deploys that met other cores at the same nodes: how often they try again, and how long they wait between.

use super::{job::Work, pack::Chunk};
use crate::cluster::{Error, fence::Fences};
use std::{collections::HashSet, time::Duration};

/// How many rounds in a row a deploy may lose a guard, and commit nothing, before it is given back to the client. Others
/// make progress meanwhile; with the waits between, so many take very many busy cores.
const LOSSES_MAX: u32 = 64;
/// Longest wait after a round that lost a guard, doubled with every loss: long enough for a few cores to commit.
const WAIT_MAX: Duration = Duration::from_millis(32);

/// Counts a round that `losers` lost a guard in.
pub(super) fn count(works: &mut [Work], losers: HashSet<usize>) {
    for work in losers {
        let work = &mut works[work];
        work.losses += 1;
        if work.losses > LOSSES_MAX && work.is_open() {
            let text = "other cores changed the same nodes again and again; try again";
            work.fail(Error::Conflict(text.into()));
        }
    }
}

/// How long to wait at most before the next round, if a guard was lost: a random part of it, because cores with equal
/// plans for equal nodes would meet again and again.
pub(super) fn longest_wait(works: &[Work]) -> Option<Duration> {
    let losses =
        works.iter().filter(|work| work.is_open()).map(|work| work.losses).max().filter(|losses| *losses > 0)?;
    Some(Duration::from_millis(1 << losses.min(16)).min(WAIT_MAX))
}

/// Forgets what the owners' epochs were held to be. To be called when a guard was lost that was none of nodes and op keys:
/// then an epoch was raised.
pub(super) fn forget_fences(works: &mut [Work], chunk: &Chunk, fences: &Fences) {
    for work in &chunk.works {
        let work = &mut works[*work];
        if work.fence.take().is_some() {
            fences.forget(work.job.request.owner.as_ref().expect("who has a fence has an owner"));
        }
    }
}
