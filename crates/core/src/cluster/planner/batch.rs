//! The rounds of a batch.

use super::{
    Parts,
    check::check,
    commit::{Outcome, commit, fail_all},
    job::{Answer, Item, Job, Planned, Work},
    losses,
    pack::{At, Chunk, pack},
    snapshots::{Basis, Board, Snapshots},
};
use crate::{
    cluster::{Error, clock::now_ms, locks::Held, read::read, writer::copy},
    keys,
    record::{self, OpRecord, Placement, PlacementState, Versioned},
};
use eru_kv::{Revision, limits};
use eru_scheduler::{NodeSnapshot, Plan, Strategy};
use eru_types::{
    Allotment, Ident, NodeName, WorkloadName,
    labels::{COREID, ERU, NODENAME},
    limits::DEPLOY_COUNT_MAX,
};
use futures::{StreamExt, stream};
use rand::{Rng, SeedableRng, distr::Alphabetic, rngs::StdRng};
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

/// Transactions of one round on their way at a time.
const COMMITS_MAX: usize = 8;
/// How long the cache may take to bring what was committed.
const CACHE_PATIENCE: Duration = Duration::from_secs(5);
/// Letters that make a workload's name unique.
const IDENT_LEN: usize = 6;

/// What plans for nodes are based on, as of the last round.
type Bases = HashMap<NodeName, Basis>;

pub(super) struct Planner {
    parts: Parts,
    rng: StdRng,
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

    async fn fence(&self, work: &mut Work) {
        let Some(owner) = &work.job.request.owner else { return };
        if work.end.is_none() && work.fence.is_none() {
            match self.parts.fences.guard(&*self.parts.kv, owner).await {
                Ok(guard) => work.fence = Some(guard),
                Err(error) => work.fail(error),
            }
        }
    }

    /// Plans what is open of one deploy.
    fn plan(&mut self, work: &mut Work, board: &mut Board) {
        if work.end.is_some() || work.open.as_ref().is_some_and(Vec::is_empty) {
            return;
        }
        if work.open.is_none() && work.job.gone.is_cancelled() {
            work.end = Some(Ok(Answer::Dropped));
            return;
        }
        let request = work.scheduler_request(&self.parts.share);
        let snapshots = board.seats.iter().map(|seat| &*seat.snapshot);
        let nodes: Vec<&NodeSnapshot> = snapshots.filter(|node| work.may_use(&node.name)).collect();
        let plan = match eru_scheduler::plan(&nodes, &request) {
            Ok(plan) => plan,
            Err(refusal) => {
                match work.open.replace(Vec::new()) {
                    None => work.end = Some(Ok(Answer::Refused(refusal))),
                    Some(open) => work.failed.extend(std::iter::repeat_n(refusal.to_string(), open.len())),
                }
                return;
            }
        };
        // Before the check, whose work grows with the instances.
        if plan.count() > u64::from(DEPLOY_COUNT_MAX) {
            let text = format!("count: this would make {} instances (at most {DEPLOY_COUNT_MAX})", plan.count());
            return work.fail(Error::Invalid(text));
        }
        if let Err(fault) = check(&plan, board, &request) {
            return work.fail(fault);
        }
        let total = u32::try_from(plan.count()).expect("it was compared with the maximum");
        if work.open.is_none() && !work.job.request.op_id.is_empty() {
            work.op = Some(op_value(&work.job, total));
        }
        let open = work.open.take().unwrap_or_else(|| (0..total).collect());
        work.lost_on.clear();
        self.place(work, &plan, open, board);
    }

    /// Makes the placements of a plan. Of instances beyond it, planned again, those of FILL are not needed any more, and
    /// those of EACH have lost their node.
    fn place(&mut self, work: &mut Work, plan: &Plan, open: Vec<u32>, board: &mut Board) {
        let now = now_ms();
        let each = plan.assignments.iter().flat_map(|a| plan.allotments(a).into_iter().map(|held| (&a.node, held)));
        let mut open = open.into_iter();
        for ((node, allotment), seq) in each.zip(&mut open) {
            let pod = board.get(node).expect("a plan names nodes of the board").snapshot.pod.clone();
            let (name, held) = self.name(&work.job);
            let request = &work.job.request;
            let mut spec = request.spec.clone();
            spec.labels.set(ERU, "1");
            spec.labels.set(NODENAME, node.as_str());
            spec.labels.set(COREID, self.parts.core_id.as_str());
            let placement = Versioned::new(Placement {
                name,
                pod,
                node: node.clone(),
                state: PlacementState::Planned,
                resources: plan.demand.resources,
                allotment: Allotment::clone(&allotment),
                spec,
                engine_id: None,
                core: self.parts.instance.clone(),
                op_id: request.op_id.clone(),
                seq,
                owner: request.owner.as_ref().map(|owner| owner.name.clone()).unwrap_or_default(),
                created_at_ms: now,
                replaces: None,
                successor: None,
            });
            board.take(&placement);
            let key = keys::placement(node, &placement.name);
            work.items.push(Item { key, value: record::encode(&placement), placement, held });
        }
        if work.job.strategy == Strategy::Each {
            let text = || "not enough resource: the node that it was planned for may not be used any more, or is full";
            work.failed.extend(open.map(|_| text().to_owned()));
        }
        work.open = Some(Vec::new());
    }

    /// A name that nobody has, with its lock.
    fn name(&mut self, job: &Job) -> (WorkloadName, Held) {
        loop {
            let ident: String = (&mut self.rng).sample_iter(Alphabetic).take(IDENT_LEN).map(char::from).collect();
            let name = WorkloadName {
                app: job.request.app.clone(),
                entrypoint: job.request.entrypoint.clone(),
                ident: Ident::new(ident).expect("six letters are an ident"),
            };
            if self.parts.cache.workload_by_name(&name).is_none()
                && let Some(held) = self.parts.locks.try_acquire(name.to_string())
            {
                return (name, held);
            }
        }
    }

    async fn commit(&self, works: &[Work], chunks: Vec<Chunk>) -> Vec<(Chunk, Outcome)> {
        let kv = &*self.parts.kv;
        let commits = chunks.into_iter().map(|chunk| {
            let txn = chunk.txn(works);
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
                chunk.claims.iter().for_each(|work| works[*work].claimed = true);
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
        if !work.lost_on.contains(&item.placement.node) {
            work.lost_on.push(item.placement.node.clone());
        }
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

fn op_value(job: &Job, count: u32) -> bytes::Bytes {
    record::encode(&Versioned::new(OpRecord {
        digest: job.request.digest.clone(),
        app: job.request.app.clone(),
        entrypoint: job.request.entrypoint.clone(),
        count,
        created_at_ms: now_ms(),
    }))
}
