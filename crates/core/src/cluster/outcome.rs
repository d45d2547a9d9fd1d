//! What became of one instance.

use crate::record::Placement;
use eru_types::{Allotment, EngineId, NodeName, Resources, WorkloadName};
use std::collections::BTreeMap;

/// What became of one instance of a deploy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeployOutcome {
    /// The workload's name; `None` when the instance was never placed.
    pub name: Option<WorkloadName>,
    /// Its pod.
    pub pod: String,
    /// Its node.
    pub node: Option<NodeName>,
    /// The engine's id; `None` when it failed.
    pub id: Option<EngineId>,
    /// What it takes.
    pub resources: Resources,
    /// Its cores and volumes.
    pub allotment: Allotment,
    /// Network name to `ip:port,ip:port`.
    pub publish: BTreeMap<String, String>,
    /// What its hooks said.
    pub hook: Vec<u8>,
    /// Why it failed; empty = it runs.
    pub error: String,
    /// The deploy.
    pub op_id: String,
}

impl DeployOutcome {
    /// Of an instance that was never placed.
    pub(crate) fn failed(error: impl Into<String>, op_id: &str) -> Self {
        Self { error: error.into(), op_id: op_id.to_owned(), ..Self::default() }
    }

    pub(crate) fn of(placement: &Placement) -> Self {
        Self {
            name: Some(placement.name.clone()),
            pod: placement.pod.to_string(),
            node: Some(placement.node.clone()),
            id: placement.engine_id.clone(),
            resources: placement.resources,
            allotment: placement.allotment.clone(),
            publish: BTreeMap::new(),
            hook: Vec::new(),
            error: String::new(),
            op_id: placement.op_id.clone(),
        }
    }
}
