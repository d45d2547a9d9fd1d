//! Registering a node.

use crate::{
    cluster::{Cluster, Error, Result, clock::now_ms, engines::Address, read::read},
    keys,
    record::{self, Certificates, NodeRecord, Versioned},
};
use bytes::Bytes;
use eru_kv::{Durability, Guard, Op, Txn};
use eru_runtime::{Info, RuntimeKind};
use eru_types::{Labels, MemoryBytes, NodeName, PodName};
use std::collections::{BTreeMap, BTreeSet};

/// Share of a machine's memory and storage that workloads get when the operator does not say; the rest is the system's.
const GIVEN_PERCENT: u64 = 80;
/// Most cores of a node: the machine's own number is trusted no further than the operator's.
pub const CORES_MAX: u32 = 4096;

/// A node to register; what is zero or missing is asked of its engine.
#[derive(Debug, Clone)]
pub struct NewNode {
    /// Its name.
    pub name: NodeName,
    /// Its pod.
    pub pod: PodName,
    /// Where its engine is.
    pub endpoint: String,
    /// Number of cores.
    pub cores: u32,
    /// Pieces a core.
    pub share: u32,
    /// Memory.
    pub memory: MemoryBytes,
    /// Storage without volumes.
    pub storage: MemoryBytes,
    /// Labels.
    pub labels: Labels,
    /// Directory to bytes.
    pub volumes: BTreeMap<String, u64>,
    /// Core name to NUMA node.
    pub numa: BTreeMap<String, String>,
    /// NUMA node to bytes.
    pub numa_memory: BTreeMap<String, u64>,
    /// Certificates.
    pub tls: Option<Certificates>,
}

impl NewNode {
    /// The record, with what its engine said.
    fn record(self, kind: RuntimeKind, info: &Info, share: u32, now_ms: i64) -> NodeRecord {
        // Divided first: a machine's size times 80 may not fit.
        let given = |total: u64| total / 100 * GIVEN_PERCENT + total % 100 * GIVEN_PERCENT / 100;
        let or = |wanted: u64, total: u64| if wanted == 0 { given(total) } else { wanted };
        let cores = if self.cores == 0 { info.cores.min(CORES_MAX) } else { self.cores };
        let share = if self.share == 0 { share } else { self.share };
        let memory = or(self.memory.0, info.memory_bytes);
        let volumes = self.volumes.values().fold(0_u64, |sum, size| sum.saturating_add(*size));
        let storage = or(self.storage.0.saturating_add(volumes), info.storage_bytes);
        let cpu: BTreeMap<String, u32> = (0..cores).map(|core| (core.to_string(), share)).collect();
        let mut numa_memory = self.numa_memory;
        // A map of the whole machine may name cores that the node is not given.
        let numa_nodes: BTreeSet<&String> =
            self.numa.iter().filter(|(c, _)| cpu.contains_key(*c)).map(|(_, n)| n).collect();
        for node in &numa_nodes {
            numa_memory.entry((*node).clone()).or_insert(memory / numa_nodes.len() as u64);
        }
        NodeRecord {
            name: self.name,
            pod: self.pod,
            endpoint: self.endpoint,
            runtime: kind.as_str().to_owned(),
            runs_images: kind.runs_images(),
            runs_commands: kind.runs_commands(),
            labels: self.labels,
            bypass: false,
            cpu,
            memory: MemoryBytes(memory),
            storage: MemoryBytes(storage),
            volumes: self.volumes,
            numa: self.numa,
            numa_memory,
            tls: self.tls,
            created_at_ms: now_ms,
        }
    }
}

impl Cluster {
    /// Registers a node, after its engine has answered.
    ///
    /// # Errors
    /// [`Error::NotFound`] without the pod, [`Error::Exists`], [`Error::Unavailable`] when the engine does not answer,
    /// [`Error::Invalid`] for an endpoint that no engine is behind.
    pub async fn add_node(&self, new: NewNode) -> Result<NodeRecord> {
        let (name, pod) = (new.name.clone(), new.pod.clone());
        let found = read(&*self.kv, &[keys::pod(&pod), keys::node(&name)]).await?;
        if found.values[0].is_none() {
            return Err(Error::no_pod(&pod));
        }
        if found.values[1].is_some() {
            return Err(Error::Exists("Key exists".into()));
        }
        let (kind, info) = self.ask_new(&new).await?;
        let _turn = self.check_alone(&name, kind).await?;
        let record = new.record(kind, &info, self.settings.share, now_ms());
        let value = record::encode(&Versioned::new(record.clone()));
        let size = value.len();
        if size > eru_types::limits::RECORD_BYTES_MAX {
            let max = eru_types::limits::RECORD_BYTES_MAX;
            let text =
                format!("node {name}: its record would be {size} bytes (at most {max}); shorten labels or volumes");
            return Err(Error::Invalid(text));
        }
        self.write_node(&name, &pod, value).await?;
        tracing::info!(node = %name, pod = %pod, runtime = record.runtime, "node added");
        Ok(record)
    }

