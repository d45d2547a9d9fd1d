//! A plan is checked before it is believed.

use super::snapshots::Board;
use crate::cluster::{Error, Result};
use eru_scheduler::{Fault, NodeSnapshot, Plan, Request};

/// Refuses a plan that breaks a rule: overbooking because of a fault of ours would be worse than not deploying.
///
/// # Cost
/// Grows with the nodes that the plan names, not with those of the board.
pub(super) fn check(plan: &Plan, board: &Board, request: &Request) -> Result<()> {
    let named = plan.assignments.iter().filter_map(|assignment| board.get(&assignment.node));
    let nodes: Vec<&NodeSnapshot> = named.map(|seat| &*seat.snapshot).collect();
    let faults = eru_scheduler::lint(plan, &nodes, request);
    if faults.is_empty() {
        return Ok(());
    }
    let text = faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("; ");
    tracing::error!(app = %request.app, entrypoint = %request.entrypoint, faults = text, "the scheduler made a wrong plan");
    Err(Error::Internal(format!("the scheduler made a wrong plan, nothing of it is carried out: {text}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::planner::snapshots::{Basis, Seat};
    use eru_kv::Revision;
    use eru_scheduler::{Content, Free, NodeFilter, Parts, Quantities, Readiness, Share, Strategy};
    use eru_types::{AppName, CpuQuota, Demand, EntrypointName, Labels, MemoryBytes, NodeName, PodName, Resources};
    use std::sync::Arc;

    #[test]
    fn a_plan_that_overbooks_or_names_a_stranger_is_refused() {
        let quantities = |memory| Quantities { cpu: CpuQuota(0), memory: MemoryBytes(memory), storage: MemoryBytes(0) };
        let snapshot = |name: &str, used| NodeSnapshot {
            name: NodeName::new(name).unwrap(),
            pod: PodName::new("p").unwrap(),
            labels: Labels::default(),
            runs_images: true,
            runs_commands: false,
            readiness: Readiness::Ready,
            total: quantities(4),
            used: quantities(used),
            parts: Arc::new(Parts::default()),
            free: Arc::new(Free::default()),
            counts: Default::default(),
        };
        let board = |name: &str, used| {
            let basis = Basis { version: Revision(1), record: Revision(1) };
            Board { seats: vec![Seat { snapshot: Arc::new(snapshot(name, used)), basis }] }
        };
        let resources = Resources { memory_request: MemoryBytes(1), ..Resources::default() };
        let request = Request {
            app: AppName::new("a").unwrap(),
            entrypoint: EntrypointName::new("web").unwrap(),
            filter: NodeFilter::default(),
            content: Content::Image,
            demand: Arc::new(Demand::new(resources, false, vec![], vec![]).unwrap()),
            share: Share::default(),
            count: 3,
            nodes_limit: 0,
            strategy: Strategy::Auto,
            spread_label: String::new(),
            node_max: 0,
        };
        let plan = eru_scheduler::plan(&[&snapshot("n0", 1)], &request).unwrap();
        check(&plan, &board("n0", 1), &request).unwrap();
        for (board, part) in
            [(board("n0", 2), "node n0 is overbooked: memory"), (board("n9", 0), "node n0 is not one of")]
        {
            let error = check(&plan, &board, &request).unwrap_err();
            assert!(matches!(error, Error::Internal(_)) && error.to_string().contains(part), "{error}");
        }
    }
}
