//! What of a node's named parts one workload holds.

use crate::Volume;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Of each device, how many bytes.
pub type VolumePlan = BTreeMap<String, BTreeMap<String, u64>>;

/// The cores, the NUMA node and the volumes that one workload holds, besides the plain amounts of
/// [`Resources`](crate::Resources). Decided by the plan, the same for as long as the workload lives.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Allotment {
    /// Core name to pieces of it; empty = bound to no core.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub cores: BTreeMap<String, u32>,
    /// The NUMA node whose memory it takes; empty = any.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub numa_node: String,
    /// Volumes, with the sizes that are taken from the node.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes_request: Vec<Volume>,
    /// Volumes, with the sizes that it may use. These are mounted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub volumes_limit: Vec<Volume>,
    /// For each scheduled volume of `volumes_request`, as it is spelled: device to bytes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub volume_plan_request: VolumePlan,
    /// For each scheduled volume of `volumes_limit`, as it is spelled: device to bytes.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub volume_plan_limit: VolumePlan,
}

impl Allotment {
    /// Whether it holds nothing by name.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
