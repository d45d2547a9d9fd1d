//! What was seen, by owner and by node, and whom it wakes.

use crate::view::{self, Condition};
use eru_client::{Change, Entry};
use eru_reconcile::{Instance, Millis, Node, NodeState};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::sync::Notify;

/// All that was seen.
#[derive(Default)]
pub(super) struct Seen {
    owners: HashMap<String, BTreeMap<String, Watched>>,
    pub(super) workers: HashMap<String, Arc<Notify>>,
    nodes: BTreeMap<String, (NodeState, Millis)>,
    /// How many workloads each owner has on each node: so a node's change wakes only those that it concerns.
    owners_on: HashMap<String, HashMap<String, usize>>,
}

struct Watched {
    entry: Arc<Entry>,
    condition: Condition,
    since: Millis,
}

/// What is seen of one set at one moment.
#[derive(Debug, Default)]
pub struct Sight {
    /// Its instances. Workloads whose labels do not say which instance they are, are left out.
    pub instances: Vec<Instance>,
    /// The nodes that they are on.
    pub nodes: Vec<Node>,
    /// Their addresses, by id and network.
    pub networks: BTreeMap<String, BTreeMap<String, String>>,
}

impl Seen {
    pub(super) fn apply(&mut self, change: Change, now: Millis) {
        match change {
            Change::Added(entry) | Change::Updated { new: entry, .. } | Change::Expired(entry) => self.put(entry, now),
            Change::Removed(entry) => {
                let owner = &entry.workload.owner;
                if let Some(own) = self.owners.get_mut(owner) {
                    let gone = own.remove(entry.id());
                    if own.is_empty() {
                        self.owners.remove(owner);
                    }
                    gone.into_iter().for_each(|gone| self.leave_node(gone.entry.node(), owner));
                }
                self.wake(owner);
            }
            Change::Synced => self.wake_all(),
        }
    }

    fn put(&mut self, entry: Arc<Entry>, now: Millis) {
        let owner = entry.workload.owner.clone();
        if owner.is_empty() {
            return;
        }
        let condition = view::condition(&entry);
        let own = self.owners.entry(owner.clone()).or_default();
        let before = own.get(entry.id()).filter(|before| before.condition == condition);
        let since = before.map_or(now, |before| before.since);
        let node = entry.node().to_owned();
        let before = own.insert(entry.id().to_owned(), Watched { entry, condition, since });
        *self.owners_on.entry(node).or_default().entry(owner.clone()).or_default() += 1;
        before.into_iter().for_each(|before| self.leave_node(before.entry.node(), &owner));
        self.wake(&owner);
    }

    /// The owner has one workload less on the node.
    fn leave_node(&mut self, node: &str, owner: &str) {
        let Some(owners) = self.owners_on.get_mut(node) else { return };
        if let Some(len) = owners.get_mut(owner) {
            *len -= 1;
            if *len == 0 {
                owners.remove(owner);
            }
        }
        if owners.is_empty() {
            self.owners_on.remove(node);
        }
    }

    pub(super) fn note_node(&mut self, name: &str, state: NodeState, now: Millis) {
        if self.nodes.get(name).is_none_or(|known| known.0 != state) {
            tracing::debug!(node = name, ?state, "a node has changed");
            self.nodes.insert(name.to_owned(), (state, now));
            self.wake_those_on(name);
        }
    }

    pub(super) fn set_nodes(&mut self, known: BTreeMap<String, NodeState>, now: Millis) {
        let gone: Vec<String> = self.nodes.keys().filter(|name| !known.contains_key(*name)).cloned().collect();
        for name in gone {
            self.nodes.remove(&name);
            self.wake_those_on(&name);
        }
        known.iter().for_each(|(name, state)| self.note_node(name, *state, now));
    }

    fn wake_those_on(&self, node: &str) {
        self.owners_on.get(node).into_iter().flat_map(HashMap::keys).for_each(|owner| self.wake(owner));
    }

    fn wake(&self, owner: &str) {
        if let Some(worker) = self.workers.get(owner) {
            worker.notify_one();
        }
    }

    pub(super) fn wake_all(&self) {
        self.workers.values().for_each(|worker| worker.notify_one());
    }

