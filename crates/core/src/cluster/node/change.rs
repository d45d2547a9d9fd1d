//! What a change of a node makes of its record. Pure.

use super::{bytes_text, parts};
use crate::{
    cluster::{Error, Result},
    record::{Certificates, NodeRecord},
};
use eru_types::{Labels, MemoryBytes, NodeName, Resources};
use std::collections::BTreeMap;

/// The scheme of endpoints that certificates belong to.
const TLS_SCHEME: &str = "tcp://";

/// What to change about a node. Empty and zero fields change nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeChange {
    /// Whether it is kept out of scheduling.
    pub bypass: Option<bool>,
    /// Declare every workload of it down.
    pub workloads_down: bool,
    /// Replaces the endpoint.
    pub endpoint: String,
    /// Replace authority, certificate and key, each where it is not empty.
    pub tls: Certificates,
    /// Replace the labels.
    pub labels: Labels,
    /// Pieces to add to or take from each core; a core without pieces goes.
    pub cpu: BTreeMap<String, i32>,
    /// Bytes of memory to add or take.
    pub memory: i64,
    /// Bytes of storage to add or take.
    pub storage: i64,
    /// Bytes to add to or take from each volume device; 0 removes the device.
    pub volumes: BTreeMap<String, i64>,
    /// Replaces the NUMA node of each core.
    pub numa: BTreeMap<String, String>,
    /// Bytes to add to or take from each NUMA node; to add to, it is known, or cores belong to it.
    pub numa_memory: BTreeMap<String, i64>,
}

impl NodeChange {
    /// Whether the outcome depends on what the node has given away.
    pub fn has_deltas(&self) -> bool {
        !self.cpu.is_empty()
            || self.memory != 0
            || self.storage != 0
            || !self.volumes.is_empty()
            || !self.numa_memory.is_empty()
    }

    /// Whether the node has another engine afterwards, or the same one by other means.
    pub fn moves_engine(&self) -> bool {
        !self.endpoint.is_empty() || !self.tls.is_empty()
    }

    /// Whether the node's record changes at all.
    pub fn touches_record(&self) -> bool {
        *self != Self { workloads_down: self.workloads_down, ..Self::default() }
    }
}

/// Applies `change`; `used` is what the node's placements take. Nothing of `record` counts when it fails.
///
/// # Errors
/// [`Error::Invalid`] with the original's text where a total would be negative; [`Error::Precondition`] where it would be
/// below what is in use.
pub fn apply(record: &mut NodeRecord, change: &NodeChange, used: &Resources) -> Result<()> {
    if let Some(bypass) = change.bypass {
        record.bypass = bypass;
    }
    if !change.endpoint.is_empty() {
        record.endpoint.clone_from(&change.endpoint);
        if !change.endpoint.starts_with(TLS_SCHEME) {
            // Certificates belong to the former endpoint; kept, they would have the new one refused.
            record.tls = None;
        }
    }
    if !change.tls.is_empty() {
        let tls = record.tls.take().unwrap_or_default().with(&change.tls);
        if !tls.is_complete() {
            let name = &record.name;
            return Err(Error::Invalid(format!("node {name}: ca, cert and key are needed together; one is missing")));
        }
        record.tls = Some(tls);
    }
    if !change.labels.is_empty() {
        record.labels = change.labels.clone();
    }
    if !change.numa.is_empty() {
        record.numa = change.numa.clone();
    }
    parts::numa_memory(record, &change.numa_memory)?;
    let storage_delta = parts::volumes(record, &change.volumes)?;
    if change.storage != 0 || storage_delta != 0 {
        let sum = i128::from(change.storage) + storage_delta;
        let total = moved_wide(record.storage.0, sum, "Storage", &record.name)?;
        record.storage = not_below(total, used.storage_request, "storage", &record.name)?;
    }
    if change.memory != 0 {
        let total = moved(record.memory.0, change.memory, "Memory", &record.name)?;
        record.memory = not_below(total, used.memory_request, "memory", &record.name)?;
    }
    parts::cpu(record, &change.cpu, used.cpu_request)
}

