//! A store for tests: events are made by hand, so that every interleaving can be had, at once and without IO.

use super::{Cache, Parts};
use crate::{
    keys,
    record::{
        AgentRecord, AliveRecord, NodeRecord, Placement, PlacementState, PodRecord, StatusRecord, Verdict,
        VerdictRecord, Versioned, WorkloadSpec, encode,
    },
    watch::TombstoneLimits,
};
use bytes::Bytes;
use eru_kv::{Event, KeyValue, LeaseId, Revision, StoreIdentity};
use eru_types::{
    EngineId, Labels, MemoryBytes, NodeName, PodName, Resources, WorkloadName, WorkloadStatus, labels::ERU_META,
};
use futures::FutureExt;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

pub(crate) fn node_name(name: &str) -> NodeName {
    NodeName::new(name).unwrap()
}

pub(crate) fn workload_name(name: &str) -> WorkloadName {
    WorkloadName::parse(name).unwrap()
}

pub(crate) fn id(id: &str) -> EngineId {
    EngineId::new(id).unwrap()
}

/// A store and a cache that is fed from it by hand.
pub(crate) struct World {
    pub(crate) cache: Arc<Cache>,
    pub(crate) kvs: BTreeMap<Bytes, KeyValue>,
    pub(crate) revision: Revision,
    store_revision: Arc<AtomicI64>,
    group: Vec<Event>,
    unsent: Vec<Event>,
}

impl World {
    pub(crate) fn new(tombstones: TombstoneLimits) -> Self {
        let store_revision = Arc::new(AtomicI64::new(1));
        let asked = store_revision.clone();
        let cache = Cache::new(Parts {
            identity: StoreIdentity { id: "test".into(), epoch: 0 },
            ask: Box::new(move || futures::future::ready(Ok(Revision(asked.load(Ordering::SeqCst)))).boxed()),
            nudge: Box::new(|| futures::future::ready(()).boxed()),
            tombstones,
        });
        let mut world = Self {
            cache,
            kvs: BTreeMap::new(),
            revision: Revision(1),
            store_revision,
            group: Vec::new(),
            unsent: Vec::new(),
        };
        world.reload();
        world
    }

    pub(crate) fn put<T: Serialize>(&mut self, key: Bytes, record: T) -> &mut Self {
        self.put_raw(key, encode(&Versioned::new(record)), LeaseId(0))
    }

    pub(crate) fn put_raw(&mut self, key: Bytes, value: Bytes, lease: LeaseId) -> &mut Self {
        let mod_revision = self.revision.next();
        let before = self.kvs.get(&key);
        let kv = KeyValue {
            create_revision: before.map_or(mod_revision, |kv| kv.create_revision),
            version: before.map_or(1, |kv| kv.version + 1),
            key: key.clone(),
            value,
            mod_revision,
            lease,
        };
        self.kvs.insert(key, kv.clone());
        self.group.push(Event::Put(kv));
        self
    }

    pub(crate) fn delete(&mut self, key: Bytes) -> &mut Self {
        if self.kvs.remove(&key).is_some() {
            self.group.push(Event::Delete { key, revision: self.revision.next() });
        }
        self
    }

    /// Ends the revision without telling the cache.
    pub(crate) fn commit(&mut self) -> Revision {
        if !self.group.is_empty() {
            self.revision = self.revision.next();
            self.store_revision.store(self.revision.0, Ordering::SeqCst);
            self.unsent.append(&mut self.group);
        }
        self.revision
    }

    /// Ends the revision and gives the cache everything that it has not.
    pub(crate) fn send(&mut self) -> Revision {
        let revision = self.commit();
        let events = std::mem::take(&mut self.unsent);
        self.cache.update(|state| state.apply(revision, events, 1));
        revision
    }

    /// Gives the cache a load instead of the events that it has not, as after a compaction.
    pub(crate) fn reload(&mut self) {
        let revision = self.commit();
        self.unsent.clear();
        let kvs = self.kvs.values().cloned().collect();
        super::feed::take_load(&self.cache, revision, kvs);
    }

    pub(crate) fn pod(&mut self, name: &str) -> &mut Self {
        let name = PodName::new(name).unwrap();
        self.put(keys::pod(&name), PodRecord { name: name.clone(), desc: String::new() })
    }

