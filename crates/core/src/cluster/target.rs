//! A workload with its engine, for the operations that only pass something on.

use super::{Cluster, Error, Result, engines::Engine};
use eru_types::{EngineId, NodeName};

/// Where a workload is.
pub(crate) struct Target {
    /// The engine's id of it.
    pub(crate) id: EngineId,
    /// Its node.
    pub(crate) node: NodeName,
    /// The engine of its node.
    pub(crate) engine: Engine,
}

impl Cluster {
    /// The workload and its engine.
    ///
    /// # Errors
    /// [`Error::NotFound`] without the workload or its node; why its engine cannot be reached.
    pub(crate) async fn target(&self, id: &str) -> Result<Target> {
        let view = self.find_workload(id).await?;
        let engine_id = view.id().ok_or_else(|| Error::no_workload(id))?.clone();
        let node = view.placement.node.clone();
        let engine = self.engine_of(&node)?;
        Ok(Target { id: engine_id, node, engine })
    }
}