    /// Asks the engine of a node that is to be added. One that is refused leaves nothing open.
    async fn ask_new(&self, new: &NewNode) -> Result<(RuntimeKind, Info)> {
        let at = Address { endpoint: &new.endpoint, tls: new.tls.as_ref() };
        if new.tls.as_ref().is_some_and(|tls| !tls.is_complete()) {
            return Err(Error::Invalid("ca, cert and key are given together or not at all".into()));
        }
        let asked = self.engine_info(at, self.settings.connection_timeout).await;
        let others = self.cache.nodes(None);
        if asked.is_err() && !others.iter().any(|n| n.record.endpoint == new.endpoint && n.record.tls == new.tls) {
            self.engines.forget(at);
        }
        asked
    }

    /// Writes a node that is not there to a pod that is. The pod's record is rewritten as it is, so that a removal of the
    /// pod at the same time fails its guard.
    async fn write_node(&self, name: &NodeName, pod: &PodName, value: Bytes) -> Result<()> {
        loop {
            let found = read(&*self.kv, &[keys::pod(pod)]).await?;
            let Some(pod_now) = &found.values[0] else { return Err(Error::no_pod(pod)) };
            let txn = Txn {
                guards: vec![Guard::ModRevision(keys::pod(pod), pod_now.mod_revision), Guard::Absent(keys::node(name))],
                then: vec![
                    Op::put(keys::node(name), value.clone()),
                    Op::put(keys::version(name), Bytes::from_static(b"1")),
                    Op::put(keys::pod(pod), pod_now.value.clone()),
                ],
                or_else: vec![Op::Get(eru_kv::KeyRange::key(keys::node(name)))],
            };
            let reply = self.kv.txn(txn, Durability::Durable).await?;
            if reply.succeeded {
                return Ok(());
            }
            if matches!(reply.replies.first(), Some(eru_kv::OpReply::Get(nodes)) if !nodes.is_empty()) {
                return Err(Error::Exists("Key exists".into()));
            }
            // Only another node of the same pod came in between; somebody made progress, so this ends.
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_fills_what_was_left_open() {
        let new = NewNode {
            name: NodeName::new("n").unwrap(),
            pod: PodName::new("p").unwrap(),
            endpoint: "fake://n".into(),
            cores: 0,
            share: 0,
            memory: MemoryBytes(0),
            storage: MemoryBytes(0),
            labels: Labels::default(),
            volumes: BTreeMap::new(),
            numa: [("0".to_owned(), "a".to_owned()), ("1".to_owned(), "b".to_owned())].into(),
            numa_memory: [("a".to_owned(), 7)].into(),
            tls: None,
        };
        let info = Info { id: "x".into(), cores: 2, memory_bytes: 25_276_514_304, storage_bytes: u64::MAX };
        let record = new.clone().record(RuntimeKind::Fake, &info, 100, 5);
        assert_eq!(record.memory.0, 20_221_211_443, "as the original rounds it");
        assert_eq!(record.cpu, [("0".to_owned(), 100), ("1".to_owned(), 100)].into());
        assert_eq!(record.numa_memory, [("a".to_owned(), 7), ("b".to_owned(), 20_221_211_443 / 2)].into());
        assert!(record.storage.0 > u64::MAX / 100 * 79);
        let unknown = [("0", "a"), ("9", "c")].map(|(core, node)| (core.to_owned(), node.to_owned())).into();
        let partly = NewNode { numa: unknown, numa_memory: BTreeMap::new(), memory: MemoryBytes(8), ..new.clone() };
        let partly = partly.record(RuntimeKind::Fake, &info, 100, 5);
        assert_eq!(partly.numa_memory, [("a".to_owned(), 8)].into(), "who has no core here has no part of the memory");
        let given =
            NewNode { cores: 1, share: 10, memory: MemoryBytes(9), ..new }.record(RuntimeKind::Fake, &info, 100, 5);
        assert_eq!((given.memory.0, &given.cpu), (9, &[("0".to_owned(), 10)].into()));
    }
}
