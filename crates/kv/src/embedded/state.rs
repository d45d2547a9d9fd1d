//! The state in memory: every key with its versions since the horizon, and what of it is published and on disk.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::ops::Bound;
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::oneshot;

use super::dirty::{Dirty, DirtyAt};
use super::disk::{Changes, Failure, Loaded};
use super::history::{Events, History};
use super::lease::{Lease, Leases};
use crate::port::{Error, Event, Guard, KeyRange, KeyValue, LeaseId, Result, Revision};

/// Revisions reserved on disk at a time: large enough that a reservation is renewed with commits that happen anyway.
const RESERVE_REVISIONS: i64 = 100_000;
/// Unflushed keys from which on observed writes wait for the disk, which is then slower than they are.
const DIRTY_KEYS_MAX: usize = 32_768;
/// Unflushed keys from which on the flush does not wait any longer: a commit stays small enough that the next one is not
/// late, and observed writes meet the bound above only where the disk is slower than they are.
const FLUSH_KEYS: usize = 16_384;
/// What a key costs beyond its bytes, for the quota.
const KEY_OVERHEAD_BYTES: u64 = 64;

/// One write of one key; without a value it is a removal.
#[derive(Debug, Clone)]
pub(super) struct Version {
    pub(super) mod_revision: i64,
    pub(super) create_revision: i64,
    pub(super) version: i64,
    pub(super) lease: LeaseId,
    pub(super) value: Option<Bytes>,
}

/// A key, what was written to it, and where its newest version waits for the disk.
#[derive(Debug)]
struct Slot {
    /// The map's key once more (it shares its bytes), so that one lookup is enough for a write.
    key: Bytes,
    /// Ascending. Those before the horizon are dropped when they are the larger part.
    versions: Vec<Version>,
    dirty_at: DirtyAt,
}

#[derive(Debug)]
enum Undo {
    Version(Bytes),
    Granted(LeaseId),
    Ended(LeaseId, Lease),
}

/// Somebody who waits until what he did, and everything before, is published.
pub(super) struct Waiter {
    seq: u64,
    revision: i64,
    needs_disk: bool,
    pub(super) done: oneshot::Sender<Result<(), Failure>>,
}

/// Whether a caller may be answered at once.
pub(super) enum Settled {
    /// Published.
    Now(Flush),
    AfterCommit(oneshot::Receiver<Result<(), Failure>>),
}

/// What the committer must be told of an observed write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flush {
    /// Nothing, or it knows.
    Known,
    /// That there is something to flush.
    Soon,
    /// That there is so much that it should not wait.
    Now,
}

pub(super) struct State {
    keys: BTreeMap<Bytes, Slot>,
    pub(super) history: History,
    pub(super) leases: Leases,
    /// Revision of the last write in memory.
    pub(super) applied: i64,
    /// Revision up to which everybody may see it.
    pub(super) published: i64,
    /// Counts changes, those of leases too, which have no revision.
    applied_seq: u64,
    published_seq: u64,
    /// The first revision that can be read.
    pub(super) read_horizon: i64,
    undo: VecDeque<(u64, Undo)>,
    pub(super) waiters: VecDeque<Waiter>,
    dirty_keys: Dirty,
    dirty_leases: HashSet<LeaseId>,
    /// What the committer has been told since the last commit began.
    told: Flush,
    pub(super) live_bytes: u64,
    quota_bytes: u64,
    history_bytes_max: usize,
    /// The last revision reserved on disk.
    reserved: i64,
    /// Whether the disk says that observed writes after its revision may have been published.
    exposed: bool,
    exposure_wanted: bool,
    /// The last commit failed.
    pub(super) ailing: bool,
    pub(super) closed: bool,
}

