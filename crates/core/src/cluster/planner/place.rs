//! From what is open of a deploy to placements that are not committed yet.

use super::{
    batch::Planner,
    check::check,
    job::{Answer, Item, Job, Work},
    snapshots::Board,
};
use crate::{
    cluster::{Error, Result, clock::now_ms, locks::Held},
    keys,
    record::{self, OpRecord, Placement, PlacementState, Versioned},
};
use eru_scheduler::{NodeSnapshot, Plan, Request, Strategy};
use eru_types::{
    Allotment, Ident, NodeName, WorkloadName,
    labels::{COREID, ERU, NODENAME},
    limits::DEPLOY_COUNT_MAX,
};
use rand::{Rng, distr::Alphabetic};

/// Letters that make a workload's name unique.
const IDENT_LEN: usize = 6;

impl Planner {
    /// Plans what is open of one deploy.
    pub(super) fn plan(&mut self, work: &mut Work, board: &mut Board) {
        if work.end.is_some() || work.open.as_ref().is_some_and(Vec::is_empty) {
            return;
        }
        let lost_on = std::mem::take(&mut work.lost_on);
        let Some(open) = work.open.replace(Vec::new()) else {
            work.open = None;
            return self.plan_all(work, board);
        };
        match work.job.strategy {
            Strategy::Auto | Strategy::Global | Strategy::Drained => {
                let request = work.request_again(&self.parts.share, None, open.len());
                let plan = decide(&all(board), board, &request);
                self.place_or_fail(work, plan, open, board);
            }
            // These keep to the nodes that were chosen at first. Each by itself: one without room is no obstacle for others.
            Strategy::Each | Strategy::Fill => {
                for (node, open) in lost_on {
                    self.plan_on(work, &node, open, board);
                }
            }
        }
    }

    /// Plans a deploy of which nothing was planned yet.
    fn plan_all(&mut self, work: &mut Work, board: &mut Board) {
        if work.job.gone.is_cancelled() {
            work.end = Some(Ok(Answer::Dropped));
            return;
        }
        match decide(&all(board), board, &work.request(&self.parts.share)) {
            Err(Error::Refused(refusal)) => work.end = Some(Ok(Answer::Refused(*refusal))),
            Err(error) => work.fail(error),
            Ok(plan) => {
                let total = u32::try_from(plan.count()).expect("it was compared with the maximum");
                if !work.job.request.op_id.is_empty() {
                    work.op = Some(op_record(&work.job, total));
                }
                self.place(work, &plan, (0..total).collect(), board);
            }
        }
    }

    /// Plans instances of EACH or FILL again, on the node that they were lost on.
    fn plan_on(&mut self, work: &mut Work, node: &NodeName, open: Vec<u32>, board: &mut Board) {
        let asked = &work.job.request;
        let Some(seat) = board.get(node) else {
            let text = format!("node \"{node}\", which it was planned for, was removed");
            return work.failed.extend(std::iter::repeat_n(text, open.len()));
        };
        let there = seat.snapshot.count(&(asked.app.clone(), asked.entrypoint.clone()));
        if work.job.strategy == Strategy::Fill && there >= asked.count {
            // Others have filled it up meanwhile.
            return;
        }
        let request = work.request_again(&self.parts.share, Some(node), open.len());
        let plan = decide(&[&*seat.snapshot], board, &request);
        let plan = plan.map_err(|error| {
            Error::Precondition(format!("node \"{node}\", which it was planned for, was changed meanwhile: {error}"))
        });
        self.place_or_fail(work, plan, open, board);
    }

    fn place_or_fail(&mut self, work: &mut Work, plan: Result<Plan>, open: Vec<u32>, board: &mut Board) {
        match plan {
            Ok(plan) => self.place(work, &plan, open, board),
            Err(error) => work.failed.extend(std::iter::repeat_n(error.to_string(), open.len())),
        }
    }

    /// Makes the placements of a plan. Instances beyond it are of FILL, and are not needed any more.
    fn place(&mut self, work: &mut Work, plan: &Plan, open: Vec<u32>, board: &mut Board) {
        let now = now_ms();
        let each = plan.assignments.iter().flat_map(|a| plan.allotments(a).into_iter().map(|held| (&a.node, held)));
        for ((node, allotment), seq) in each.zip(open) {
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
}

fn all(board: &Board) -> Vec<&NodeSnapshot> {
    board.seats.iter().map(|seat| &*seat.snapshot).collect()
}

/// A plan that was checked.
fn decide(nodes: &[&NodeSnapshot], board: &Board, request: &Request) -> Result<Plan> {
    let plan = eru_scheduler::plan(nodes, request)?;
    // Before the check, whose work grows with the instances.
    if plan.count() > u64::from(DEPLOY_COUNT_MAX) {
        let text = format!("count: this would make {} instances (at most {DEPLOY_COUNT_MAX})", plan.count());
        return Err(Error::Invalid(text));
    }
    check(&plan, board, request)?;
    Ok(plan)
}

fn op_record(job: &Job, count: u32) -> OpRecord {
    OpRecord {
        digest: job.request.digest.clone(),
        app: job.request.app.clone(),
        entrypoint: job.request.entrypoint.clone(),
        count,
        created_at_ms: now_ms(),
        placing: String::new(),
    }
}
