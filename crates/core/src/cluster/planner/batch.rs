//! The rounds of a batch.

use super::{
    Parts,
    commit::{Outcome, commit, fail_all},
    job::{Answer, Item, Job, Planned, Work},
    losses,
    pack::{At, Chunk, pack},
    snapshots::{Basis, Snapshots},
};
use crate::{
    cluster::{Error, read::read, writer::copy},
    keys,
    record::{self, OpRecord, Versioned},
};
use eru_kv::{Durability, Guard, GuardedPut, LeaseId, Revision, limits};
use eru_types::NodeName;
use futures::{StreamExt, stream};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

/// Transactions of one round on their way at a time.
const COMMITS_MAX: usize = 8;
/// How long the cache may take to bring what was committed.
const CACHE_PATIENCE: Duration = Duration::from_secs(5);

/// What plans for nodes are based on, as of the last round.
type Bases = HashMap<NodeName, Basis>;

pub(super) struct Planner {
    pub(super) parts: Parts,
    pub(super) rng: StdRng,
    snapshots: Snapshots,
    /// The newest revision that a plan must know of.
    seen: Revision,
}

impl Planner {
    pub(super) fn new(parts: Parts) -> Self {
        let rng = StdRng::seed_from_u64(parts.seed);
        Self { parts, rng, snapshots: Snapshots::default(), seen: Revision(0) }
    }

    /// Plans and commits; every job gets its answer.
    pub(super) async fn batch(&mut self, mut jobs: Vec<Job>) {
        // Of deploys with one op id only the first can claim it; the others find it claimed in their turn.
        while !jobs.is_empty() {
            let mut ops = HashSet::new();
            let first = |job: &mut Job| job.request.op_id.is_empty() || ops.insert(job.request.op_id.clone());
            let turn: Vec<Job> = jobs.extract_if(.., first).collect();
            self.turn(turn).await;
        }
    }

    async fn turn(&mut self, jobs: Vec<Job>) {
        let mut works: Vec<Work> = jobs.into_iter().map(Work::new).collect();
        self.find_ops(&mut works, |work| work.is_open()).await;
        let mut bases = Bases::new();
        while works.iter().any(Work::is_open) {
            if !self.parts.cache.wait_for(self.seen, CACHE_PATIENCE).await {
                let text = format!("the cache did not reach revision {} in {CACHE_PATIENCE:?}; try again", self.seen);
                works.iter_mut().filter(|w| w.is_open()).for_each(|w| w.fail(Error::Unavailable(text.clone())));
                break;
            }
            let mut board = self.snapshots.board(self.parts.cache.nodes(None));
            for work in &mut works {
                // A node that is gone has no seat: what was planned on it can never be committed.
                reopen(work, |node| board.get(node).is_none_or(|seat| bases.get(node) != Some(&seat.basis)));
                work.items.iter().for_each(|item| board.take(&item.placement));
            }
            for work in works.iter_mut().filter(|w| w.is_open()) {
                self.fence(work).await;
                self.plan(work, &mut board);
            }
            let chunks = pack(&works, &board);
            self.parts.faults.point("deploy.before_commit").await;
            let outcomes = self.commit(&works, chunks).await;
            let planned = works.iter().flat_map(|work| &work.items).map(|item| &item.placement.node);
            bases = planned.filter_map(|node| board.get(node).map(|seat| (node.clone(), seat.basis))).collect();
            self.settle(&mut works, outcomes, &mut bases);
            if let Some(longest) = losses::longest_wait(&works) {
                tokio::time::sleep(longest.mul_f64(self.rng.random())).await;
            }
        }
        // What has no room may have it taken by its own instances, which another core made meanwhile.
        self.find_ops(&mut works, |work| matches!(work.end, Some(Ok(Answer::Refused(_))))).await;
        self.end_placing(&works).await;
        works.into_iter().for_each(Work::finish);
    }

    /// Ends those deploys whose op ids were used before, so that they are not planned once more.
    async fn find_ops(&self, works: &mut [Work], of: impl Fn(&Work) -> bool) {
        let asking: Vec<usize> =
            (0..works.len()).filter(|w| !works[*w].job.request.op_id.is_empty() && of(&works[*w])).collect();
        for asking in asking.chunks(limits::TXN_OPS_MAX) {
            let keys: Vec<_> = asking.iter().map(|w| keys::op(&works[*w].job.request.op_id)).collect();
            match read(&*self.parts.kv, &keys).await {
                Ok(found) => {
                    for (w, kv) in asking.iter().zip(found.values) {
                        if let Some(kv) = kv {
                            known(&mut works[*w], &kv.value);
                        }
                    }
                }
                Err(error) => asking.iter().for_each(|w| works[*w].fail(copy(&error).into())),
            }
        }
    }

