//! Every key of the store, spelled here and nowhere else.
//!
//! | key | value | who writes it |
//! | --- | --- | --- |
//! | `/pod/<pod>` | [`PodRecord`](crate::record::PodRecord) | AddPod, RemovePod |
//! | `/node/<node>` | [`NodeRecord`](crate::record::NodeRecord) | AddNode, SetNode, RemoveNode |
//! | `/version/<node>` | a counter | every commit of placements to the node (compared and raised) |
//! | `/verdict/<node>` | [`VerdictRecord`](crate::record::VerdictRecord) | the liveness holder, SetNode `workloads_down` |
//! | `/alive/<node>` | [`AliveRecord`](crate::record::AliveRecord), leased | agents (Beat, SetNodeStatus) |
//! | `/agent/<node>` | [`AgentRecord`](crate::record::AgentRecord) | agents (Register, SetNodeStatus) |
//! | `/placement/<node>/<workload name>` | [`Placement`](crate::record::Placement) | core |
//! | `/index/<engine id>` | [`IndexRecord`](crate::record::IndexRecord) | core |
//! | `/status/<node>/<engine id>` | [`StatusRecord`](crate::record::StatusRecord), perhaps leased | agents (reports) |
//! | `/op/<op id>` | [`OpRecord`](crate::record::OpRecord) | core |
//! | `/dissociated/<node>/<engine id>` | [`DissociatedRecord`](crate::record::DissociatedRecord) | DissociateWorkload |
//! | `/owner/<owner>` | [`OwnerRecord`](crate::record::OwnerRecord) | core |
//! | `/core/<instance>` | [`CoreRecord`](crate::record::CoreRecord), leased | each core |
//! | `/liveness` | the holder's instance, leased | the core that holds liveness |
//!
//! # Invariants
//! - Segments are names that hold no `/`, so one key's prefix never reaches into another's.

use bytes::Bytes;
use eru_kv::KeyRange;
use eru_types::{EngineId, NodeName, PodName, WorkloadName};

fn join(parts: &[&str]) -> Bytes {
    let mut key = String::with_capacity(parts.iter().map(|p| p.len() + 1).sum());
    for part in parts {
        debug_assert!(!part.contains('/'), "a key segment holds no '/'");
        key.push('/');
        key.push_str(part);
    }
    key.into()
}

/// Everything of ours.
pub fn all() -> KeyRange {
    KeyRange::prefix(Bytes::from_static(b"/"))
}
/// A pod.
pub fn pod(name: &PodName) -> Bytes {
    join(&["pod", name.as_str()])
}
/// All pods.
pub fn pods() -> KeyRange {
    KeyRange::prefix(Bytes::from_static(b"/pod/"))
}
/// A node.
pub fn node(name: &NodeName) -> Bytes {
    join(&["node", name.as_str()])
}
/// A node's version.
pub fn version(name: &NodeName) -> Bytes {
    join(&["version", name.as_str()])
}
/// Core's word on a node.
pub fn verdict(name: &NodeName) -> Bytes {
    join(&["verdict", name.as_str()])
}
/// A node's sign of life.
pub fn alive(name: &NodeName) -> Bytes {
    join(&["alive", name.as_str()])
}
/// A node's agent.
pub fn agent(name: &NodeName) -> Bytes {
    join(&["agent", name.as_str()])
}
/// A placement.
pub fn placement(node: &NodeName, name: &WorkloadName) -> Bytes {
    join(&["placement", node.as_str(), &name.to_string()])
}
/// All placements of a node.
pub fn placements(node: &NodeName) -> KeyRange {
    KeyRange::prefix(format!("/placement/{node}/"))
}
/// From an engine id to its placement.
pub fn index(id: &EngineId) -> Bytes {
    join(&["index", id.as_str()])
}
/// A report.
pub fn status(node: &NodeName, id: &EngineId) -> Bytes {
    join(&["status", node.as_str(), id.as_str()])
}
/// All reports of a node.
pub fn statuses(node: &NodeName) -> KeyRange {
    KeyRange::prefix(format!("/status/{node}/"))
}
/// A deploy by its op id, which was checked to be a name.
pub fn op(op_id: &str) -> Bytes {
    join(&["op", op_id])
}
/// All deploys by their op ids.
pub fn ops() -> KeyRange {
    KeyRange::prefix(Bytes::from_static(b"/op/"))
}
/// A workload that the engine keeps and we forgot.
pub fn dissociated(node: &NodeName, id: &EngineId) -> Bytes {
    join(&["dissociated", node.as_str(), id.as_str()])
}
/// All such workloads of a node.
pub fn all_dissociated(node: &NodeName) -> KeyRange {
    KeyRange::prefix(format!("/dissociated/{node}/"))
}
/// All reports.
pub fn all_statuses() -> KeyRange {
    KeyRange::prefix(Bytes::from_static(b"/status/"))
}
/// An owner, which was checked to be a name.
pub fn owner(owner: &str) -> Bytes {
    join(&["owner", owner])
}
/// A running core.
pub fn core(instance: &str) -> Bytes {
    join(&["core", instance])
}
/// All running cores.
pub fn cores() -> KeyRange {
    KeyRange::prefix(Bytes::from_static(b"/core/"))
}
/// The liveness lease's key.
pub fn liveness() -> Bytes {
    join(&["liveness"])
}

