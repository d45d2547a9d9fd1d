//! A node as the scheduler sees it.

use crate::{
    Assignment, Request,
    parts::{Free, Parts},
};
use eru_types::{Allotment, AppName, CpuQuota, EntrypointName, Labels, MemoryBytes, NodeName, PodName, Resources};
use std::{collections::BTreeMap, sync::Arc};

/// Number of instances by app and entrypoint; those that are planned or being removed count as well.
pub type Counts = BTreeMap<(AppName, EntrypointName), u32>;

/// Whether a node takes workloads, and if not, why.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Readiness {
    /// It does.
    Ready,
    /// Kept out by hand.
    Bypassed,
    /// Its agent is silent.
    Suspect,
    /// No agent reports, but its engine answers.
    Unwatched,
    /// It is held to be dead.
    Lost,
}

/// Amounts of what a node has or has given away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quantities {
    /// Processor time.
    pub cpu: CpuQuota,
    /// Memory.
    pub memory: MemoryBytes,
    /// Storage.
    pub storage: MemoryBytes,
}

impl Quantities {
    /// Adds what `count` instances take.
    pub fn take(&mut self, resources: &Resources, count: u64) {
        self.cpu.0 = self.cpu.0.saturating_add(resources.cpu_request.0.saturating_mul(count));
        self.memory.0 = self.memory.0.saturating_add(resources.memory_request.0.saturating_mul(count));
        self.storage.0 = self.storage.0.saturating_add(resources.storage_request.0.saturating_mul(count));
    }
}

/// A node at one revision of the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSnapshot {
    /// Its name.
    pub name: NodeName,
    /// Its pod.
    pub pod: PodName,
    /// Labels to select by.
    pub labels: Labels,
    /// Whether it runs workloads with an image.
    pub runs_images: bool,
    /// Whether it runs workloads without one. A node that runs neither has no runtime.
    pub runs_commands: bool,
    /// Whether it takes workloads.
    pub readiness: Readiness,
    /// What it has.
    pub total: Quantities,
    /// What its placements take: their sum.
    pub used: Quantities,
    /// Its cores, NUMA groups and devices.
    pub parts: Arc<Parts>,
    /// What is left of them.
    pub free: Arc<Free>,
    /// Its instances.
    pub counts: Arc<Counts>,
}

impl NodeSnapshot {
    /// Memory that is left; none when it is overbooked.
    pub fn memory_free(&self) -> u64 {
        self.total.memory.0.saturating_sub(self.used.memory.0)
    }

    /// Storage that is left; none when it is overbooked.
    pub fn storage_free(&self) -> u64 {
        self.total.storage.0.saturating_sub(self.used.storage.0)
    }

    /// How many instances of an app's entrypoint it has.
    pub fn count(&self, key: &(AppName, EntrypointName)) -> u32 {
        self.counts.get(key).copied().unwrap_or(0)
    }

    /// Puts one more instance on it, as a placement records it.
    pub fn take(&mut self, app: &AppName, entrypoint: &EntrypointName, resources: &Resources, allotment: &Allotment) {
        self.used.take(resources, 1);
        if !allotment.is_empty() {
            Arc::make_mut(&mut self.free).change(&self.parts, allotment, resources.memory_request.0, false);
        }
        self.count_up(app, entrypoint, 1);
    }

    /// Puts all instances of an assignment on it.
    ///
    /// # Cost
    /// That of the node's cores, whatever the number of instances.
    pub fn apply(&mut self, request: &Request, assignment: &Assignment) {
        self.used.take(&request.demand.resources, u64::from(assignment.count));
        if !assignment.cores.is_empty() || !assignment.volumes.is_empty() {
            assignment.take_from(Arc::make_mut(&mut self.free), &request.demand, &request.share);
        }
        self.count_up(&request.app, &request.entrypoint, assignment.count);
    }

    fn count_up(&mut self, app: &AppName, entrypoint: &EntrypointName, count: u32) {
        let held = Arc::make_mut(&mut self.counts).entry((app.clone(), entrypoint.clone())).or_default();
        *held = held.saturating_add(count);
    }
}