    /// Says of deploys that took several transactions that nothing more of them will be committed, as whoever repeats one
    /// through another core waits for that.
    async fn end_placing(&self, works: &[Work]) {
        let put = |work: &Work| {
            let key = keys::op(&work.job.request.op_id);
            let value = record::encode(&Versioned::new(work.op.clone()?));
            Some(GuardedPut { guards: vec![Guard::Exists(key.clone())], key, value, lease: LeaseId(0) })
        };
        let puts: Vec<GuardedPut> = works.iter().filter(|work| work.says_placing).filter_map(put).collect();
        if !puts.is_empty()
            && let Err(error) = self.parts.kv.put_each(puts, Durability::Durable).await
        {
            tracing::warn!(%error, "large deploys go on as unfinished; their repeats through other cores wait in vain");
        }
    }

    async fn fence(&self, work: &mut Work) {
        let Some(owner) = &work.job.request.owner else { return };
        if work.end.is_none() && work.fence.is_none() {
            match self.parts.fences.guard(&*self.parts.kv, owner).await {
                Ok(guard) => work.fence = Some(guard),
                Err(error) => work.fail(error),
            }
        }
    }

    async fn commit(&self, works: &[Work], chunks: Vec<Chunk>) -> Vec<(Chunk, Outcome)> {
        let kv = &*self.parts.kv;
        let commits = chunks.into_iter().map(|chunk| {
            let txn = chunk.txn(works, &self.parts.instance);
            async move {
                let outcome = commit(kv, txn, &chunk).await;
                (chunk, outcome)
            }
        });
        stream::iter(commits).buffer_unordered(COMMITS_MAX).collect().await
    }

    /// Takes in what became of a round's transactions.
    fn settle(&mut self, works: &mut [Work], outcomes: Vec<(Chunk, Outcome)>, bases: &mut Bases) {
        // What is committed is taken out first, all at once: the others are known by their places in the same lists.
        let mut committed: HashMap<At, Revision> = HashMap::new();
        for (chunk, outcome) in &outcomes {
            if let Outcome::Done(revision) = outcome {
                self.seen = self.seen.max(*revision);
                for (node, basis) in &chunk.nodes {
                    bases.insert(node.clone(), Basis { version: *revision, record: basis.record });
                }
                for work in &chunk.claims {
                    works[*work].claimed = true;
                    works[*work].says_placing = chunk.is_part(works, *work);
                }
                chunk.works.iter().for_each(|work| works[*work].losses = 0);
                committed.extend(chunk.items.iter().map(|at| (*at, *revision)));
            }
        }
        take_out(works, &committed);
        let mut losers = HashSet::new();
        for (chunk, outcome) in outcomes {
            match outcome {
                Outcome::Done(_) => {}
                Outcome::Lost { revision, nodes, ops } => {
                    self.seen = self.seen.max(revision);
                    tracing::debug!(%revision, nodes = nodes.len(), ops = ops.len(), "placements lost a guard");
                    if nodes.is_empty() && ops.is_empty() {
                        losses::forget_fences(works, &chunk, &self.parts.fences);
                    }
                    losers.extend(chunk.works);
                    // A changed node's basis is gone: what was planned on it is opened in the next round.
                    bases.retain(|node, _| !nodes.contains(node));
                    ops.into_iter().for_each(|(work, value)| known(&mut works[work], &value));
                }
                Outcome::Failed(error) => fail_all(works, &chunk, &error),
            }
        }
        losses::count(works, losers);
    }
}

/// Ends a deploy whose op id was used before.
fn known(work: &mut Work, value: &[u8]) {
    work.items.clear();
    work.end = Some(match record::decode::<OpRecord>(value) {
        Ok(known) => Ok(Answer::Known(known.record)),
        Err(error) => Err(Error::Internal(format!("op {}: {error}", work.job.request.op_id))),
    });
}

/// Opens the instances whose nodes have changed since they were planned.
fn reopen(work: &mut Work, changed: impl Fn(&NodeName) -> bool) {
    if work.items.is_empty() {
        return;
    }
    let (lost, kept): (Vec<Item>, Vec<Item>) =
        std::mem::take(&mut work.items).into_iter().partition(|item| changed(&item.placement.node));
    work.items = kept;
    for item in lost {
        work.open.get_or_insert_default().push(item.placement.seq);
        work.lost_on.entry(item.placement.node.clone()).or_default().push(item.placement.seq);
    }
}

fn take_out(works: &mut [Work], committed: &HashMap<At, Revision>) {
    let touched: HashSet<usize> = committed.keys().map(|(work, _)| *work).collect();
    for w in touched {
        let work = &mut works[w];
        for (i, item) in std::mem::take(&mut work.items).into_iter().enumerate() {
            match committed.get(&(w, i)) {
                Some(revision) => {
                    work.planned.push(Planned { placement: item.placement, revision: *revision, held: item.held });
                }
                None => work.items.push(item),
            }
        }
    }
}
