//! A plan is checked before it is believed.

use super::snapshots::Board;
use crate::cluster::{Error, Result};
use eru_scheduler::{Fault, NodeSnapshot, Plan, Request};

/// Refuses a plan that breaks a rule: overbooking because of a fault of ours would be worse than not deploying.
///
/// # Cost
/// Grows with the nodes that the plan names, not with those of the board.
pub(super) fn check(plan: &Plan, board: &Board, request: &Request) -> Result<()> {
    let named = plan.assignments.iter().filter_map(|assignment| board.seats.get(&assignment.node));
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
    use eru_scheduler::{Content, NodeFilter, Quantities, Readiness, Strategy};
    use eru_types::{AppName, CpuQuota, EntrypointName, Labels, MemoryBytes, NodeName, PodName, Resources};
    use std::sync::Arc;

    #[test]
    fn a_plan_that_overbooks_or_names_a_stranger_is_refused() {
        let quantities = |memory| Quantities { cpu: CpuQuota(0), memory: MemoryBytes(memory), storage: MemoryBytes(0) };
        let name = |name: &str| NodeName::new(name).unwrap();
        let snapshot = NodeSnapshot {
            name: name("n0"),
            pod: PodName::new("p").unwrap(),
            labels: Labels::default(),
            runs_images: true,
            runs_commands: false,
            readiness: Readiness::Ready,
            total: quantities(4),
            used: quantities(2),
            counts: Default::default(),
        };
        let mut board = Board::default();
        let basis = Basis { version: Revision(1), record: Revision(1) };
        board.seats.insert(name("n0"), Seat { snapshot: Arc::new(snapshot), basis });
        let request = |count| Request {
            app: AppName::new("a").unwrap(),
            entrypoint: EntrypointName::new("web").unwrap(),
            filter: NodeFilter::default(),
            content: Content::Image,
            resources: Resources { memory_request: MemoryBytes(1), ..Resources::default() },
            count,
            nodes_limit: 0,
            strategy: Strategy::Auto,
        };
        let plan = |node: &str, count| Plan {
            assignments: vec![eru_scheduler::Assignment { node: name(node), count }],
            resources: request(count).resources,
        };
        check(&plan("n0", 2), &board, &request(2)).unwrap();
        for (plan, part) in [(plan("n0", 3), "node n0 is overbooked: memory"), (plan("n9", 3), "node n9 is not one of")]
        {
            let error = check(&plan, &board, &request(3)).unwrap_err();
            assert!(matches!(error, Error::Internal(_)) && error.to_string().contains(part), "{error}");
        }
    }
}
