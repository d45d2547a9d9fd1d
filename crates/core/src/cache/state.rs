//! The state itself, and how one batch of store events changes it.

use super::{
    PodEntry, Serial, WorkloadView,
    node::{At, NodeSlot},
};
use crate::{
    keys::{self, Key},
    record::{self, CoreRecord, OwnerRecord, Placement, Versioned},
    watch::index::{Index, NodeIndex, TombstoneLimits},
};
use bytes::Bytes;
use eru_kv::{Event, KeyValue, Revision};
use eru_types::{AppName, EngineId, NodeName, PodName, WorkloadName};
use serde::de::DeserializeOwned;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

/// A placement with what is derived from it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) placement: Arc<Versioned<Placement>>,
    pub(crate) placement_revision: Revision,
    /// Its report outlived its ttl.
    pub(super) expired: bool,
    /// `None` only within the batch that brings it.
    pub(crate) view: Option<Arc<WorkloadView>>,
}

/// Who has to be woken after a batch.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    pub(crate) apps: BTreeSet<AppName>,
    pub(crate) nodes: bool,
    pub(crate) cores: bool,
}

/// Everything that the store holds, at one revision.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) revision: Revision,
    /// Raised when the store's history was not continued but replaced: every cursor of before is worthless.
    pub(crate) era: u64,
    /// How often everything was read anew: once at the start, and whenever the store had forgotten what was missing.
    pub(crate) loads: u64,
    pub(crate) pods: BTreeMap<PodName, Arc<PodEntry>>,
    pub(crate) nodes: BTreeMap<NodeName, NodeSlot>,
    pub(crate) entries: HashMap<Serial, Entry>,
    pub(crate) by_id: BTreeMap<EngineId, Serial>,
    pub(crate) by_name: HashMap<WorkloadName, Serial>,
    pub(crate) owners: BTreeMap<String, At<Versioned<OwnerRecord>>>,
    pub(crate) cores: BTreeMap<String, Arc<CoreRecord>>,
    pub(crate) liveness: Option<KeyValue>,
    /// Values that do not decode: key to reason.
    pub(crate) set_aside: BTreeMap<Bytes, String>,
    pub(crate) index: Index,
    pub(crate) node_index: NodeIndex,
    pub(super) next_serial: Serial,
}

/// What is to be derived anew at the end of one revision.
#[derive(Default)]
pub(super) struct Pending {
    pub(super) workloads: BTreeSet<Serial>,
    pub(super) nodes: BTreeSet<NodeName>,
}

impl State {
    pub(crate) fn new(limits: TombstoneLimits) -> Self {
        Self {
            revision: Revision(0),
            era: 0,
            loads: 0,
            pods: BTreeMap::new(),
            nodes: BTreeMap::new(),
            entries: HashMap::new(),
            by_id: BTreeMap::new(),
            by_name: HashMap::new(),
            owners: BTreeMap::new(),
            cores: BTreeMap::new(),
            liveness: None,
            set_aside: BTreeMap::new(),
            index: Index::new(limits),
            node_index: NodeIndex::default(),
            next_serial: 1,
        }
    }

    pub(crate) fn next_serial(&self) -> Serial {
        self.next_serial
    }

    /// Applies events, revisions ascending, and moves to `revision`.
    pub(crate) fn apply(&mut self, revision: Revision, events: Vec<Event>, now_ms: i64) -> Touched {
        let mut touched = Touched::default();
        let mut events = events.into_iter().peekable();
        while let Some(first) = events.next() {
            let at = revision_of(&first);
            let mut group = vec![first];
            while let Some(event) = events.next_if(|event| revision_of(event) == at) {
                group.push(event);
            }
            self.apply_revision(at, group, now_ms, &mut touched);
        }
        self.revision = self.revision.max(revision);
        touched
    }

    /// Replaces everything by what a load at `revision` found, as one change at that revision.
    pub(crate) fn reload(&mut self, revision: Revision, kvs: Vec<KeyValue>, now_ms: i64) -> Touched {
        self.loads += 1;
        let mut touched = Touched::default();
        let mut gone: BTreeSet<Bytes> = self.known_keys().into_iter().collect();
        for kv in &kvs {
            gone.remove(&kv.key);
        }
        let deletes = gone.into_iter().map(|key| Event::Delete { key, revision });
        let group = deletes.chain(kvs.into_iter().map(Event::Put)).collect();
        self.apply_revision(revision, group, now_ms, &mut touched);
        self.revision = self.revision.max(revision);
        touched
    }

    fn known_keys(&self) -> Vec<Bytes> {
        let mut known: Vec<Bytes> = self.set_aside.keys().cloned().collect();
        known.extend(self.pods.keys().map(keys::pod));
        for (name, slot) in &self.nodes {
            known.extend(slot.record.as_ref().map(|_| keys::node(name)));
            known.extend((slot.version_revision > Revision(0)).then(|| keys::version(name)));
            known.extend(slot.verdict.as_ref().map(|_| keys::verdict(name)));
            known.extend(slot.alive.as_ref().map(|_| keys::alive(name)));
            known.extend(slot.agent.as_ref().map(|_| keys::agent(name)));
            known.extend(slot.placements.keys().map(|workload| keys::placement(name, workload)));
            known.extend(slot.statuses.keys().map(|id| keys::status(name, id)));
        }
        known.extend(self.owners.keys().map(|owner| keys::owner(owner)));
        known.extend(self.cores.keys().map(|core| keys::core(core)));
        known.extend(self.liveness.as_ref().map(|_| keys::liveness()));
        known
    }

