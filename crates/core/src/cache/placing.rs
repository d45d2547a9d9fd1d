//! How placements and reports come and go: indexes, sums, and who has to be looked at again.

use super::{
    Serial, State, WorkloadView,
    node::At,
    state::{Entry, Pending, Touched},
};
use crate::record::{Placement, StatusRecord};
use eru_kv::{KeyValue, Revision};
use eru_types::{EngineId, NodeName, WorkloadName};
use std::sync::Arc;

impl State {
    pub(super) fn put_placement(
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
        let resources = placement.taken();
        let id = placement.engine_id.clone();
        let known = self.nodes.get(node).and_then(|slot| slot.placements.get(name)).copied();
        let before = known.and_then(|serial| self.entries.get(&serial).map(|entry| (serial, entry)));
        let serial = match before {
            Some((_, entry)) if entry.placement_revision == revision => return,
            Some((serial, entry)) => {
                let (old, view) = (entry.placement.clone(), entry.view.clone());
                let slot = self.slot(node, pending);
                slot.used.take(&old.taken());
                slot.parts.take(&old);
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
        let slot = self.slot(node, pending);
        slot.used.add(&resources);
        slot.parts.add(&placement);
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

    pub(super) fn remove_placement(
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
        slot.used.take(&placement.taken());
        slot.parts.take(&placement);
        slot.count(name, false);
        if self.by_name.get(name) == Some(&serial) {
            self.by_name.remove(name);
        }
        if let Some(id) = &placement.engine_id {
            self.forget_id(id, serial);
        }
        self.end(serial, view, at, pending, touched);
    }

    pub(super) fn apply_status(&mut self, node: &NodeName, id: EngineId, kv: Option<KeyValue>, pending: &mut Pending) {
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
}