/// What a key is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Key {
    /// See [`pod`].
    Pod(PodName),
    /// See [`node`].
    Node(NodeName),
    /// See [`version`].
    Version(NodeName),
    /// See [`verdict`].
    Verdict(NodeName),
    /// See [`alive`].
    Alive(NodeName),
    /// See [`agent`].
    Agent(NodeName),
    /// See [`placement`].
    Placement(NodeName, WorkloadName),
    /// See [`index`].
    Index(EngineId),
    /// See [`status`].
    Status(NodeName, EngineId),
    /// See [`op`].
    Op(String),
    /// See [`dissociated`].
    Dissociated(NodeName, EngineId),
    /// See [`owner`].
    Owner(String),
    /// See [`core`].
    Core(String),
    /// See [`liveness`].
    Liveness,
}

/// Reads a key; `None` for one that we never write.
pub fn parse(key: &[u8]) -> Option<Key> {
    let key = std::str::from_utf8(key).ok()?;
    let mut parts = key.strip_prefix('/')?.split('/');
    let kind = parts.next()?;
    let first = parts.next();
    let second = parts.next();
    if parts.next().is_some() {
        return None;
    }
    let node = |name: &str| NodeName::new(name).ok();
    match (kind, first, second) {
        ("pod", Some(name), None) => Some(Key::Pod(PodName::new(name).ok()?)),
        ("node", Some(name), None) => Some(Key::Node(node(name)?)),
        ("version", Some(name), None) => Some(Key::Version(node(name)?)),
        ("verdict", Some(name), None) => Some(Key::Verdict(node(name)?)),
        ("alive", Some(name), None) => Some(Key::Alive(node(name)?)),
        ("agent", Some(name), None) => Some(Key::Agent(node(name)?)),
        ("placement", Some(name), Some(workload)) => {
            Some(Key::Placement(node(name)?, WorkloadName::parse(workload).ok()?))
        }
        ("index", Some(id), None) => Some(Key::Index(EngineId::new(id).ok()?)),
        ("status", Some(name), Some(id)) => Some(Key::Status(node(name)?, EngineId::new(id).ok()?)),
        ("dissociated", Some(name), Some(id)) => Some(Key::Dissociated(node(name)?, EngineId::new(id).ok()?)),
        ("op", Some(op), None) => Some(Key::Op(op.to_owned())),
        ("owner", Some(owner), None) => Some(Key::Owner(owner.to_owned())),
        ("core", Some(instance), None) => Some(Key::Core(instance.to_owned())),
        ("liveness", None, None) => Some(Key::Liveness),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_reads_back() {
        let node_name = NodeName::new("n1").unwrap();
        let name = WorkloadName::parse("my_app_web_AbCdEf").unwrap();
        let id = EngineId::new("ab12").unwrap();
        let pod_name = PodName::new("p").unwrap();
        for (key, want) in [
            (pod(&pod_name), Key::Pod(pod_name.clone())),
            (node(&node_name), Key::Node(node_name.clone())),
            (version(&node_name), Key::Version(node_name.clone())),
            (verdict(&node_name), Key::Verdict(node_name.clone())),
            (alive(&node_name), Key::Alive(node_name.clone())),
            (agent(&node_name), Key::Agent(node_name.clone())),
            (placement(&node_name, &name), Key::Placement(node_name.clone(), name.clone())),
            (index(&id), Key::Index(id.clone())),
            (status(&node_name, &id), Key::Status(node_name.clone(), id.clone())),
            (dissociated(&node_name, &id), Key::Dissociated(node_name.clone(), id.clone())),
            (op("o1"), Key::Op("o1".into())),
            (owner("o1"), Key::Owner("o1".into())),
            (core("c1"), Key::Core("c1".into())),
            (liveness(), Key::Liveness),
        ] {
            assert_eq!(parse(&key), Some(want));
            assert!(all().contains(&key));
        }
        for bad in ["", "/", "/pod", "/pod/", "/pod/a/b", "/x/y", "/node/../a", "pod/a", "/status/n/i/x"] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(parse(b"/pod/\xff"), None);
    }

    #[test]
    fn a_node_is_not_the_prefix_of_another() {
        let n1 = NodeName::new("n1").unwrap();
        let n10 = NodeName::new("n10").unwrap();
        let name = WorkloadName::parse("a_b_AbCdEf").unwrap();
        assert!(placements(&n1).contains(&placement(&n1, &name)));
        assert!(!placements(&n1).contains(&placement(&n10, &name)));
    }
}
