//! What can be wrong with a plan.

use eru_types::NodeName;

/// What is wrong with a plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It uses a node that was not given.
    #[error("node {0} is not one of the given")]
    Node(NodeName),
    /// Its nodes are not in order, or one is named twice.
    #[error("node {0} is out of order or named twice")]
    Order(NodeName),
    /// It names a node that gets nothing.
    #[error("node {0} gets nothing")]
    Nothing(NodeName),
    /// It gives a node more than it has left.
    #[error("node {node} is overbooked: {what}")]
    Overbooked {
        /// The node.
        node: NodeName,
        /// Which resource.
        what: &'static str,
    },
    /// It puts something on a node that cannot run it, or that the filter leaves out.
    #[error("node {0} must not get this")]
    Forbidden(NodeName),
    /// It is made for other amounts, or other pieces of cores, than the request's.
    #[error("the plan is for another demand than the request's")]
    Demand,
    /// It has more or fewer instances than the request.
    #[error("plan has {got} instances, request {wanted}")]
    Count {
        /// Instances of the plan.
        got: u64,
        /// Instances of the request.
        wanted: u64,
    },
    /// It gives a node more or fewer instances than the strategy and the limits allow.
    #[error("node {node} gets {got} instances: {rule}")]
    Limit {
        /// The node.
        node: NodeName,
        /// Its new instances.
        got: u32,
        /// What is not kept.
        rule: &'static str,
    },
    /// It uses more or fewer nodes than the request says.
    #[error("plan has {got} nodes, the limit is {limit}")]
    Nodes {
        /// Nodes of the plan.
        got: usize,
        /// Of the request.
        limit: u32,
    },
    /// The named parts of an instance are not what it asked for.
    #[error("node {node}: an instance has {what}")]
    Parts {
        /// The node.
        node: NodeName,
        /// What is wrong with them.
        what: &'static str,
    },
}
