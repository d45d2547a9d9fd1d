//! Placements: one a workload, with everything that it is made from.

use eru_types::{
    Allotment, AppName, EngineId, EntrypointName, Ident, Labels, NodeName, PodName, Resources, WorkloadName,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The state of a placement. Every step is written before the next one is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PlacementState {
    /// The node's resources are taken; the engine may or may not know of it.
    Planned,
    /// The engine has it; its id is recorded and indexed.
    Created,
    /// It was started.
    Running,
    /// It is to be gone: from the engine first, then from here.
    Removing,
}

/// One workload, under its node, from intent to removal. Written by core only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Placement {
    /// `<app>_<entrypoint>_<ident>`: the key, and what the engine object is named.
    pub name: WorkloadName,
    /// Its pod.
    pub pod: PodName,
    /// Its node.
    pub node: NodeName,
    /// Where it stands.
    pub state: PlacementState,
    /// What it takes from its node.
    pub resources: Resources,
    /// Its cores and volumes.
    #[serde(default, skip_serializing_if = "Allotment::is_empty")]
    pub allotment: Allotment,
    /// Everything that the engine needs, so that another core can finish it.
    pub spec: WorkloadSpec,
    /// The engine's id, from `Created` on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub engine_id: Option<EngineId>,
    /// The core process that works on it ([`CoreRecord::instance`]); another may take over when that one is gone.
    pub core: String,
    /// The deploy that it belongs to; empty = none given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub op_id: String,
    /// Number of the instance within its deploy, from 0.
    #[serde(default)]
    pub seq: u32,
    /// Who asked for it and fences writes about it; empty = nobody.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub owner: String,
    /// When it was planned, milliseconds since the epoch.
    pub created_at_ms: i64,
    /// The workload whose place it is to take, until it has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Replaced>,
    /// The workload that is to take its place. As long as it is set, what both hold is counted there and not here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub successor: Option<WorkloadName>,
}

/// The workload whose place another is to take: on the same node, with the same resources.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// Its name.
    pub name: WorkloadName,
    /// Whether it ran before, and is to be started again when nothing comes of it.
    pub ran: bool,
}

impl Placement {
    /// What is taken from its node. A workload and the one that replaces it hold the same thing; it is counted once, with
    /// the newer one.
    pub fn taken(&self) -> Resources {
        if self.successor.is_some() { Resources::default() } else { self.resources }
    }

    /// The cores, NUMA memory and devices that are taken from its node, in the same way.
    pub fn taken_parts(&self) -> Option<&Allotment> {
        Some(&self.allotment).filter(|allotment| self.successor.is_none() && !allotment.is_empty())
    }

    /// The app.
    pub fn app(&self) -> &AppName {
        &self.name.app
    }
    /// The entrypoint.
    pub fn entrypoint(&self) -> &EntrypointName {
        &self.name.entrypoint
    }
    /// The ident.
    pub fn ident(&self) -> &Ident {
        &self.name.ident
    }
}

/// What a workload is made from, beyond its name and resources.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WorkloadSpec {
    /// The image; empty = a plain command.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub image: String,
    /// Program and arguments.
    #[serde(default)]
    pub command: Vec<String>,
    /// The user's environment, `NAME=VALUE`, without what core adds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<String>,
    /// All labels, Eru's own among them.
    #[serde(default)]
    pub labels: Labels,
    /// Working directory.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub dir: String,
    /// User.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// Networks: name to wanted address.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub networks: BTreeMap<String, String>,
    /// Published ports, as the spec spelled them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub publish: Vec<String>,
    /// The engine's restart policy.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub restart: String,
    /// Rights of the machine.
    #[serde(default)]
    pub privileged: bool,
    /// What only some engines understand.
    #[serde(default, skip_serializing_if = "is_default")]
    pub extras: eru_runtime::Extras,
    /// Commands run inside after the start and before the stop.
    #[serde(default, skip_serializing_if = "is_default")]
    pub hook: Hook,
    /// It runs to its end, somebody waits for it, and then it is removed: without a core that does so it is undone.
    #[serde(default, skip_serializing_if = "is_default")]
    pub lambda: bool,
}

/// Commands run inside of a workload, each one line, split as command lines are.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Hook {
    /// Once, after the first start and before `after_start`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after_create: Vec<String>,
    /// After every start.
    pub after_start: Vec<String>,
    /// Before the stop.
    pub before_stop: Vec<String>,
    /// Whether a failure of one ends the operation.
    pub force: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