impl State {
    pub(super) fn new(loaded: Loaded, quota_bytes: u64, history_bytes_max: usize, now: Instant) -> Self {
        let horizon = if loaded.keys.is_empty() && loaded.revision == 1 { 1 } else { loaded.revision + 1 };
        let mut leases = Leases::default();
        for (id, ttl_s) in loaded.leases {
            leases.grant(id, ttl_s, now);
        }
        let mut live_bytes = 0;
        let mut keys = BTreeMap::new();
        for (key, version) in loaded.keys {
            live_bytes += version_bytes(&key, Some(&version));
            leases.bind(version.lease, &key);
            let slot = Slot { key: key.clone(), versions: vec![version], dirty_at: DirtyAt::default() };
            keys.insert(key, slot);
        }
        Self {
            keys,
            history: History::beginning_at(horizon),
            leases,
            applied: loaded.revision,
            published: loaded.revision,
            applied_seq: 0,
            published_seq: 0,
            read_horizon: loaded.revision,
            undo: VecDeque::new(),
            waiters: VecDeque::new(),
            dirty_keys: Dirty::default(),
            dirty_leases: HashSet::new(),
            told: Flush::Known,
            live_bytes,
            quota_bytes,
            history_bytes_max,
            reserved: loaded.reserved,
            exposed: false,
            exposure_wanted: false,
            ailing: false,
            closed: false,
        }
    }

    // Reading.

    fn newest(&self, key: &[u8], at: i64) -> Option<&Version> {
        alive_at(&self.keys.get(key)?.versions, at)
    }

    pub(super) fn holds(&self, guard: &Guard, at: i64) -> bool {
        match guard {
            Guard::ModRevision(key, revision) => self.newest(key, at).map_or(0, |v| v.mod_revision) == revision.0,
            Guard::CreateRevision(key, revision) => self.newest(key, at).map_or(0, |v| v.create_revision) == revision.0,
            Guard::Exists(key) => self.newest(key, at).is_some(),
            Guard::Absent(key) => self.newest(key, at).is_none(),
            Guard::Value(key, value) => self.newest(key, at).is_some_and(|v| v.value.as_ref() == Some(value)),
        }
    }

    /// The keys of `range` as of revision `at`, and whether a bound cut them short.
    pub(super) fn range(&self, range: &KeyRange, at: i64, limit: usize, bytes_max: usize) -> (Vec<KeyValue>, bool) {
        let mut found = Vec::new();
        let mut bytes = 0;
        for (key, slot) in self.within(range) {
            let Some(version) = alive_at(&slot.versions, at) else { continue };
            let value = version.value.clone().unwrap_or_default();
            bytes += key.len() + value.len();
            if (limit > 0 && found.len() == limit) || (bytes > bytes_max && !found.is_empty()) {
                return (found, true);
            }
            found.push(key_value(key.clone(), value, version));
        }
        (found, false)
    }

