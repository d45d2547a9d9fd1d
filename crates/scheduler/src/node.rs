//! A node as the scheduler sees it.

use eru_types::{AppName, CpuQuota, EntrypointName, Labels, MemoryBytes, NodeName, PodName, Resources};
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

impl Readiness {
    /// The word for it in errors.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Bypassed => "bypassed",
            Self::Suspect => "suspect",
            Self::Unwatched => "unwatched",
            Self::Lost => "lost",
        }
    }
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
    /// Whether it runs workloads without one.
    pub runs_commands: bool,
    /// Whether it takes workloads.
    pub readiness: Readiness,
    /// What it has.
    pub total: Quantities,
    /// What its placements take: their sum.
    pub used: Quantities,
    /// Its instances.
    pub counts: Arc<Counts>,
}

impl NodeSnapshot {
    /// Whole cores that it has.
    pub fn cores(&self) -> u64 {
        self.total.cpu.0 / 1_000_000
    }

    /// Memory that is left; none when it is overbooked.
    pub fn memory_free(&self) -> u64 {
        self.total.memory.0.saturating_sub(self.used.memory.0)
    }

    /// Storage that is left; none when it is overbooked.
    pub fn storage_free(&self) -> u64 {
        self.total.storage.0.saturating_sub(self.used.storage.0)
    }

    /// Puts `count` more instances on it.
    pub fn take(&mut self, app: &AppName, entrypoint: &EntrypointName, resources: &Resources, count: u32) {
        self.used.take(resources, u64::from(count));
        let held = Arc::make_mut(&mut self.counts).entry((app.clone(), entrypoint.clone())).or_default();
        *held = held.saturating_add(count);
    }
}