    pub(crate) fn node(&mut self, name: &str) -> &mut Self {
        let name = node_name(name);
        let record = NodeRecord {
            name: name.clone(),
            pod: PodName::new("p1").unwrap(),
            endpoint: format!("fake://{name}"),
            runtime: "fake".into(),
            runs_images: true,
            runs_commands: true,
            labels: Labels::default(),
            bypass: false,
            cpu: BTreeMap::new(),
            memory: MemoryBytes(1 << 40),
            storage: MemoryBytes(0),
            volumes: BTreeMap::new(),
            numa: BTreeMap::new(),
            numa_memory: BTreeMap::new(),
            tls: None,
            created_at_ms: 0,
        };
        self.put(keys::node(&name), record)
    }

    pub(crate) fn alive(&mut self, node: &str, alive: bool) -> &mut Self {
        let node = node_name(node);
        if !alive {
            return self.delete(keys::alive(&node));
        }
        let value = encode(&Versioned::new(AliveRecord { node: node.clone(), ttl_s: 6, incarnation: 1 }));
        self.put(keys::agent(&node), AgentRecord { incarnation: 1, ..AgentRecord::default() });
        self.put_raw(keys::alive(&node), value, LeaseId(7))
    }

    pub(crate) fn verdict(&mut self, node: &str, verdict: Verdict, generation: i64) -> &mut Self {
        let key = keys::verdict(&node_name(node));
        self.put(key, VerdictRecord { verdict, generation, at_ms: 0, reason: String::new() })
    }

    pub(crate) fn place(
        &mut self,
        node: &str,
        name: &str,
        state: PlacementState,
        engine_id: Option<&str>,
    ) -> &mut Self {
        self.place_labelled(node, name, state, engine_id, "x")
    }

    pub(crate) fn place_labelled(
        &mut self,
        node: &str,
        name: &str,
        state: PlacementState,
        engine_id: Option<&str>,
        label: &str,
    ) -> &mut Self {
        let meta = r#"{"Publish":["80","443"],"HealthCheck":null}"#;
        let labels = [("ERU", "1"), (ERU_META, meta), ("label", label)];
        let labels = Labels::new(labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into()).unwrap();
        let placement = Placement {
            name: workload_name(name),
            pod: PodName::new("p1").unwrap(),
            node: node_name(node),
            state,
            allotment: eru_types::Allotment::default(),
            resources: Resources { memory_request: MemoryBytes(10), ..Resources::default() },
            spec: WorkloadSpec { labels, command: vec!["true".into()], ..WorkloadSpec::default() },
            engine_id: engine_id.map(id),
            core: "core1".into(),
            op_id: String::new(),
            seq: 0,
            owner: String::new(),
            created_at_ms: 5_000,
            replaces: None,
            successor: None,
        };
        self.put(keys::placement(&placement.node, &placement.name), placement)
    }

    pub(crate) fn report(&mut self, node: &str, engine_id: &str, running: bool, generation: i64) -> &mut Self {
        let status = WorkloadStatus {
            running,
            healthy: running,
            networks: [("loopback".to_owned(), "127.64.0.2".to_owned())].into(),
            extension: br#"{"ERU":"1"}"#.to_vec(),
            ..WorkloadStatus::default()
        };
        self.report_status(node, engine_id, status, generation)
    }

    pub(crate) fn report_status(
        &mut self,
        node: &str,
        engine_id: &str,
        status: WorkloadStatus,
        generation: i64,
    ) -> &mut Self {
        let (node, id) = (node_name(node), id(engine_id));
        let key = keys::status(&node, &id);
        self.put(key, StatusRecord { id, node, incarnation: 1, seq: 1, generation, ttl_s: 0, status })
    }

    pub(crate) fn expire(&mut self, node: &str, engine_id: &str) -> &mut Self {
        self.delete(keys::status(&node_name(node), &id(engine_id)))
    }

    /// Removes a workload as core does: report and placement at one revision, the report first.
    pub(crate) fn remove(&mut self, node: &str, name: &str, engine_id: Option<&str>) -> &mut Self {
        let node = node_name(node);
        if let Some(engine_id) = engine_id {
            self.delete(keys::status(&node, &id(engine_id)));
        }
        self.delete(keys::placement(&node, &workload_name(name)))
    }
}