    fn within<'a>(&'a self, range: &KeyRange) -> impl Iterator<Item = (&'a Bytes, &'a Slot)> + use<'a> {
        let start = range.start.clone();
        let end = if range.end.is_empty() {
            Bound::Included(start.clone())
        } else if &range.end[..] == b"\0" {
            Bound::Unbounded
        } else {
            // A range that ends before it begins is empty; `BTreeMap::range` would panic.
            Bound::Excluded(range.end.clone().max(start.clone()))
        };
        let start = match &end {
            Bound::Excluded(end) if *end == start => None,
            _ => Some(start),
        };
        start.into_iter().flat_map(move |start| self.keys.range((Bound::Included(start), end.clone())))
    }

    // Writing: the steps of which `apply` makes requests. They change memory only and can be undone.

    pub(super) fn over_quota(&self, more_bytes: u64) -> Result<()> {
        let wanted = self.live_bytes + more_bytes;
        if wanted > self.quota_bytes {
            return Err(Error::Full(format!(
                "its quota is {} bytes and this write would need {wanted}; remove keys, or raise the quota",
                self.quota_bytes
            )));
        }
        Ok(())
    }

    pub(super) fn put(&mut self, revision: i64, key: &[u8], value: &[u8], lease: LeaseId) -> Event {
        // Copies, because the caller's may be slices of a large buffer.
        let value = Bytes::copy_from_slice(value);
        let put = |before: Option<&Version>| Version {
            mod_revision: revision,
            create_revision: before.map_or(revision, |v| v.create_revision),
            version: before.map_or(1, |v| v.version + 1),
            lease,
            value: Some(value),
        };
        let (key, version) = match self.keys.get_mut(key) {
            Some(slot) => {
                let version = put(alive_at(&slot.versions, i64::MAX));
                let key = slot.key.clone();
                let before = slot.write(version.clone(), &mut self.dirty_keys);
                self.wrote(&key, before, Some(&version));
                (key, version)
            }
            None => {
                let key = Bytes::copy_from_slice(key);
                let version = put(None);
                let mut slot = Slot::new(key.clone());
                slot.write(version.clone(), &mut self.dirty_keys);
                self.keys.insert(key.clone(), slot);
                self.wrote(&key, None, Some(&version));
                (key, version)
            }
        };
        Event::Put(key_value(key, version.value.clone().unwrap_or_default(), &version))
    }

    /// Removes every key of `range`.
    pub(super) fn delete(&mut self, revision: i64, range: &KeyRange) -> Vec<Event> {
        let doomed: Vec<Bytes> = self
            .within(range)
            .filter(|(_, slot)| alive_at(&slot.versions, i64::MAX).is_some())
            .map(|(key, _)| key.clone())
            .collect();
        doomed.into_iter().map(|key| self.delete_key(revision, key)).collect()
    }

    /// Removes a key that is there.
    fn delete_key(&mut self, revision: i64, key: Bytes) -> Event {
        let gone = Version { mod_revision: revision, create_revision: 0, version: 0, lease: LeaseId(0), value: None };
        let slot = self.keys.entry(key.clone()).or_insert_with(|| Slot::new(key.clone()));
        let before = slot.write(gone, &mut self.dirty_keys);
        self.wrote(&key, before, None);
        Event::Delete { key, revision: Revision(revision) }
    }

    /// Keeps what depends on the keys' newest versions: the bytes, the leases, and the way back.
    fn wrote(&mut self, key: &Bytes, before: Option<Was>, now: Option<&Version>) {
        let was = before.unwrap_or_default();
        self.live_bytes += version_bytes(key, now);
        self.live_bytes -= was.value_bytes.map_or(0, |value_bytes| live_bytes(key.len(), value_bytes));
        self.leases.unbind(was.lease, key);
        self.leases.bind(now.map_or(LeaseId(0), |version| version.lease), key);
        self.undo.push_back((self.applied_seq + 1, Undo::Version(key.clone())));
    }

    pub(super) fn grant(&mut self, id: LeaseId, ttl_s: u64, now: Instant) {
        self.leases.grant(id, ttl_s, now);
        self.dirty_leases.insert(id);
        self.undo.push_back((self.applied_seq + 1, Undo::Granted(id)));
        self.applied_seq += 1;
    }

    /// Ends a lease and removes its keys at one revision.
    pub(super) fn end_lease(&mut self, id: LeaseId) {
        let Some(lease) = self.leases.remove(id) else { return };
        let revision = self.applied + 1;
        let events = lease.keys.iter().map(|key| self.delete_key(revision, key.clone())).collect();
        self.dirty_leases.insert(id);
        self.undo.push_back((self.applied_seq + 1, Undo::Ended(id, lease)));
        self.finish(revision, Events::Many(events));
    }

    /// The change is complete: it takes its place in history.
    pub(super) fn finish(&mut self, revision: i64, events: Events) {
        if !events.is_empty() {
            self.applied = revision;
            self.history.push(revision, events);
        }
        self.applied_seq += 1;
    }

    // Publishing.

    pub(super) fn seq(&self) -> u64 {
        self.applied_seq
    }

    /// Whether everything in memory is published.
    pub(super) fn settled(&self) -> bool {
        self.applied_seq == self.published_seq
    }

    pub(super) fn dirty(&self) -> bool {
        !self.dirty_keys.is_empty() || !self.dirty_leases.is_empty()
    }

    /// Publishes what was done since `seq_before`, or says whom to wait for.
    pub(super) fn settle(&mut self, seq_before: u64, durable: bool) -> Settled {
        let changed = self.applied_seq != seq_before;
        if changed && !durable {
            self.exposure_wanted = true;
        }
        let needs_disk = changed
            && (durable
                || !self.exposed
                || self.ailing
                || self.applied > self.reserved
                || self.dirty_keys.len() > DIRTY_KEYS_MAX);
        if !needs_disk && seq_before == self.published_seq {
            self.publish(self.applied_seq, self.applied);
            return Settled::Now(if changed { self.flush() } else { Flush::Known });
        }
        let (done, receiver) = oneshot::channel();
        self.waiters.push_back(Waiter { seq: self.applied_seq, revision: self.applied, needs_disk, done });
        Settled::AfterCommit(receiver)
    }

    fn flush(&mut self) -> Flush {
        let flush = match self.told {
            Flush::Known | Flush::Soon if self.is_much_dirty() => Flush::Now,
            Flush::Known => Flush::Soon,
            Flush::Soon | Flush::Now => return Flush::Known,
        };
        self.told = flush;
        flush
    }

    /// Whether a flush should not wait for more.
    pub(super) fn is_much_dirty(&self) -> bool {
        self.dirty_keys.len() >= FLUSH_KEYS && !self.ailing
    }

    fn publish(&mut self, seq: u64, revision: i64) {
        self.published_seq = seq;
        self.published = revision;
        while self.undo.front().is_some_and(|(at, _)| *at <= seq) {
            self.undo.pop_front();
        }
        while self.history.bytes > self.history_bytes_max && self.compact_first(self.published) {}
    }

    // The committer's side.

    /// Everything that the disk does not have yet. `settling` = this commit also says that no observed write is ahead
    /// of the disk, which is true until the next one is published.
    pub(super) fn changes(&mut self, settling: bool) -> Changes {
        let expose = !settling && (self.exposed || self.exposure_wanted);
        if !expose {
            // From here on, an observed write has to wait for a commit that exposes it.
            self.exposed = false;
        }
        self.exposure_wanted = false;
        self.told = Flush::Known;
        let keys = self.dirty_keys.take();
        let leases = std::mem::take(&mut self.dirty_leases)
            .into_iter()
            .map(|id| (id, self.leases.get(id).map(|lease| lease.ttl_s)))
            .collect();
        let renew = self.reserved - self.applied < RESERVE_REVISIONS / 2;
        let reserved = if renew { self.applied + RESERVE_REVISIONS } else { self.reserved };
        Changes { seq: self.applied_seq, revision: self.applied, reserved, exposed: expose, keys, leases }
    }

    /// `changes` are on disk. Returns those whose wait is over.
    pub(super) fn committed(&mut self, changes: &Changes) -> Vec<Waiter> {
        self.exposed = changes.exposed;
        self.reserved = changes.reserved;
        self.ailing = false;
        let (mut seq, mut revision) = (changes.seq.max(self.published_seq), changes.revision.max(self.published));
        let mut done = Vec::new();
        // Observed writes that came in during the commit had only to wait for those before them.
        while let Some(waiter) = self.waiters.front()
            && (waiter.seq <= changes.seq || (!waiter.needs_disk && self.exposed))
        {
            (seq, revision) = (seq.max(waiter.seq), revision.max(waiter.revision));
            done.extend(self.waiters.pop_front());
        }
        self.publish(seq, revision);
        done
    }

    /// `changes` may or may not be on disk: what is not published is taken back, all of it is written again next time.
    /// Returns those who have to hear of it.
    pub(super) fn failed(&mut self, changes: Changes) -> Vec<Waiter> {
        self.ailing = true;
        self.exposed = false;
        let unwritten = changes.keys.into_iter().chain(self.dirty_keys.take());
        let unwritten: Vec<Bytes> = unwritten.map(|(key, _)| key).collect();
        self.dirty_leases.extend(changes.leases.into_iter().map(|(id, _)| id));
        while let Some((_, undo)) = self.undo.pop_back() {
            match undo {
                Undo::Version(key) => self.undo_version(key),
                Undo::Granted(id) => {
                    self.leases.remove(id);
                }
                Undo::Ended(id, lease) => self.leases.insert(id, lease),
            }
        }
        for key in unwritten {
            match self.keys.get_mut(&key) {
                Some(slot) => {
                    let newest = slot.versions.last().filter(|version| version.value.is_some()).cloned();
                    self.dirty_keys.note(&key, &mut slot.dirty_at, newest);
                }
                None => self.dirty_keys.note(&key, &mut DirtyAt::default(), None),
            }
        }
        self.history.truncate(self.published);
        self.applied = self.published;
        self.published_seq = self.applied_seq;
        self.waiters.drain(..).collect()
    }

    fn undo_version(&mut self, key: Bytes) {
        let Some(Slot { versions, .. }) = self.keys.get_mut(&key) else { return };
        let undone = versions.pop();
        let now = versions.last().cloned();
        if versions.is_empty() {
            self.keys.remove(&key);
        }
        self.live_bytes += version_bytes(&key, now.as_ref());
        self.live_bytes -= version_bytes(&key, undone.as_ref());
        if let Some(undone) = undone {
            self.leases.unbind(undone.lease, &key);
        }
        if let Some(now) = now {
            self.leases.bind(now.lease, &key);
        }
    }

    // Compaction.

    /// Forgets up to `count` revisions before `revision`; true when there are more.
    pub(super) fn compact(&mut self, revision: i64, count: usize) -> bool {
        for _ in 0..count {
            if self.read_horizon >= revision && self.history.horizon >= revision {
                return false;
            }
            if !self.compact_first(revision) {
                self.raise_horizon(revision);
            }
        }
        true
    }

    /// Forgets the oldest revision, if it is before `limit`.
    fn compact_first(&mut self, limit: i64) -> bool {
        if self.history.first().is_none_or(|entry| entry.revision >= limit) {
            return false;
        }
        let Some(entry) = self.history.pop_first() else { return false };
        let horizon = self.history.first().map_or(limit, |next| next.revision).min(limit);
        self.prune(&entry.events, horizon);
        self.raise_horizon(horizon);
        true
    }

    fn raise_horizon(&mut self, horizon: i64) {
        self.read_horizon = self.read_horizon.max(horizon);
        self.history.horizon = self.history.horizon.max(horizon);
    }

    /// Forgets the versions of these keys that cannot be read any more. What the revision at the horizon overwrote goes
    /// when that revision itself is forgotten.
    fn prune(&mut self, events: &[Event], horizon: i64) {
        for event in events {
            let key = match event {
                Event::Put(kv) => &kv.key,
                Event::Delete { key, .. } => key,
            };
            let Some(Slot { versions, .. }) = self.keys.get_mut(key) else { continue };
            let old = versions.partition_point(|version| version.mod_revision <= horizon);
            let Some(newest_old) = old.checked_sub(1) else { continue };
            let first_kept = if versions[newest_old].value.is_none() { old } else { newest_old };
            // Removed when they are at least half, so that a key with many versions is not moved for each of them. The
            // last event of a key finds at most one version that can be read.
            if 2 * first_kept < versions.len() {
                continue;
            }
            versions.drain(..first_kept);
            if versions.is_empty() {
                self.keys.remove(key);
            }
        }
    }
}