pub(super) fn moved(total: u64, delta: i64, kind: &str, node: &NodeName) -> Result<u64> {
    moved_wide(total, i128::from(delta), kind, node)
}

fn moved_wide(total: u64, delta: i128, kind: &str, node: &NodeName) -> Result<u64> {
    let sum = i128::from(total) + delta;
    // What the wire cannot carry back is not taken either.
    i64::try_from(sum).ok().and_then(|sum| u64::try_from(sum).ok()).ok_or_else(|| {
        Error::Invalid(format!("bad `{kind}` value: node {node} has {total}, and {delta} would make it {sum}"))
    })
}

fn not_below(total: u64, used: MemoryBytes, what: &str, node: &NodeName) -> Result<MemoryBytes> {
    if total < used.0 {
        let (total, used) = (bytes_text(total), bytes_text(used.0));
        return Err(Error::Precondition(format!("node {node}: {what} {total} would be below the {used} in use")));
    }
    Ok(MemoryBytes(total))
}

#[cfg(test)]
mod tests {
    use super::*;
    use eru_types::{CpuQuota, PodName};

    const GIB: u64 = 1 << 30;

    fn node() -> NodeRecord {
        NodeRecord {
            name: NodeName::new("n1").unwrap(),
            pod: PodName::new("p").unwrap(),
            endpoint: "fake://n1".into(),
            runtime: "fake".into(),
            runs_images: true,
            runs_commands: true,
            labels: Labels::default(),
            bypass: false,
            cpu: [("0".to_owned(), 100), ("1".to_owned(), 100)].into(),
            memory: MemoryBytes(8 * GIB),
            storage: MemoryBytes(100),
            volumes: [("/d".to_owned(), 40)].into(),
            numa: BTreeMap::new(),
            numa_memory: [("a".to_owned(), 10)].into(),
            tls: None,
            created_at_ms: 0,
        }
    }

