//! The state itself, and how one batch of store events changes it.

use super::{
    NodeLife, PodEntry, Serial, WorkloadView,
    node::{At, NodeSlot},
};
use crate::{
    keys::{self, Key},
    record::{self, CoreRecord, OwnerRecord, Placement, StatusRecord, Versioned},
    watch::index::{Index, NodeIndex, TombstoneLimits},
};
use bytes::Bytes;
use eru_kv::{Event, KeyValue, Revision};
use eru_types::{AppName, EngineId, NodeName, PodName, WorkloadName};
use serde::de::DeserializeOwned;
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, OnceLock},
};

/// A placement with what is derived from it.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) placement: Arc<Versioned<Placement>>,
    pub(crate) placement_revision: Revision,
    /// Its report outlived its ttl.
    expired: bool,
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
    next_serial: Serial,
}

/// What is to be derived anew at the end of one revision.
#[derive(Default)]
struct Pending {
    workloads: BTreeSet<Serial>,
    nodes: BTreeSet<NodeName>,
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
    fn read<T: DeserializeOwned>(&mut self, kv: Option<KeyValue>) -> Option<Option<(Versioned<T>, Revision)>> {
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

    fn set_aside(&mut self, key: Bytes, reason: String) {
        if self.set_aside.insert(key.clone(), reason.clone()).as_ref() != Some(&reason) {
            let key = String::from_utf8_lossy(&key).into_owned();
            tracing::error!(key, reason, "a stored value does not decode and is set aside");
        }
    }

    /// The slot of a node, to be changed.
    fn slot(&mut self, name: &NodeName, pending: &mut Pending) -> &mut NodeSlot {
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

    fn put_placement(
        &mut self,
        node: &NodeName,
        name: &WorkloadName,
        kv: KeyValue,
        at: Revision,
        pending: &mut Pending,
        touched: &mut Touched,
    ) {
        let key = kv.key.clone();
        let Some(Some((placement, revision))) = self.read::<Placement>(Some(kv)) else { return };
        if placement.node != *node || placement.name != *name {
            return self.set_aside(key, format!("it names {} on {}", placement.name, placement.node));
        }
        let resources = placement.resources;
        let id = placement.engine_id.clone();
        let known = self.nodes.get(node).and_then(|slot| slot.placements.get(name)).copied();
        let before = known.and_then(|serial| self.entries.get(&serial).map(|entry| (serial, entry)));
        let serial = match before {
            Some((_, entry)) if entry.placement_revision == revision => return,
            Some((serial, entry)) => {
                let (old, view) = (entry.placement.clone(), entry.view.clone());
                self.slot(node, pending).used.take(&old.resources);
                match &old.engine_id {
                    // The engine object that was known is not the one that is known now: to whoever watches, one workload
                    // ended and another one began.
                    Some(old_id) if Some(old_id) != id.as_ref() => {
                        self.forget_id(old_id, serial);
                        self.end(serial, view, at, pending, touched);
                        self.begin(node, name)
                    }
                    _ => serial,
                }
            }
            None => {
                self.slot(node, pending).count(name, true);
                self.begin(node, name)
            }
        };
        self.slot(node, pending).used.add(&resources);
        if let Some(id) = id {
            self.by_id.insert(id, serial);
        }
        let placement = Arc::new(placement);
        self.entries
            .entry(serial)
            .and_modify(|entry| {
                entry.placement = placement.clone();
                entry.placement_revision = revision;
            })
            .or_insert_with(|| Entry { placement, placement_revision: revision, expired: false, view: None });
        pending.workloads.insert(serial);
    }

    fn begin(&mut self, node: &NodeName, name: &WorkloadName) -> Serial {
        let serial = self.next_serial;
        self.next_serial += 1;
        self.nodes.entry(node.clone()).or_default().placements.insert(name.clone(), serial);
        self.by_name.insert(name.clone(), serial);
        serial
    }

    /// Ends a workload for those who watch.
    fn end(
        &mut self,
        serial: Serial,
        view: Option<Arc<WorkloadView>>,
        at: Revision,
        pending: &mut Pending,
        touched: &mut Touched,
    ) {
        pending.workloads.remove(&serial);
        self.entries.remove(&serial);
        if let Some(view) = view.filter(|view| view.is_visible()) {
            touched.apps.insert(view.placement.name.app.clone());
            self.index.put(Some(view.changed), Arc::new(view.as_removed(at)));
        }
    }

    fn forget_id(&mut self, id: &EngineId, serial: Serial) {
        if self.by_id.get(id) == Some(&serial) {
            self.by_id.remove(id);
        }
    }

    fn remove_placement(
        &mut self,
        node: &NodeName,
        name: &WorkloadName,
        at: Revision,
        pending: &mut Pending,
        touched: &mut Touched,
    ) {
        let Some(serial) = self.nodes.get(node).and_then(|slot| slot.placements.get(name)).copied() else { return };
        let entry = &self.entries[&serial];
        let (placement, view) = (entry.placement.clone(), entry.view.clone());
        let slot = self.slot(node, pending);
        slot.placements.remove(name);
        slot.used.take(&placement.resources);
        slot.count(name, false);
        if self.by_name.get(name) == Some(&serial) {
            self.by_name.remove(name);
        }
        if let Some(id) = &placement.engine_id {
            self.forget_id(id, serial);
        }
        self.end(serial, view, at, pending, touched);
    }

    fn apply_status(&mut self, node: &NodeName, id: EngineId, kv: Option<KeyValue>, pending: &mut Pending) {
        let Some(value) = self.read::<StatusRecord>(kv) else { return };
        let known = self.nodes.entry(node.clone()).or_default();
        let gone = match value {
            Some((record, revision)) => {
                if known.statuses.get(&id).is_some_and(|status| status.revision == revision) {
                    return;
                }
                known.statuses.insert(id.clone(), At { record: Arc::new(record), revision });
                false
            }
            None => known.statuses.remove(&id).is_some(),
        };
        // A slot may be empty now.
        pending.nodes.insert(node.clone());
        let Some(serial) = self.by_id.get(&id) else { return };
        let Some(entry) = self.entries.get_mut(serial).filter(|entry| entry.placement.node == *node) else { return };
        entry.expired = gone;
        pending.workloads.insert(*serial);
    }

    /// Derives lives and views anew where something changed.
    fn derive(&mut self, at: Revision, mut pending: Pending, now_ms: i64, touched: &mut Touched) {
        for name in pending.nodes {
            let Some(slot) = self.nodes.get_mut(&name) else { continue };
            let life = slot.make_life();
            if *slot.life != life {
                if slot.life.state != life.state || slot.state_since_ms == 0 {
                    slot.state_since_ms = now_ms;
                    slot.touch();
                }
                slot.life = Arc::new(life);
                pending.workloads.extend(slot.placements.values());
            }
            touched.nodes |= self.node_index.tell(at, &name, slot);
            if slot.is_empty() {
                self.nodes.remove(&name);
            }
        }
        for serial in pending.workloads {
            let Some(entry) = self.entries.get(&serial) else { continue };
            let slot = &self.nodes[&entry.placement.node];
            let (view, changed) = make_view(serial, entry, slot, at);
            let before = entry.view.as_ref().filter(|before| before.is_visible()).map(|before| before.changed);
            let view = Arc::new(view);
            if view.is_visible() {
                if changed {
                    touched.apps.insert(view.placement.name.app.clone());
                }
                self.index.put(before, view.clone());
            }
            if let Some(entry) = self.entries.get_mut(&serial) {
                entry.view = Some(view);
            }
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

/// The view of a workload at `at`, and whether a subscriber of everything sees a difference to the one before.
fn make_view(serial: Serial, entry: &Entry, slot: &NodeSlot, at: Revision) -> (WorkloadView, bool) {
    let status = entry.placement.engine_id.as_ref().and_then(|id| slot.statuses.get(id));
    let life: &Arc<NodeLife> = &slot.life;
    let mut view = WorkloadView {
        placement: entry.placement.clone(),
        placement_revision: entry.placement_revision,
        status: status.map(|status| status.record.clone()),
        status_revision: status.map(|status| status.revision).unwrap_or_default(),
        expired: entry.expired && status.is_none(),
        life: life.clone(),
        changed: at,
        status_changed: at,
        removed: false,
        serial,
        encoded: OnceLock::new(),
    };
    match &entry.view {
        Some(before) => {
            let (was, is) = (before.shown(), view.shown());
            let same = was == is && before.placement_revision == view.placement_revision && before.life == view.life;
            if was.plainly_equals(&is) {
                view.status_changed = before.status_changed;
            }
            if same {
                view.changed = before.changed;
            }
            (view, !same)
        }
        None => {
            if view.status.is_none() {
                view.status_changed = Revision(0);
            }
            (view, true)
        }
    }
}
