//! The embedded store against a model that is obviously right: every state of history, kept whole.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use eru_kv::conformance::PATIENCE;
use eru_kv::{
    Durability, Embedded, EmbeddedOptions, Error, Event, Guard, GuardedPut, KeyRange, KeyValue, Kv, LeaseId, Op,
    OpReply, PutOutcome, RangeOptions, Revision, Txn, WatchItem,
};
use futures::StreamExt;
use proptest::prelude::*;
use proptest::sample::select;

const KEYS: [&str; 7] = ["a", "aa", "ab", "b", "b/1", "b/2", "c"];
const LONG: Duration = Duration::from_secs(1000);

type Keys = BTreeMap<String, KeyValue>;

/// The store as a list of its states.
#[derive(Debug, Default)]
struct Model {
    states: BTreeMap<i64, Keys>,
    events: Vec<(i64, Event)>,
    leases: Vec<LeaseId>,
    revision: i64,
    read_horizon: i64,
    watch_horizon: i64,
}

impl Model {
    fn now(&self) -> Keys {
        self.states[&self.revision].clone()
    }

    fn at(&self, revision: i64) -> &Keys {
        self.states.range(..=revision).next_back().expect("history begins somewhere").1
    }

    fn holds(keys: &Keys, guard: &Guard) -> bool {
        let get = |key: &bytes::Bytes| keys.get(std::str::from_utf8(key).expect("a key of ours"));
        match guard {
            Guard::ModRevision(key, at) => get(key).map_or(0, |kv| kv.mod_revision.0) == at.0,
            Guard::CreateRevision(key, at) => get(key).map_or(0, |kv| kv.create_revision.0) == at.0,
            Guard::Exists(key) => get(key).is_some(),
            Guard::Absent(key) => get(key).is_none(),
            Guard::Value(key, value) => get(key).is_some_and(|kv| kv.value == *value),
        }
    }

    fn put(keys: &mut Keys, at: i64, key: &[u8], value: &[u8], lease: LeaseId) -> Event {
        let name = String::from_utf8(key.to_vec()).expect("a key of ours");
        let before = keys.get(&name);
        let kv = KeyValue {
            key: key.to_vec().into(),
            value: value.to_vec().into(),
            create_revision: before.map_or(Revision(at), |kv| kv.create_revision),
            mod_revision: Revision(at),
            version: before.map_or(1, |kv| kv.version + 1),
            lease,
        };
        keys.insert(name, kv.clone());
        Event::Put(kv)
    }

    fn delete(keys: &mut Keys, at: i64, doomed: impl Fn(&KeyValue) -> bool) -> Vec<Event> {
        let gone: Vec<String> = keys.iter().filter(|(_, kv)| doomed(kv)).map(|(key, _)| key.clone()).collect();
        gone.into_iter()
            .map(|key| {
                keys.remove(&key);
                Event::Delete { key: key.into(), revision: Revision(at) }
            })
            .collect()
    }

    fn commit(&mut self, keys: Keys, events: Vec<Event>) {
        if !events.is_empty() {
            self.revision += 1;
            self.states.insert(self.revision, keys);
            self.events.extend(events.into_iter().map(|event| (self.revision, event)));
        }
    }
}

