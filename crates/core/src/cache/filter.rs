//! Which workloads are meant.

use super::WorkloadView;
use eru_types::{AppName, EntrypointName, Labels, NodeName, PodName};

/// Every filter that is given counts; none given means every workload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkloadFilter {
    /// Of this app.
    pub app: Option<AppName>,
    /// Of this entrypoint, of whatever app.
    pub entrypoint: Option<EntrypointName>,
    /// On this node.
    pub node: Option<NodeName>,
    /// In this pod.
    pub pod: Option<PodName>,
    /// Deployed by this owner; empty = whoever.
    pub owner: String,
    /// With all of these labels.
    pub labels: Labels,
}

impl WorkloadFilter {
    /// Whether `workload` is meant.
    pub fn matches(&self, workload: &WorkloadView) -> bool {
        let placement = &workload.placement.record;
        self.app.as_ref().is_none_or(|app| *app == placement.name.app)
            && self.entrypoint.as_ref().is_none_or(|entrypoint| *entrypoint == placement.name.entrypoint)
            && self.node.as_ref().is_none_or(|node| *node == placement.node)
            && self.pod.as_ref().is_none_or(|pod| *pod == placement.pod)
            && (self.owner.is_empty() || self.owner == placement.owner)
            && placement.spec.labels.contains_all(&self.labels)
    }
}
