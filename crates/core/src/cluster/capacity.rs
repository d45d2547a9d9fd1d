//! How many instances would fit, and where, without deploying any.

use super::{
    Cluster, Error, Result,
    planner::snapshot,
    request::{DeployRequest, Spread},
};
use eru_scheduler::{Explanation, NodeSnapshot, Reason, Refusal, Request, Room, Strategy, explain};

/// How many instances would fit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Capacity {
    /// On all nodes together.
    pub total: u64,
    /// The nodes that can take some, by name.
    pub nodes: Vec<Room>,
    /// Why the others cannot.
    pub reasons: Vec<Reason>,
    /// Whether the numbers of new instances are told: not for DUMMY, which asks for the room alone.
    pub plans: bool,
}

impl Cluster {
    /// For DUMMY what each node could take; otherwise where the instances would go. Writes nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] without the pod; why nothing fits, in the words that a deploy would use.
    pub async fn calculate_capacity(&self, request: &DeployRequest) -> Result<Capacity> {
        self.cache.linearizable().await?;
        if let Some(pod) = &request.filter.pod {
            self.check_pod(pod).await?;
        }
        let snapshots: Vec<NodeSnapshot> = self.cache.nodes(None).iter().map(|view| snapshot(view)).collect();
        let nodes: Vec<&NodeSnapshot> = snapshots.iter().collect();
        let strategy = match request.spread {
            Spread::Dummy => None,
            Spread::By(strategy) => Some(strategy),
        };
        let asked = Request {
            app: request.app.clone(),
            entrypoint: request.entrypoint.clone(),
            filter: request.filter.clone(),
            content: request.content,
            demand: request.demand.clone(),
            share: self.settings.cut(),
            count: request.count,
            nodes_limit: request.nodes_limit,
            strategy: strategy.unwrap_or(Strategy::Auto),
            spread_label: request.spread_label.clone(),
            node_max: request.node_max,
        };
        let Explanation { rooms, reasons } = explain(&nodes, &asked, strategy.is_some())?;
        let each = |room: &Room| if strategy.is_some() { room.added } else { room.capacity };
        Ok(Capacity { total: rooms.iter().map(each).sum(), nodes: rooms, reasons, plans: strategy.is_some() })
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(Box::new(refusal))
    }
}
