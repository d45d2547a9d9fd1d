//! What is to be placed.

use crate::strategy::Strategy;
use eru_types::{AppName, Demand, EntrypointName, Labels, NodeName, PodName};
use std::{collections::BTreeSet, sync::Arc};

/// Pieces of a whole core, where nothing else is configured.
pub const SHARE_BASE: u32 = 100;

/// Which nodes may be used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeFilter {
    /// Only the nodes of this pod; `None` = of every pod.
    pub pod: Option<PodName>,
    /// Exactly these nodes, whether they are ready or not and whatever their labels: who names a node means it. It is how
    /// an agent is brought to a node that has none. Empty = by the other fields.
    pub includes: BTreeSet<NodeName>,
    /// Not these.
    pub excludes: BTreeSet<NodeName>,
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
    /// Whatever the node runs: only the room is asked for.
    Any,
}

/// How cores are cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    /// Pieces of a whole core; 0 is taken as 1.
    pub base: u32,
    /// Most cores of a node that may be cut; `None` = all.
    pub cores_max: Option<u32>,
}

impl Default for Share {
    fn default() -> Self {
        Self { base: SHARE_BASE, cores_max: None }
    }
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
    /// What one instance takes.
    pub demand: Arc<Demand>,
    /// How cores are cut.
    pub share: Share,
    /// Number of instances; for EACH and FILL on each node.
    pub count: u32,
    /// AUTO: most instances a node; FILL and EACH: number of nodes; 0 = no limit.
    pub nodes_limit: u32,
    /// How they are spread.
    pub strategy: Strategy,
    /// The label of the nodes whose values the instances are spread over first; empty = none. Nodes without it are not
    /// used.
    pub spread_label: String,
    /// Most instances of this app and entrypoint on one node, old and new, whatever the strategy; 0 = no limit.
    pub node_max: u32,
}