    fn apply_revision(&mut self, at: Revision, group: Vec<Event>, now_ms: i64, touched: &mut Touched) {
        let mut parsed: Vec<(Key, Bytes, Option<KeyValue>)> = Vec::with_capacity(group.len());
        for event in group {
            let (key, kv) = match event {
                Event::Put(kv) => (kv.key.clone(), Some(kv)),
                Event::Delete { key, .. } => (key, None),
            };
            // A key that we never write is somebody else's.
            if let Some(meaning) = keys::parse(&key) {
                parsed.push((meaning, key, kv));
            }
        }
        // A removal takes placement and report away at one revision, in whatever order: the placement goes first here, so
        // that the last known workload still has its report.
        parsed.sort_by_key(|(meaning, ..)| match meaning {
            Key::Placement(..) => 1,
            Key::Status(..) => 2,
            _ => 0,
        });
        let mut pending = Pending::default();
        for (meaning, key, kv) in parsed {
            if kv.is_none() {
                self.set_aside.remove(&key);
            }
            match meaning {
                Key::Pod(name) => self.apply_pod(name, kv),
                Key::Node(name) => {
                    if let Some(value) = self.read(kv) {
                        self.slot(&name, &mut pending).record =
                            value.map(|(r, at)| At { record: Arc::new(r), revision: at });
                    }
                }
                Key::Version(name) => {
                    self.slot(&name, &mut pending).version_revision = kv.map(|kv| kv.mod_revision).unwrap_or_default();
                }
                Key::Verdict(name) => {
                    if let Some(value) = self.read(kv) {
                        self.slot(&name, &mut pending).verdict = value.map(plain);
                    }
                }
                Key::Alive(name) => {
                    let lease = kv.as_ref().map(|kv| kv.lease).unwrap_or_default();
                    if let Some(value) = self.read(kv) {
                        self.slot(&name, &mut pending).alive = value.map(|value| (plain(value), lease));
                    }
                }
                Key::Agent(name) => {
                    if let Some(value) = self.read(kv) {
                        self.slot(&name, &mut pending).agent = value.map(plain);
                    }
                }
                Key::Placement(node, name) => match kv {
                    Some(kv) => self.put_placement(&node, &name, kv, at, &mut pending, touched),
                    None => self.remove_placement(&node, &name, at, &mut pending, touched),
                },
                Key::Status(node, id) => self.apply_status(&node, id, kv, &mut pending),
                Key::Owner(owner) => {
                    if let Some(value) = self.read(kv) {
                        match value {
                            Some((record, revision)) => drop(self.owners.insert(owner, At { record, revision })),
                            None => drop(self.owners.remove(&owner)),
                        }
                    }
                }
                Key::Core(core) => {
                    if let Some(value) = self.read::<CoreRecord>(kv) {
                        touched.cores = true;
                        match value {
                            Some((record, _)) => drop(self.cores.insert(core, Arc::new(record.record))),
                            None => drop(self.cores.remove(&core)),
                        }
                    }
                }
                Key::Liveness => self.liveness = kv,
                // Read where they are wanted; there may be very many of them.
                _ => {}
            }
        }
        self.derive(at, pending, now_ms, touched);
    }

    /// Decodes a put; `Some(None)` is a removal, `None` a value that was set aside.
    pub(super) fn read<T: DeserializeOwned>(
        &mut self,
        kv: Option<KeyValue>,
    ) -> Option<Option<(Versioned<T>, Revision)>> {
        let Some(kv) = kv else { return Some(None) };
        match record::decode(&kv.value) {
            Ok(record) => {
                self.set_aside.remove(&kv.key);
                Some(Some((record, kv.mod_revision)))
            }
            Err(error) => {
                self.set_aside(kv.key, error.to_string());
                None
            }
        }
    }

    pub(super) fn set_aside(&mut self, key: Bytes, reason: String) {
        if self.set_aside.insert(key.clone(), reason.clone()).as_ref() != Some(&reason) {
            let key = String::from_utf8_lossy(&key).into_owned();
            tracing::error!(key, reason, "a stored value does not decode and is set aside");
        }
    }

    /// The slot of a node, to be changed.
    pub(super) fn slot(&mut self, name: &NodeName, pending: &mut Pending) -> &mut NodeSlot {
        if !pending.nodes.contains(name) {
            pending.nodes.insert(name.clone());
        }
        let slot = self.nodes.entry(name.clone()).or_default();
        slot.touch();
        slot
    }

    fn apply_pod(&mut self, name: PodName, kv: Option<KeyValue>) {
        match self.read(kv) {
            Some(Some((record, revision))) => drop(self.pods.insert(name, Arc::new(PodEntry { record, revision }))),
            Some(None) => drop(self.pods.remove(&name)),
            None => {}
        }
    }
}

fn revision_of(event: &Event) -> Revision {
    match event {
        Event::Put(kv) => kv.mod_revision,
        Event::Delete { revision, .. } => *revision,
    }
}

fn plain<T>((record, revision): (Versioned<T>, Revision)) -> At<T> {
    At { record: record.record, revision }
}
