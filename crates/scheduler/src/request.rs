//! What is to be placed.

use crate::strategy::Strategy;
use eru_types::{AppName, EntrypointName, Labels, NodeName, PodName, Resources};

/// Which nodes may be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeFilter {
    /// Only the nodes of this pod; `None` = of every pod.
    pub pod: Option<PodName>,
    /// Exactly these nodes, whether they are ready or not and whatever their labels: who names a node means it. It is how
    /// an agent is brought to a node that has none. Empty = by the other fields.
    pub includes: Vec<NodeName>,
    /// Not these.
    pub excludes: Vec<NodeName>,
    /// Only nodes that carry all of these.
    pub labels: Labels,
    /// Take nodes that are not ready as well.
    pub all: bool,
}

/// What an instance is made from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// An image.
    Image,
    /// A plain command.
    Command,
}

/// What is to be placed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its app.
    pub app: AppName,
    /// Its entrypoint.
    pub entrypoint: EntrypointName,
    /// Which nodes may be used.
    pub filter: NodeFilter,
    /// What an instance is made from.
    pub content: Content,
    /// What one instance takes, normalised.
    pub resources: Resources,
    /// Number of instances; for EACH and FILL on each node.
    pub count: u32,
    /// AUTO: most instances a node; FILL and EACH: number of nodes; 0 = no limit.
    pub nodes_limit: u32,
    /// How they are spread.
    pub strategy: Strategy,
}
