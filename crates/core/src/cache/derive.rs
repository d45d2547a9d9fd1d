//! What follows from the facts at the end of a revision: lives of nodes, views of workloads, news for subscribers.

use super::{
    NodeLife, NodeSlot, Serial, State, WorkloadView,
    state::{Entry, Pending, Touched},
};
use eru_kv::Revision;
use std::sync::{Arc, OnceLock};

impl State {
    /// Derives lives and views anew where something changed.
    pub(super) fn derive(&mut self, at: Revision, mut pending: Pending, now_ms: i64, touched: &mut Touched) {
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