    fn map<V: Copy>(pairs: &[(&str, V)]) -> BTreeMap<String, V> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), *v)).collect()
    }

    #[test]
    fn deltas_change_totals() {
        let mut record = node();
        let change = NodeChange {
            cpu: map(&[("0", -100), ("2", 50), ("3", 0)]),
            memory: -(GIB as i64),
            storage: 5,
            volumes: map(&[("/d", 0), ("/e", 7), ("/f", 0)]),
            numa_memory: map(&[("a", -10), ("unknown", 0)]),
            ..NodeChange::default()
        };
        apply(&mut record, &change, &Resources::default()).unwrap();
        assert_eq!(record.cpu, map(&[("1", 100), ("2", 50)]));
        assert_eq!(record.memory.0, 7 * GIB);
        assert_eq!(record.storage.0, 100 + 5 - 40 + 7);
        assert_eq!(record.volumes, map(&[("/e", 7)]));
        assert_eq!(record.numa_memory, map(&[("a", 0)]));
    }

    #[test]
    fn a_numa_node_that_cores_belong_to_can_be_given_memory() {
        let mut record = node();
        let numa = [("0".to_owned(), "b".to_owned())].into();
        let change = NodeChange { numa, numa_memory: map(&[("b", 5)]), ..NodeChange::default() };
        apply(&mut record, &change, &Resources::default()).unwrap();
        assert_eq!(record.numa_memory, map(&[("a", 10), ("b", 5)]));
    }

    #[test]
    fn what_is_too_much_is_refused() {
        let used = Resources {
            memory_request: MemoryBytes(6 * GIB),
            storage_request: MemoryBytes(90),
            cpu_request: CpuQuota(1),
            ..Resources::default()
        };
        let four = NodeChange { memory: -(4 * GIB as i64), ..NodeChange::default() };
        for (change, want) in [
            (four, "node n1: memory 4 GiB would be below the 6 GiB in use"),
            (
                NodeChange { storage: -20, ..NodeChange::default() },
                "node n1: storage 80 bytes would be below the 90 bytes in use",
            ),
            (NodeChange { memory: i64::MIN, ..NodeChange::default() }, "bad `Memory` value"),
            (NodeChange { memory: i64::MAX, ..NodeChange::default() }, "bad `Memory` value"),
            (NodeChange { storage: -101, ..NodeChange::default() }, "bad `Storage` value"),
            (NodeChange { volumes: map(&[("/d", -41)]), ..NodeChange::default() }, "bad `Volume` value"),
            (NodeChange { numa_memory: map(&[("a", -11)]), ..NodeChange::default() }, "bad `Memory` value"),
            (
                NodeChange { tls: Certificates::new("", "c", "k"), ..NodeChange::default() },
                "ca, cert and key are needed",
            ),
            (
                NodeChange { cpu: map(&[("3", -1)]), ..NodeChange::default() },
                "bad `CPU` value: node n1 has no core \"3\", from which -1 is to be taken",
            ),
            (
                NodeChange { volumes: map(&[("/f", -7)]), ..NodeChange::default() },
                "bad `Volume` value: node n1 has no volume \"/f\", from which -7 is to be taken",
            ),
            (
                NodeChange { numa_memory: map(&[("c", -5)]), ..NodeChange::default() },
                "bad `Memory` value: node n1 has no NUMA node \"c\", from which -5 is to be taken",
            ),
            (
                NodeChange { numa_memory: map(&[("c", 5)]), ..NodeChange::default() },
                "no core belongs to NUMA node \"c\", which cannot be given 5",
            ),
            (NodeChange { cpu: map(&[("0", i32::MIN)]), ..NodeChange::default() }, "bad `CPU` value"),
            (NodeChange { cpu: map(&[("01", 1)]), ..NodeChange::default() }, "by its number, as in \"8\", got \"01\""),
            (NodeChange { cpu: map(&[("x", 1)]), ..NodeChange::default() }, "got \"x\""),
            (NodeChange { cpu: map(&[("0", i32::MAX)]), ..NodeChange::default() }, "bad `CPU` value"),
            (NodeChange { cpu: map(&[("0", -100), ("1", -100)]), ..NodeChange::default() }, "0 cores would be below"),
        ] {
            let text = apply(&mut node(), &change, &used).unwrap_err().to_string();
            assert!(text.contains(want), "{text:?} has no {want:?}");
        }
    }

    #[test]
    fn certificates_go_with_the_endpoint_that_they_belong_to() {
        let certificates = Certificates::new("a", "c", "k");
        let moved = |endpoint: &str, tls: Certificates| {
            let mut record = node();
            record.tls = Some(certificates.clone());
            let change = NodeChange { endpoint: endpoint.into(), tls, ..NodeChange::default() };
            apply(&mut record, &change, &Resources::default()).map(|()| record.tls)
        };
        assert_eq!(moved("tcp://10.0.0.2:2376", Certificates::default()).unwrap(), Some(certificates.clone()));
        assert_eq!(moved("unix:///run/docker.sock", Certificates::default()).unwrap(), None);
        assert!(
            moved("unix:///run/docker.sock", Certificates::new("", "d", "")).is_err(),
            "there is none to go with it"
        );
    }

    #[test]
    fn nothing_given_changes_nothing() {
        let mut record = node();
        apply(&mut record, &NodeChange::default(), &Resources::default()).unwrap();
        assert_eq!(record, node());
        assert!(!NodeChange { workloads_down: true, ..NodeChange::default() }.touches_record());
        let labels = Labels::new([("a".to_owned(), "b".to_owned())].into()).unwrap();
        let change = NodeChange { bypass: Some(true), endpoint: "x".into(), labels, ..NodeChange::default() };
        assert!(change.touches_record() && !change.has_deltas());
        apply(&mut record, &change, &Resources::default()).unwrap();
        for (tls, want) in [(("a", "c", "k"), ("a", "c", "k")), (("", "d", ""), ("a", "d", "k"))] {
            let change = NodeChange { tls: Certificates::new(tls.0, tls.1, tls.2), ..NodeChange::default() };
            assert!(change.moves_engine());
            assert!(format!("{change:?}").contains("tls: ***"));
            apply(&mut record, &change, &Resources::default()).unwrap();
            assert_eq!(record.tls, Some(Certificates::new(want.0, want.1, want.2)));
        }
        assert!(record.bypass && record.endpoint == "x" && record.labels.get("a") == Some("b"));
    }
}
