//! The fold of the informer against a model of core: tables, and any interleaving of changes, snapshots cut short, resumes,
//! resyncs and lost connections.

use bytes::Bytes;
use eru_api::pb::{self, workload_status_stream_message::Kind};
use eru_client::{
    Change, Snapshot,
    informer::{changes::Queue, fold::Fold, fold::Start},
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

fn message(kind: Kind, id: &str, revision: i64) -> pb::WorkloadStatusStreamMessage {
    pb::WorkloadStatusStreamMessage { id: id.into(), kind: kind.into(), revision, ..Default::default() }
}

fn mark(kind: Kind, revision: i64) -> pb::WorkloadStatusStreamMessage {
    let resume_token = if kind == Kind::Resync { Bytes::new() } else { Bytes::from(revision.to_string()) };
    pb::WorkloadStatusStreamMessage { resume_token, ..message(kind, "", revision) }
}

fn upsert(kind: Kind, id: &str, revision: i64, healthy: bool) -> pb::WorkloadStatusStreamMessage {
    let workload = pb::Workload { id: id.into(), name: format!("app_web_{id:0>6}"), ..Default::default() };
    let status = pb::WorkloadStatus { id: id.into(), running: true, healthy, ..Default::default() };
    pb::WorkloadStatusStreamMessage { workload: Some(workload), status: Some(status), ..message(kind, id, revision) }
}

fn removal(id: &str, revision: i64) -> pb::WorkloadStatusStreamMessage {
    pb::WorkloadStatusStreamMessage { delete: true, error: "gone".into(), ..message(Kind::Change, id, revision) }
}

fn expiry(id: &str, revision: i64) -> pb::WorkloadStatusStreamMessage {
    pb::WorkloadStatusStreamMessage { delete: true, ..message(Kind::Change, id, revision) }
}

/// Change as a short word.
fn word(change: &Change) -> String {
    let id = change.entry().map(|e| e.id().to_owned()).unwrap_or_default();
    let kind = match change {
        Change::Added(_) => "+",
        Change::Updated { .. } => "~",
        Change::Removed(_) => "-",
        Change::Expired(_) => "?",
        Change::Synced => "synced",
    };
    format!("{kind}{id}")
}

fn ids(store: &Snapshot) -> Vec<String> {
    store.keys().map(|k| k.to_string()).collect()
}

#[test]
fn a_table_of_one_life() {
    let mut fold = Fold::new();
    assert_eq!(fold.connect(), Start::Snapshot);
    let steps = [
        (upsert(Kind::Snapshot, "a", 1, true), vec![], ""),
        (upsert(Kind::Snapshot, "b", 2, true), vec![], ""),
        (removal("b", 3), vec![], ""),
        (mark(Kind::Bookmark, 3), vec![], ""),
        (mark(Kind::Synced, 3), vec!["+a", "synced"], "a"),
        (upsert(Kind::Change, "a", 4, true), vec![], "a"),
        (upsert(Kind::Change, "a", 5, false), vec!["~a"], "a"),
        (upsert(Kind::Change, "b", 6, true), vec!["+b"], "a b"),
        (upsert(Kind::Change, "b", 2, false), vec![], "a b"),
        (expiry("b", 7), vec!["?b"], "a b"),
        (upsert(Kind::Change, "b", 8, true), vec!["~b"], "a b"),
        (expiry("unknown", 8), vec![], "a b"),
        (removal("a", 9), vec!["-a"], "b"),
        (removal("a", 9), vec![], "b"),
        (upsert(Kind::Change, "a", 5, false), vec![], "b"),
        (mark(Kind::Resync, 0), vec![], "b"),
        (upsert(Kind::Snapshot, "c", 10, true), vec![], "b"),
        (mark(Kind::Synced, 10), vec!["-b", "+c", "synced"], "c"),
    ];
    for (i, (message, changes, store)) in steps.into_iter().enumerate() {
        let got: Vec<_> = fold.apply(message).iter().map(word).collect();
        assert_eq!(got, changes, "step {i}");
        assert_eq!(ids(fold.store()).join(" "), store, "step {i}");
    }
    assert_eq!(fold.revision(), 10);
}

#[test]
fn an_expired_status_keeps_the_workload_and_what_was_last_known() {
    let mut fold = Fold::new();
    fold.connect();
    fold.apply(upsert(Kind::Snapshot, "a", 1, true));
    fold.apply(mark(Kind::Synced, 1));
    fold.apply(expiry("a", 2));
    let entry = fold.store().get("a").unwrap().clone();
    assert!(entry.expired && entry.running() && entry.name().is_ok());
}

#[test]
fn a_snapshot_that_is_cut_short_is_thrown_away_and_asked_for_again() {
    let mut fold = Fold::new();
    fold.connect();
    fold.apply(upsert(Kind::Snapshot, "a", 1, true));
    fold.apply(mark(Kind::Bookmark, 1));
    fold.disconnect();
    assert!(fold.store().is_empty() && !fold.is_synced());
    assert_eq!(fold.connect(), Start::Snapshot);
    fold.apply(upsert(Kind::Snapshot, "b", 2, true));
    fold.apply(mark(Kind::Synced, 2));
    assert_eq!(ids(fold.store()), ["b"]);
    fold.disconnect();
    assert_eq!(fold.connect(), Start::Token("2".into()));
    assert!(!fold.is_live() && fold.is_synced());
    fold.apply(mark(Kind::Resync, 0));
    fold.disconnect();
    assert_eq!(fold.connect(), Start::Snapshot, "the token was refused and must not be used again");
    assert_eq!(ids(fold.store()), ["b"], "the old whole is shown until there is a new one");
}

#[test]
fn a_reader_sees_the_newest_state_of_each_and_nothing_of_what_came_and_went() {
    let entry = |id: &str, healthy| {
        let mut fold = Fold::new();
        fold.connect();
        fold.apply(upsert(Kind::Snapshot, id, 1, healthy));
        fold.apply(mark(Kind::Synced, 1));
        fold.store().get(id).unwrap().clone()
    };
    let (old, new) = (entry("a", true), entry("a", false));
    let updated = || Change::Updated { old: old.clone(), new: new.clone() };
    let cases = [
        (vec![Change::Added(old.clone()), updated()], vec![Change::Added(new.clone())]),
        (vec![Change::Added(old.clone()), Change::Removed(old.clone())], vec![]),
        (vec![Change::Removed(old.clone()), Change::Added(new.clone())], vec![updated()]),
        (vec![updated(), Change::Removed(new.clone())], vec![Change::Removed(new.clone())]),
        (vec![updated(), Change::Expired(new.clone())], vec![Change::Expired(new.clone())]),
        (
            vec![Change::Synced, updated(), Change::Synced, Change::Added(entry("b", true))],
            vec![updated(), Change::Synced, Change::Added(entry("b", true))],
        ),
    ];
    for (given, wanted) in cases {
        let mut queue = Queue::default();
        given.into_iter().for_each(|c| queue.push(c));
        assert_eq!(queue.len(), wanted.len());
        let got: Vec<_> = std::iter::from_fn(|| queue.pop()).collect();
        assert_eq!(got, wanted);
    }
    let mut queue = Queue::default();
    for n in 0..100_000 {
        let entry = entry(&format!("{n}"), true);
        queue.push(Change::Added(entry.clone()));
        queue.push(Change::Removed(entry));
    }
    assert_eq!((queue.len(), queue.pop()), (0, None));
}

/// What a step of the property test does.
#[derive(Debug, Clone)]
enum Step {
    Upsert(u8, bool),
    Remove(u8),
    Expire(u8),
    /// Core has time to send this many messages.
    Send(u8),
    Bookmark,
    /// The connection breaks; messages under way are lost. The next core is behind by this many changes.
    Break(u8),
    /// Tombstones are evicted: older tokens are of no use.
    Evict,
    /// The reader takes this many changes.
    Read(u8),
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0..6_u8;
    prop_oneof![
        4 => (id.clone(), any::<bool>()).prop_map(|(id, healthy)| Step::Upsert(id, healthy)),
        2 => id.clone().prop_map(Step::Remove),
        1 => id.prop_map(Step::Expire),
        4 => (1..6_u8).prop_map(Step::Send),
        1 => Just(Step::Bookmark),
        1 => (0..4_u8).prop_map(Step::Break),
        1 => Just(Step::Evict),
        2 => (1..6_u8).prop_map(Step::Read),
    ]
}

/// A core as D8 describes it: every workload has the revision of its last change, a stream is a cursor.
#[derive(Default)]
struct Core {
    revision: i64,
    /// Last message of each workload, removals among them.
    index: BTreeMap<String, pb::WorkloadStatusStreamMessage>,
    /// Everything that was ever sent, for a core that is behind.
    history: Vec<pb::WorkloadStatusStreamMessage>,
    evicted: i64,
    cursor: i64,
    /// The stream is a snapshot until it reaches this revision.
    snapshot_until: Option<i64>,
    synced: bool,
    queue: VecDeque<pb::WorkloadStatusStreamMessage>,
}

impl Core {
    fn change(&mut self, make: impl Fn(i64) -> pb::WorkloadStatusStreamMessage) {
        self.revision += 1;
        let message = make(self.revision);
        self.index.insert(message.id.clone(), message.clone());
        self.history.push(message);
    }

    fn is_there(&self, id: &str) -> bool {
        self.index.get(id).is_some_and(|m| m.error.is_empty())
    }

    fn connect(&mut self, start: Start, behind: i64) {
        self.queue.clear();
        self.synced = false;
        let token = match start {
            Start::Snapshot => None,
            Start::Token(token) => Some(std::str::from_utf8(&token).unwrap().parse::<i64>().unwrap()),
        };
        match token {
            Some(token) if token >= self.evicted => {
                // A core that is behind first sends the states that it knows.
                let seen = self.revision - behind;
                let mut old = BTreeMap::new();
                for message in self.history.iter().filter(|m| (token + 1..=seen).contains(&m.revision)) {
                    old.insert(message.id.clone(), message.clone());
                }
                let mut old: Vec<_> = old.into_values().collect();
                old.sort_by_key(|m| m.revision);
                self.queue.extend(old);
                self.cursor = token.max(seen);
                self.snapshot_until = None;
            }
            refused => {
                if refused.is_some() {
                    self.queue.push_back(mark(Kind::Resync, 0));
                }
                self.cursor = 0;
                self.snapshot_until = Some(self.revision);
            }
        }
    }

    /// The next message of the stream.
    fn next(&mut self) -> Option<pb::WorkloadStatusStreamMessage> {
        if let Some(message) = self.queue.pop_front() {
            return Some(message);
        }
        let next = self.index.values().filter(|m| m.revision > self.cursor).min_by_key(|m| m.revision).cloned();
        if !self.synced && next.as_ref().is_none_or(|m| self.snapshot_until.is_some_and(|until| m.revision > until)) {
            self.synced = true;
            self.snapshot_until = None;
            return Some(mark(Kind::Synced, self.cursor));
        }
        let mut next = next?;
        self.cursor = next.revision;
        if self.snapshot_until.is_some() && next.error.is_empty() {
            next.kind = Kind::Snapshot.into();
        }
        Some(next)
    }
}

/// A reader that only knows what it was told.
fn replay(replica: &mut BTreeSet<String>, change: &Change) {
    let id = change.entry().map(|e| e.id().to_owned()).unwrap_or_default();
    match change {
        Change::Added(_) => assert!(replica.insert(id), "added twice"),
        Change::Removed(_) => assert!(replica.remove(&id), "removed what was never added"),
        Change::Updated { .. } | Change::Expired(_) => assert!(replica.contains(&id), "changed what was never added"),
        Change::Synced => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]
    #[test]
    fn any_interleaving_leaves_the_store_equal_to_core(steps in proptest::collection::vec(step(), 0..120)) {
        let mut core = Core::default();
        let mut fold = Fold::new();
        let mut queue = Queue::default();
        let mut replica = BTreeSet::new();
        // Workloads that have been there since the last whole and must not be missing for a moment.
        let mut steady: BTreeSet<String> = BTreeSet::new();
        core.connect(fold.connect(), 0);
        let feed = |fold: &mut Fold, queue: &mut Queue, core: &mut Core, steady: &mut BTreeSet<String>| {
            let Some(message) = core.next() else { return false };
            let synced = message.kind() == Kind::Synced;
            fold.apply(message).into_iter().for_each(|c| queue.push(c));
            if synced {
                *steady = fold.store().keys().map(|k| k.to_string()).filter(|k| core.is_there(k)).collect();
            }
            for id in steady.iter() {
                assert!(fold.store().contains_key(id.as_str()), "{id} was missing for a moment");
            }
            true
        };
        for step in steps {
            match step {
                Step::Upsert(id, healthy) => core.change(|r| upsert(Kind::Change, &id.to_string(), r, healthy)),
                Step::Remove(id) if core.is_there(&id.to_string()) => {
                    steady.remove(&id.to_string());
                    core.change(|r| removal(&id.to_string(), r));
                }
                Step::Expire(id) if core.is_there(&id.to_string()) => {
                    let last = core.index[&id.to_string()].clone();
                    core.change(|r| pb::WorkloadStatusStreamMessage {
                        workload: last.workload.clone(), delete: true, ..message(Kind::Change, &id.to_string(), r)
                    });
                }
                Step::Send(n) => {
                    for _ in 0..n {
                        feed(&mut fold, &mut queue, &mut core, &mut steady);
                    }
                }
                Step::Bookmark if core.synced && core.queue.is_empty() => {
                    fold.apply(mark(Kind::Bookmark, core.cursor));
                }
                Step::Break(behind) => {
                    fold.disconnect();
                    core.connect(fold.connect(), behind.into());
                }
                Step::Evict => core.evicted = core.revision,
                Step::Read(n) => {
                    for _ in 0..n {
                        queue.pop().iter().for_each(|c| replay(&mut replica, c));
                    }
                }
                _ => {}
            }
            prop_assert!(queue.len() <= replica.len() + fold.store().len() + 1);
        }
        while feed(&mut fold, &mut queue, &mut core, &mut steady) {}
        prop_assert!(fold.is_live());
        let wanted: Vec<_> = core.index.values().filter(|m| m.error.is_empty()).collect();
        prop_assert_eq!(ids(fold.store()), wanted.iter().map(|m| m.id.clone()).collect::<Vec<_>>());
        for message in wanted {
            let entry = &fold.store()[message.id.as_str()];
            prop_assert_eq!(entry.expired, message.delete);
            if !message.delete {
                prop_assert_eq!(entry.status.as_ref(), message.status.as_ref());
            }
        }
        while let Some(change) = queue.pop() {
            replay(&mut replica, &change);
        }
        prop_assert_eq!(replica.into_iter().collect::<Vec<_>>(), ids(fold.store()));
    }
}