/// What a write needs to know of the version before it.
#[derive(Debug, Default)]
struct Was {
    lease: LeaseId,
    /// `None` = it was a removal.
    value_bytes: Option<usize>,
}

impl Slot {
    fn new(key: Bytes) -> Self {
        // Most keys have one version most of the time; the default growth would reserve four.
        Self { key, versions: Vec::with_capacity(1), dirty_at: DirtyAt::default() }
    }

    fn write(&mut self, version: Version, dirty: &mut Dirty) -> Option<Was> {
        let was = self
            .versions
            .last()
            .map(|before| Was { lease: before.lease, value_bytes: before.value.as_ref().map(Bytes::len) });
        dirty.note(&self.key, &mut self.dirty_at, version.value.is_some().then(|| version.clone()));
        self.versions.push(version);
        was
    }
}

fn alive_at(versions: &[Version], at: i64) -> Option<&Version> {
    let newest = match versions.last() {
        Some(last) if last.mod_revision <= at => Some(last),
        _ => versions[..versions.partition_point(|version| version.mod_revision <= at)].last(),
    };
    newest.filter(|version| version.value.is_some())
}

fn key_value(key: Bytes, value: Bytes, version: &Version) -> KeyValue {
    KeyValue {
        key,
        value,
        create_revision: Revision(version.create_revision),
        mod_revision: Revision(version.mod_revision),
        version: version.version,
        lease: version.lease,
    }
}

fn version_bytes(key: &[u8], version: Option<&Version>) -> u64 {
    match version.and_then(|version| version.value.as_ref()) {
        Some(value) => live_bytes(key.len(), value.len()),
        None => 0,
    }
}

fn live_bytes(key_bytes: usize, value_bytes: usize) -> u64 {
    key_bytes as u64 + value_bytes as u64 + KEY_OVERHEAD_BYTES
}
