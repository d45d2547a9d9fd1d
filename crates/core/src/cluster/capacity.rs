//! How many instances would fit, without deploying any.

use super::{
    Cluster, Error, Result,
    planner::snapshot,
    request::{DeployRequest, Spread},
};
use eru_scheduler::{NodeSnapshot, Refusal, RefusalKind, Request, Strategy, capacities, plan};
use eru_types::NodeName;
use std::collections::BTreeMap;

/// How many instances would fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capacity {
    /// On all nodes together.
    pub total: u64,
    /// By node.
    pub nodes: BTreeMap<NodeName, u64>,
}

impl Cluster {
    /// For DUMMY what each node could take; otherwise where the instances would go. Writes nothing.
    ///
    /// # Errors
    /// Why nothing fits, in the words that a deploy would use.
    pub async fn calculate_capacity(&self, request: &DeployRequest) -> Result<Capacity> {
        self.cache.linearizable().await?;
        let snapshots: Vec<NodeSnapshot> = self.cache.nodes(None).iter().map(|view| snapshot(view)).collect();
        let nodes: Vec<&NodeSnapshot> = snapshots.iter().collect();
        let mut asked = Request {
            app: request.app.clone(),
            entrypoint: request.entrypoint.clone(),
            filter: request.filter.clone(),
            content: request.content,
            resources: request.resources,
            count: request.count,
            nodes_limit: request.nodes_limit,
            strategy: Strategy::Auto,
        };
        let nodes: BTreeMap<NodeName, u64> = match request.spread {
            Spread::Dummy => capacities(&nodes, &asked)?.into_iter().collect(),
            Spread::By(strategy) => {
                asked.strategy = strategy;
                let plan = plan(&nodes, &asked)?;
                plan.assignments.into_iter().map(|a| (a.node, u64::from(a.count))).collect()
            }
        };
        Ok(Capacity { total: nodes.values().sum(), nodes })
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal.kind {
            RefusalKind::Invalid => Self::Invalid(refusal.text),
            RefusalKind::UnknownNode => Self::NotFound(refusal.text),
            RefusalKind::NoNode => Self::Precondition(refusal.text),
            RefusalKind::NotEnough => Self::Exhausted(refusal.text),
        }
    }
}