/// Its kind, its key, and how far its figure is from the true one.
type AnyGuard = (u8, &'static str, i64);

#[derive(Debug, Clone)]
enum Step {
    Txn { guards: Vec<AnyGuard>, then: Vec<Change>, or_else: Vec<Change>, durable: bool },
    PutEach { puts: Vec<(&'static str, u8, Option<AnyGuard>)>, durable: bool },
    Grant,
    Revoke(usize),
    KeepAlive(usize),
    Compact(i64),
    Range { prefix: &'static str, back: i64, limit: usize },
    Watch { prefix: &'static str, back: i64 },
    Reopen,
}

#[derive(Debug, Clone)]
enum Change {
    Put(&'static str, u8, Option<usize>),
    Delete(&'static str),
    DeleteAll(&'static str),
    Get(&'static str),
}

fn key() -> impl Strategy<Value = &'static str> {
    select(&KEYS[..])
}

fn guard() -> impl Strategy<Value = AnyGuard> {
    (0..5u8, key(), -3..3i64)
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        6 => (key(), 0..4u8, prop::option::weighted(0.3, 0..4usize)).prop_map(|(key, value, lease)| Change::Put(key, value, lease)),
        2 => key().prop_map(Change::Delete),
        1 => key().prop_map(Change::DeleteAll),
        1 => key().prop_map(Change::Get),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let changes = || prop::collection::vec(change(), 0..4);
    prop_oneof![
        10 => (prop::collection::vec(guard(), 0..3), changes(), changes(), any::<bool>())
            .prop_map(|(guards, then, or_else, durable)| Step::Txn { guards, then, or_else, durable }),
        3 => (prop::collection::vec((key(), 0..4u8, prop::option::of(guard())), 0..5), any::<bool>())
            .prop_map(|(puts, durable)| Step::PutEach { puts, durable }),
        2 => Just(Step::Grant),
        1 => (0..4usize).prop_map(Step::Revoke),
        1 => (0..4usize).prop_map(Step::KeepAlive),
        1 => (-6..2i64).prop_map(Step::Compact),
        4 => (key(), -8..2i64, 0..4usize).prop_map(|(prefix, back, limit)| Step::Range { prefix, back, limit }),
        2 => (key(), -8..1i64).prop_map(|(prefix, back)| Step::Watch { prefix, back }),
        1 => Just(Step::Reopen),
    ]
}

struct Bench<'a> {
    folder: &'a Path,
    store: Arc<Embedded>,
    model: Model,
}

fn durability(durable: bool) -> Durability {
    if durable { Durability::Durable } else { Durability::Observed }
}

impl Bench<'_> {
    fn guard(&self, (kind, key, offset): AnyGuard) -> Guard {
        let now = self.model.now();
        let existing = now.get(key);
        let near =
            |at: Option<Revision>| Revision((at.map_or(0, |at| at.0) + offset.signum() * (offset.abs() / 2)).max(0));
        match kind {
            0 => Guard::ModRevision(key.into(), near(existing.map(|kv| kv.mod_revision))),
            1 => Guard::CreateRevision(key.into(), near(existing.map(|kv| kv.create_revision))),
            2 => Guard::Exists(key.into()),
            3 => Guard::Absent(key.into()),
            _ => Guard::Value(key.into(), vec![offset.unsigned_abs() as u8].into()),
        }
    }

    fn op(&self, change: &Change) -> Op {
        match *change {
            Change::Put(key, value, lease) => {
                let lease = lease.and_then(|index| self.model.leases.get(index)).copied().unwrap_or_default();
                Op::Put { key: key.into(), value: vec![value].into(), lease }
            }
            Change::Delete(key) => Op::delete(key),
            Change::DeleteAll(prefix) => Op::Delete(KeyRange::prefix(prefix)),
            Change::Get(prefix) => Op::Get(KeyRange::prefix(prefix)),
        }
    }

    async fn txn(&mut self, txn: Txn, durable: bool) {
        let reply = self.store.txn(txn.clone(), durability(durable)).await;
        let writes_twice = [&txn.then, &txn.or_else].into_iter().any(|ops| writes_twice(ops));
        if writes_twice {
            assert!(matches!(reply, Err(Error::Invalid(_))), "{reply:?}");
            return;
        }
        let mut keys = self.model.now();
        let succeeded = txn.guards.iter().all(|guard| Model::holds(&keys, guard));
        let at = self.model.revision + 1;
        let (mut events, mut expected) = (Vec::new(), Vec::new());
        for op in if succeeded { &txn.then } else { &txn.or_else } {
            expected.push(match op {
                Op::Put { key, value, lease } => {
                    events.push(Model::put(&mut keys, at, key, value, *lease));
                    OpReply::Put
                }
                Op::Delete(range) => {
                    let gone = Model::delete(&mut keys, at, |kv| range.contains(&kv.key));
                    let count = gone.len() as i64;
                    events.extend(gone);
                    OpReply::Delete(count)
                }
                Op::Get(range) => OpReply::Get(keys.values().filter(|kv| range.contains(&kv.key)).cloned().collect()),
            });
        }
        self.model.commit(keys, events);
        let reply = reply.expect("a well-formed transaction runs");
        assert_eq!((reply.succeeded, reply.revision.0), (succeeded, self.model.revision));
        assert_eq!(format!("{:?}", reply.replies), format!("{expected:?}"));
    }

    async fn put_each(&mut self, puts: Vec<GuardedPut>, durable: bool) {
        let result = self.store.put_each(puts.clone(), durability(durable)).await;
        let names: std::collections::HashSet<_> = puts.iter().map(|put| put.key.clone()).collect();
        if names.len() < puts.len() {
            assert!(matches!(result, Err(Error::Invalid(_))), "{result:?}");
            return;
        }
        let mut expected = Vec::new();
        for put in puts {
            let mut keys = self.model.now();
            if !put.guards.iter().all(|guard| Model::holds(&keys, guard)) {
                expected.push(PutOutcome::Refused);
                continue;
            }
            let event = Model::put(&mut keys, self.model.revision + 1, &put.key, &put.value, put.lease);
            self.model.commit(keys, vec![event]);
            expected.push(PutOutcome::Written(Revision(self.model.revision)));
        }
        assert_eq!(result.expect("it runs"), expected);
    }

    async fn range(&self, prefix: &'static str, back: i64, limit: usize) {
        let at = self.model.revision + back;
        let range = KeyRange::prefix(prefix);
        let reply = self.store.range(&range, RangeOptions { at: Some(Revision(at)), limit }).await;
        if at < 1 {
            assert!(matches!(reply, Err(Error::Invalid(_))));
        } else if at > self.model.revision {
            assert!(matches!(reply, Err(Error::Future(now)) if now.0 == self.model.revision));
        } else if at < self.model.read_horizon {
            assert!(matches!(reply, Err(Error::Compacted(first)) if first.0 == self.model.read_horizon));
        } else {
            let reply = reply.expect("it is there");
            let all: Vec<_> = self.model.at(at).values().filter(|kv| range.contains(&kv.key)).cloned().collect();
            let shown = if limit == 0 { all.len() } else { limit.min(all.len()) };
            assert_eq!(reply.kvs, all[..shown], "at {at} of {}", self.model.revision);
            assert_eq!((reply.more, reply.revision.0), (shown < all.len(), self.model.revision));
        }
    }

    async fn watch(&self, prefix: &'static str, back: i64) {
        let from = (self.model.revision + back).max(1);
        let range = KeyRange::prefix(prefix);
        let mut watch = self.store.watch(range.clone(), Revision(from)).await.expect("a watch");
        let expected: Vec<Event> = self
            .model
            .events
            .iter()
            .filter(|(at, event)| {
                let key = match event {
                    Event::Put(kv) => &kv.key,
                    Event::Delete { key, .. } => key,
                };
                *at >= from && range.contains(key)
            })
            .map(|(_, event)| event.clone())
            .collect();
        let mut seen = Vec::new();
        // The question may be lost while there are events, and is then answered after them.
        self.store.request_progress().await.expect("it is asked");
        loop {
            match tokio::time::timeout(PATIENCE, watch.next())
                .await
                .expect("in time")
                .expect("no end")
                .expect("no error")
            {
                WatchItem::Events { events, .. } => seen.extend(events),
                WatchItem::Progress(at) => {
                    assert_eq!(at.0, self.model.revision);
                    break;
                }
                WatchItem::Compacted(at) => {
                    assert!(from < self.model.watch_horizon);
                    assert_eq!(at.0, self.model.watch_horizon);
                    return;
                }
            }
        }
        assert!(from >= self.model.watch_horizon);
        assert_eq!(seen, expected, "from {from}");
    }

    async fn revoke(&mut self, index: usize) {
        let Some(lease) = self.model.leases.get(index).copied() else { return };
        self.store.lease_revoke(lease).await.expect("it ends");
        self.model.leases.remove(index);
        let mut keys = self.model.now();
        let events = Model::delete(&mut keys, self.model.revision + 1, |kv| kv.lease == lease);
        self.model.commit(keys, events);
        assert_eq!(self.store.lease_time_to_live(lease).await.expect("an answer"), None);
    }

    async fn compact(&mut self, back: i64) {
        let at = self.model.revision + back;
        let result = self.store.compact(Revision(at)).await;
        if at > self.model.revision {
            assert!(matches!(result, Err(Error::Future(_))), "{result:?}");
            return;
        }
        result.expect("it forgets");
        self.model.read_horizon = self.model.read_horizon.max(at);
        self.model.watch_horizon = self.model.watch_horizon.max(at);
    }

    async fn reopen(&mut self) {
        let identity = self.store.identity();
        self.store.close().await.expect("it closes");
        self.store = Embedded::open(self.folder, EmbeddedOptions::default()).expect("it opens");
        assert_eq!(self.store.identity(), identity);
        self.model.read_horizon = self.model.revision;
        let is_untouched = self.model.revision == 1;
        self.model.watch_horizon = self.model.revision + i64::from(!is_untouched);
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Txn { guards, then, or_else, durable } => {
                let txn = Txn {
                    guards: guards.into_iter().map(|guard| self.guard(guard)).collect(),
                    then: then.iter().map(|change| self.op(change)).collect(),
                    or_else: or_else.iter().map(|change| self.op(change)).collect(),
                };
                self.txn(txn, durable).await;
            }
            Step::PutEach { puts, durable } => {
                let puts = puts.into_iter().map(|(key, value, guard)| GuardedPut {
                    guards: guard.into_iter().map(|guard| self.guard(guard)).collect(),
                    key: key.into(),
                    value: vec![value].into(),
                    lease: LeaseId(0),
                });
                let puts = puts.collect();
                self.put_each(puts, durable).await;
            }
            Step::Grant => {
                let lease = self.store.lease_grant(LONG).await.expect("a lease");
                self.model.leases.push(lease);
            }
            Step::Revoke(index) => self.revoke(index).await,
            Step::KeepAlive(index) => {
                if let Some(lease) = self.model.leases.get(index) {
                    assert_eq!(self.store.lease_keep_alive(*lease).await.expect("it lives"), LONG);
                }
            }
            Step::Compact(back) => self.compact(back).await,
            Step::Range { prefix, back, limit } => self.range(prefix, back, limit).await,
            Step::Watch { prefix, back } => self.watch(prefix, back).await,
            Step::Reopen => self.reopen().await,
        }
        assert_eq!(self.store.revision().await.expect("a revision").0, self.model.revision);
    }
}

fn writes_twice(ops: &[Op]) -> bool {
    let puts: Vec<_> =
        ops.iter().filter_map(|op| if let Op::Put { key, .. } = op { Some(key) } else { None }).collect();
    let distinct: std::collections::HashSet<_> = puts.iter().collect();
    let deleted = |key: &bytes::Bytes| ops.iter().any(|op| matches!(op, Op::Delete(range) if range.contains(key)));
    distinct.len() < puts.len() || puts.iter().any(|key| deleted(key))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_the_model(steps in prop::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let store = Embedded::open(folder.path(), EmbeddedOptions::default()).expect("it opens");
            let mut model = Model { revision: 1, read_horizon: 1, watch_horizon: 1, ..Model::default() };
            model.states.insert(1, Keys::new());
            let mut bench = Bench { folder: folder.path(), store, model };
            for step in steps {
                bench.step(step).await;
            }
            for prefix in KEYS {
                bench.range(prefix, 0, 0).await;
                bench.watch(prefix, -20).await;
            }
        });
    }
}