    pub(super) fn sight(&self, owner: &str, now: Millis) -> Sight {
        let mut sight = Sight::default();
        let mut nodes: BTreeMap<&str, Node> = BTreeMap::new();
        for watched in self.owners.get(owner).into_iter().flat_map(BTreeMap::values) {
            let entry = &watched.entry;
            let Some(instance) = view::instance(entry, watched.condition, watched.since) else {
                tracing::debug!(workload = entry.id(), "the labels of a workload do not say which instance it is");
                continue;
            };
            sight.instances.push(instance);
            let status = entry.status.as_ref();
            let networks = status.map(|status| status.networks.clone()).unwrap_or_default();
            sight.networks.insert(entry.id().to_owned(), networks);
            let (listed, since) = self.nodes.get(entry.node()).copied().unwrap_or((NodeState::Ready, now));
            let word = status.map_or("", |status| status.node_state.as_str());
            let node = nodes.entry(entry.node()).or_insert_with(|| Node {
                name: entry.node().to_owned(),
                state: listed,
                since,
            });
            node.state = view::more_careful(node.state, view::node_state(word));
            if node.state != listed {
                // The list has not caught up: the change is that of the moment.
                node.since = now;
            }
        }
        sight.nodes = nodes.into_values().collect();
        sight
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eru_api::pb;
    use eru_reconcile::InstancePhase;
    use std::time::Duration;

    fn entry(owner: &str, running: bool, node_state: &str) -> Arc<Entry> {
        let labels = [(view::LABEL_SLOT, "0"), (view::LABEL_EPOCH, "1"), (view::LABEL_GENERATION, "1")];
        let workload = pb::Workload {
            id: "id1".into(),
            nodename: "n1".into(),
            owner: owner.into(),
            labels: labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
            ..Default::default()
        };
        let status =
            pb::WorkloadStatus { id: "id1".into(), running, node_state: node_state.into(), ..Default::default() };
        Arc::new(Entry { workload, status: Some(status), expired: false, revision: 1 })
    }

    #[tokio::test]
    async fn a_change_restarts_the_time_and_wakes_its_owner_only() {
        let mut seen = Seen::default();
        let (mine, other) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        seen.workers.insert("mine".into(), mine.clone());
        seen.workers.insert("other".into(), other.clone());
        seen.apply(Change::Added(entry("mine", true, "ready")), Millis(1));
        mine.notified().await;
        seen.apply(Change::Added(entry("mine", true, "ready")), Millis(2));
        assert_eq!(seen.sight("mine", Millis(3)).instances[0].since, Millis(1));
        let (old, new) = (entry("mine", true, "ready"), entry("mine", false, "ready"));
        seen.apply(Change::Updated { old, new: new.clone() }, Millis(4));
        let sight = seen.sight("mine", Millis(5));
        assert_eq!((sight.instances[0].since, sight.instances[0].phase), (Millis(4), InstancePhase::Exited));
        seen.apply(Change::Removed(new), Millis(6));
        assert!(seen.sight("mine", Millis(6)).instances.is_empty() && seen.owners.is_empty());
        // Nothing has woken the other one.
        let wait = tokio::time::timeout(Duration::from_millis(1), other.notified());
        assert!(wait.await.is_err());
    }

    #[tokio::test]
    async fn a_node_wakes_those_who_are_on_it() {
        let mut seen = Seen::default();
        let (mine, other) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        seen.workers.insert("mine".into(), mine.clone());
        seen.workers.insert("other".into(), other.clone());
        let one = entry("mine", true, "ready");
        seen.apply(Change::Added(one.clone()), Millis(1));
        seen.apply(Change::Updated { old: one.clone(), new: entry("mine", false, "ready") }, Millis(2));
        mine.notified().await;
        let states = |state| BTreeMap::from([("n1".to_owned(), state), ("n2".to_owned(), state)]);
        for (known, is_news) in [
            (states(NodeState::Ready), true),
            (states(NodeState::Ready), false),
            (states(NodeState::Suspect), true),
            ([("n1".to_owned(), NodeState::Suspect)].into(), false),
            (BTreeMap::new(), true),
        ] {
            seen.set_nodes(known, Millis(3));
            let woken = tokio::time::timeout(Duration::from_millis(1), mine.notified()).await;
            assert_eq!(woken.is_ok(), is_news);
        }
        assert!(tokio::time::timeout(Duration::from_millis(1), other.notified()).await.is_err());
        seen.apply(Change::Removed(one), Millis(4));
        assert!(seen.owners_on.is_empty(), "nobody is left");
    }

    #[test]
    fn the_more_careful_word_about_a_node_counts() {
        let mut seen = Seen::default();
        seen.apply(Change::Added(entry("mine", false, "lost")), Millis(1));
        assert_eq!(seen.sight("mine", Millis(9)).nodes[0].state, NodeState::Lost);
        seen.set_nodes([("n1".to_owned(), NodeState::Suspect)].into(), Millis(2));
        assert_eq!(seen.sight("mine", Millis(9)).nodes[0].state, NodeState::Lost);
        seen.apply(Change::Added(entry("mine", true, "ready")), Millis(3));
        let node = &seen.sight("mine", Millis(9)).nodes[0];
        assert_eq!((node.state, node.since), (NodeState::Suspect, Millis(2)));
        seen.set_nodes([("n1".to_owned(), NodeState::Ready)].into(), Millis(4));
        assert_eq!(seen.sight("mine", Millis(9)).nodes[0].state, NodeState::Ready);
    }
}
