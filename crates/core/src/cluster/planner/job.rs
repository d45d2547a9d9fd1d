//! What the planner is asked, and what it answers.

use crate::{
    cluster::{Result, locks::Held, request::DeployRequest},
    record::{OpRecord, Placement, Versioned},
};
use bytes::Bytes;
use eru_kv::{Guard, Revision};
use eru_scheduler::{Refusal, Request, Share, Strategy};
use eru_types::NodeName;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// A deploy that waits to be planned.
pub(crate) struct Job {
    pub(crate) request: Arc<DeployRequest>,
    pub(crate) strategy: Strategy,
    /// Cancelled when nobody waits for it any more: then it is not begun.
    pub(crate) gone: CancellationToken,
    pub(crate) reply: oneshot::Sender<Result<Answer>>,
}

/// What became of a deploy.
pub(crate) enum Answer {
    /// Its placements are committed; `failed` has one text for each instance that could not be.
    Placed {
        /// The placements.
        planned: Vec<Planned>,
        /// Why the others are not.
        failed: Vec<String>,
    },
    /// It does not fit.
    Refused(Refusal),
    /// Its op id was used before.
    Known(OpRecord),
    /// Nobody waited for it any more when its turn came.
    Dropped,
}

/// A committed placement. Its lock is held from before the commit on, so that nobody takes it for abandoned.
pub(crate) struct Planned {
    pub(crate) placement: Versioned<Placement>,
    pub(crate) revision: Revision,
    pub(crate) held: Held,
}

/// A placement that is not committed yet.
pub(super) struct Item {
    pub(super) placement: Versioned<Placement>,
    pub(super) key: Bytes,
    pub(super) value: Bytes,
    pub(super) held: Held,
}

/// A deploy on its way through the rounds of a batch.
pub(super) struct Work {
    pub(super) job: Job,
    /// The owner's fence.
    pub(super) fence: Option<Guard>,
    /// What the op key says, once the number of instances is known.
    pub(super) op: Option<OpRecord>,
    /// Whether the op key is committed.
    pub(super) claimed: bool,
    /// Whether it says there that more is to be committed.
    pub(super) says_placing: bool,
    /// Numbers of the instances that are to be planned (again); `None` = nothing was planned yet.
    pub(super) open: Option<Vec<u32>>,
    /// The same by the nodes that they were lost on.
    pub(super) lost_on: BTreeMap<NodeName, Vec<u32>>,
    /// Planned, not committed.
    pub(super) items: Vec<Item>,
    /// Committed.
    pub(super) planned: Vec<Planned>,
    pub(super) failed: Vec<String>,
    /// Rounds that lost a guard since something was committed.
    pub(super) losses: u32,
    /// The end, when it came early.
    pub(super) end: Option<Result<Answer>>,
}

impl Work {
    pub(super) fn new(job: Job) -> Self {
        Self {
            job,
            fence: None,
            op: None,
            claimed: false,
            says_placing: false,
            open: None,
            lost_on: BTreeMap::new(),
            items: Vec::new(),
            planned: Vec::new(),
            failed: Vec::new(),
            losses: 0,
            end: None,
        }
    }

    /// Whether there is still something to plan or to commit.
    pub(super) fn is_open(&self) -> bool {
        self.end.is_none() && (self.open.as_ref().is_none_or(|open| !open.is_empty()) || !self.items.is_empty())
    }

    /// Ends it with an error: of the whole deploy when nothing is committed, otherwise of each instance that is not.
    pub(super) fn fail(&mut self, error: crate::cluster::Error) {
        let left = self.items.len() + self.open.as_ref().map_or(0, Vec::len);
        self.items.clear();
        self.open = Some(Vec::new());
        if self.planned.is_empty() && self.failed.is_empty() {
            self.end = Some(Err(error));
        } else {
            self.failed.extend(std::iter::repeat_n(error.to_string(), left));
        }
    }

    /// What the scheduler is asked at first.
    pub(super) fn request(&self, share: &Share) -> Request {
        let request = &self.job.request;
        Request {
            app: request.app.clone(),
            entrypoint: request.entrypoint.clone(),
            filter: request.filter.clone(),
            content: request.content,
            demand: request.demand.clone(),
            share: *share,
            count: request.count,
            nodes_limit: request.nodes_limit,
            strategy: self.job.strategy,
            spread_label: request.spread_label.clone(),
            node_max: request.node_max,
        }
    }

    /// What the scheduler is asked for `open` instances that are planned again, those of EACH and FILL on their node.
    pub(super) fn request_again(&self, share: &Share, on: Option<&NodeName>, open: usize) -> Request {
        let mut asked = self.request(share);
        if let Some(on) = on {
            // A node that was named is taken as it is, others must be ready as at first.
            asked.filter.includes.retain(|node| node == on);
            asked.nodes_limit = 0;
        }
        if self.job.strategy != Strategy::Fill {
            asked.count = u32::try_from(open).expect("a deploy has at most ten thousand instances");
        }
        asked
    }

    /// Tells whoever waits.
    pub(super) fn finish(self) {
        let answer = self.end.unwrap_or(Ok(Answer::Placed { planned: self.planned, failed: self.failed }));
        // Whoever waited may be gone: what is committed is found by recovery then.
        let _ = self.job.reply.send(answer);
    }
}
