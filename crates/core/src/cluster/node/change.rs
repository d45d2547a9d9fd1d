//! What a change of a node makes of its record. Pure.

use super::bytes_text;
use crate::{
    cluster::{Error, Result},
    record::{Certificates, NodeRecord},
};
use eru_types::{CpuQuota, Labels, MemoryBytes, NodeName, Resources, name::excerpt};
use std::collections::BTreeMap;

/// The scheme of endpoints that certificates belong to.
const TLS_SCHEME: &str = "tcp://";
/// Most pieces of one core.
pub const SHARE_MAX: u32 = 1_000_000;

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
    /// Bytes to add to or take from each NUMA node that is known, or that cores belong to.
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
    for (node, delta) in &change.numa_memory {
        let bytes = match record.numa_memory.get_mut(node) {
            Some(bytes) => bytes,
            None if *delta > 0 && record.numa.values().any(|of| of == node) => {
                record.numa_memory.entry(node.clone()).or_default()
            }
            None => continue,
        };
        *bytes = moved(*bytes, *delta, "Memory", &record.name)?;
    }
    let storage_delta = volumes(record, &change.volumes)?;
    if change.storage != 0 || storage_delta != 0 {
        let sum = i128::from(change.storage) + storage_delta;
        let total = moved_wide(record.storage.0, sum, "Storage", &record.name)?;
        record.storage = not_below(total, used.storage_request, "storage", &record.name)?;
    }
    if change.memory != 0 {
        let total = moved(record.memory.0, change.memory, "Memory", &record.name)?;
        record.memory = not_below(total, used.memory_request, "memory", &record.name)?;
    }
    cpu(record, &change.cpu, used.cpu_request)
}

fn moved(total: u64, delta: i64, kind: &str, node: &NodeName) -> Result<u64> {
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

/// Changes the volume devices; answers by how much the storage changes with them.
fn volumes(record: &mut NodeRecord, deltas: &BTreeMap<String, i64>) -> Result<i128> {
    let mut storage = 0_i128;
    for (device, delta) in deltas {
        match (record.volumes.get_mut(device), *delta) {
            (Some(size), 0) => {
                storage -= i128::from(*size);
                record.volumes.remove(device);
            }
            (Some(size), delta) => {
                *size = moved(*size, delta, "Volume", &record.name)?;
                storage += i128::from(delta);
            }
            (None, delta) if delta > 0 => {
                record.volumes.insert(device.clone(), delta.unsigned_abs());
                storage += i128::from(delta);
            }
            (None, _) => {}
        }
    }
    Ok(storage)
}

fn cpu(record: &mut NodeRecord, deltas: &BTreeMap<String, i32>, used: CpuQuota) -> Result<()> {
    for (core, delta) in deltas {
        let pieces = record.cpu.get(core).copied();
        if pieces.is_none() && *delta <= 0 {
            continue;
        }
        // An engine knows cores by their numbers, and "01" would be core 1 once more.
        if pieces.is_none() && !core.parse::<u32>().is_ok_and(|number| number.to_string() == *core) {
            let text = format!(
                "bad `CPU` value: node {}: a core is called by its number, as in \"8\", got \"{}\"",
                record.name,
                excerpt(core)
            );
            return Err(Error::Invalid(text));
        }
        let sum = i64::from(pieces.unwrap_or(0)) + i64::from(*delta);
        let sum = u32::try_from(sum).ok().filter(|sum| *sum <= SHARE_MAX).ok_or_else(|| {
            let text = format!(
                "bad `CPU` value: node {}: core {core} would have {sum} pieces (0 to {SHARE_MAX})",
                record.name
            );
            Error::Invalid(text)
        })?;
        if sum == 0 {
            record.cpu.remove(core);
        } else {
            record.cpu.insert(core.clone(), sum);
        }
    }
    let max = super::add::CORES_MAX as usize;
    if record.cpu.len() > max {
        let text =
            format!("bad `CPU` value: node {} would have {} cores (at most {max})", record.name, record.cpu.len());
        return Err(Error::Invalid(text));
    }
    // Unbound processor time may be given away more than once, as in the original; only taking the last core while
    // something runs is refused.
    if record.cpu.is_empty() && !deltas.is_empty() && used > CpuQuota(0) {
        let used = used.cores();
        return Err(Error::Precondition(format!("node {}: 0 cores would be below the {used} in use", record.name)));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use eru_types::PodName;

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
            cpu: map(&[("0", -100), ("2", 50), ("3", -1)]),
            memory: -(GIB as i64),
            storage: 5,
            volumes: map(&[("/d", 0), ("/e", 7), ("/f", -1)]),
            numa_memory: map(&[("a", -10), ("unknown", 5)]),
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
        let change = NodeChange { numa, numa_memory: map(&[("b", 5), ("c", 5)]), ..NodeChange::default() };
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
