//! The port: what the domain layer may ask of a store.

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use std::time::Duration;

/// etcd's limits, which are the port's.
pub mod limits {
    /// Most guards, and most operations of each branch, in one transaction (etcd's `--max-txn-ops`).
    pub const TXN_OPS_MAX: usize = 128;
    /// Largest transaction, keys and values together, in bytes (etcd's `--max-request-bytes`, 1.5 MiB, less its framing).
    pub const TXN_BYTES_MAX: usize = 1_400_000;
    /// Shortest lease, in seconds: etcd 3.4 raises shorter ones to two election ticks.
    pub const LEASE_TTL_S_MIN: u64 = 2;
    /// Longest lease, in seconds (etcd's own bound is 9 000 000 000).
    pub const LEASE_TTL_S_MAX: u64 = 9_000_000_000;
    /// Most bytes that one range reply holds; longer ranges are read in pages.
    pub const RANGE_BYTES_MAX: usize = 3_500_000;
    /// Longest key, in bytes.
    pub const KEY_BYTES_MAX: usize = 1024;
}

/// A point in the store's history. 0 means "none"; the first write has revision 1 or later.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub i64);

impl Revision {
    /// The revision after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// A lease: keys bound to it vanish when it expires or is revoked. 0 means "no lease".
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub i64);

/// Which store this is. A change of either field makes every resume token of before worthless.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StoreIdentity {
    /// Made once, when the store was made. For etcd: the cluster id and the prefix.
    pub id: String,
    /// Raised when an unclean stop may have lost observed writes that were already published. For etcd: always 0.
    pub epoch: i64,
}

/// How soon a write must be on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// On disk before it is acknowledged or published.
    Durable,
    /// May be acknowledged and published up to 100 ms before it is on disk: a status, which can be reported again.
    /// etcd ignores the class.
    Observed,
}

/// One key with its value and its place in history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyValue {
    /// The key.
    pub key: Bytes,
    /// The value.
    pub value: Bytes,
    /// Revision of the write that made the key.
    pub create_revision: Revision,
    /// Revision of its last write.
    pub mod_revision: Revision,
    /// Number of writes since it was made, from 1.
    pub version: i64,
    /// The lease that it is bound to.
    pub lease: LeaseId,
}

/// Which keys: from `start`, up to but without `end`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRange {
    /// First key.
    pub start: Bytes,
    /// First key that is not meant; empty = only `start`.
    pub end: Bytes,
}

impl KeyRange {
    /// Exactly one key.
    pub fn key(key: impl Into<Bytes>) -> Self {
        Self { start: key.into(), end: Bytes::new() }
    }

    /// Every key that begins with `prefix`, which must not be empty.
    pub fn prefix(prefix: impl Into<Bytes>) -> Self {
        let start = prefix.into();
        let mut end = start.to_vec();
        while let Some(last) = end.pop() {
            if last < 0xff {
                end.push(last + 1);
                break;
            }
        }
        // A prefix of only 0xff bytes has no end; `\0` is etcd's "to the very last key".
        let end = if end.is_empty() { Bytes::from_static(b"\0") } else { Bytes::from(end) };
        Self { start, end }
    }

    /// Whether `key` is meant.
    pub fn contains(&self, key: &[u8]) -> bool {
        if self.end.is_empty() {
            key == self.start
        } else {
            key >= &self.start[..] && (key < &self.end[..] || &self.end[..] == b"\0")
        }
    }
}

/// How a range is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RangeOptions {
    /// At which revision; `None` = now, linearizable.
    pub at: Option<Revision>,
    /// Most keys of one reply; 0 = as many as [`limits::RANGE_BYTES_MAX`] holds.
    pub limit: usize,
}

/// A page of a range, keys ascending.
#[derive(Debug, Clone, Default)]
pub struct RangeReply {
    /// The store's revision when it answered (not `at`).
    pub revision: Revision,
    /// The keys.
    pub kvs: Vec<KeyValue>,
    /// Whether there are more keys behind the last one.
    pub more: bool,
}

/// What must hold for a transaction's `then` branch. Several may name one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guard {
    /// The key was last written at this revision; `Revision(0)` = it does not exist.
    ModRevision(Bytes, Revision),
    /// The key was made at this revision; `Revision(0)` = it does not exist.
    CreateRevision(Bytes, Revision),
    /// The key exists.
    Exists(Bytes),
    /// The key does not exist.
    Absent(Bytes),
    /// The key has exactly this value.
    Value(Bytes, Bytes),
}

/// One operation of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// Writes a key; `lease` 0 = none (an earlier lease is dropped).
    Put {
        /// The key.
        key: Bytes,
        /// Its value.
        value: Bytes,
        /// Its lease.
        lease: LeaseId,
    },
    /// Removes every key of the range.
    Delete(KeyRange),
    /// Reads a range (within the transaction).
    Get(KeyRange),
}

impl Op {
    /// A put without a lease.
    pub fn put(key: impl Into<Bytes>, value: impl Into<Bytes>) -> Self {
        Self::Put { key: key.into(), value: value.into(), lease: LeaseId(0) }
    }

    /// Removes one key.
    pub fn delete(key: impl Into<Bytes>) -> Self {
        Self::Delete(KeyRange::key(key))
    }
}

/// A guarded transaction: all of it happens at one revision, or nothing. A key may be written once only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Txn {
    /// All must hold for `then`; otherwise `or_else` runs.
    pub guards: Vec<Guard>,
    /// What happens when every guard holds.
    pub then: Vec<Op>,
    /// What happens otherwise.
    pub or_else: Vec<Op>,
}

/// What one operation answered.
#[derive(Debug, Clone)]
pub enum OpReply {
    /// Of a put.
    Put,
    /// Of a delete: how many keys it removed.
    Delete(i64),
    /// Of a get.
    Get(Vec<KeyValue>),
}

/// What a transaction answered.
#[derive(Debug, Clone)]
pub struct TxnReply {
    /// The store's revision after it.
    pub revision: Revision,
    /// Whether every guard held.
    pub succeeded: bool,
    /// One reply for each operation of the branch that ran.
    pub replies: Vec<OpReply>,
}

/// An independent guarded put, for [`Kv::put_each`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardedPut {
    /// All must hold.
    pub guards: Vec<Guard>,
    /// The key.
    pub key: Bytes,
    /// Its value.
    pub value: Bytes,
    /// Its lease.
    pub lease: LeaseId,
}

/// What became of one put of [`Kv::put_each`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PutOutcome {
    /// Written at this revision.
    Written(Revision),
    /// A guard did not hold, or the lease is gone; nothing was written.
    Refused,
}

/// One change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Written.
    Put(KeyValue),
    /// Removed, by an operation or by the end of its lease.
    Delete {
        /// The key.
        key: Bytes,
        /// The revision of the removal.
        revision: Revision,
    },
}

/// What a watch yields. All changes of one revision come in one `Events`, revisions ascending, none twice, none left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WatchItem {
    /// Everything up to and with `revision` has been delivered by this item and those before it.
    Events {
        /// The revision of the last event (several revisions may be in one item).
        revision: Revision,
        /// The changes, in order.
        events: Vec<Event>,
    },
    /// Nothing new, and everything up to `revision` was delivered. Sent at least every 10 s, and after
    /// [`Kv::request_progress`].
    Progress(Revision),
    /// The history that the watch needs is gone: list again and watch from there. The watch ends with this.
    Compacted(Revision),
}

/// A running watch. It survives broken connections by resuming where it was; it ends only after `Compacted`, after an
/// error that retrying cannot cure, or when it is dropped.
pub type Watch = BoxStream<'static, Result<WatchItem, Error>>;

/// Why the store did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request breaks one of [`limits`], or is malformed.
    #[error("store: {0}")]
    Invalid(String),
    /// No answer, or no connection. `maybe_done` = a write may have happened nevertheless.
    #[error("store at {endpoint} is not reachable: {cause}")]
    Unavailable {
        /// Which store.
        endpoint: String,
        /// What went wrong.
        cause: String,
        /// Whether a write may have happened nevertheless.
        maybe_done: bool,
    },
    /// The wanted revision is compacted; the first one that is there is given.
    #[error("store: revision is compacted, history begins at {0}")]
    Compacted(Revision),
    /// The wanted revision is ahead of the store.
    #[error("store: revision is ahead of the store, which is at {0}")]
    Future(Revision),
    /// The lease is not there (it expired or was revoked).
    #[error("store: lease {:x} is gone", .0.0)]
    LeaseGone(LeaseId),
    /// The store has no room left. It heals when room is made; nothing has to be restarted.
    #[error("store is full: {0}")]
    Full(String),
    /// Another process holds the folder.
    #[error("store folder {0} is in use by another process")]
    Locked(String),
    /// The disk or its content failed us.
    #[error("store is damaged or its disk failed: {0}")]
    Storage(String),
    /// User name, password or certificate were refused.
    #[error("store refused us: {0}")]
    Denied(String),
}

/// Result of a store call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The store port. Object-safe; share it as `Arc<dyn Kv>`.
///
/// # Cancel safety
/// Dropping the future of a write leaves it undecided whether the write happened; everything else is safe.
#[async_trait]
pub trait Kv: Send + Sync + 'static {
    /// Which store this is.
    fn identity(&self) -> StoreIdentity;

    /// The store's revision now, linearizable: not below that of any write acknowledged before the call. One round trip.
    async fn revision(&self) -> Result<Revision>;

    /// One page of a range. One round trip.
    async fn range(&self, range: &KeyRange, options: RangeOptions) -> Result<RangeReply>;

    /// Runs a transaction. One round trip.
    async fn txn(&self, txn: Txn, durability: Durability) -> Result<TxnReply>;

    /// Independent guarded puts, each with its own outcome, in the order given; fails as a whole only when the store
    /// cannot be reached. At most a few round trips, whatever the number; each key may be named once.
    async fn put_each(&self, puts: Vec<GuardedPut>, durability: Durability) -> Result<Vec<PutOutcome>>;

    /// Makes a lease. `ttl` is in whole seconds between [`limits::LEASE_TTL_S_MIN`] and the maximum; shorter is refused.
    async fn lease_grant(&self, ttl: Duration) -> Result<LeaseId>;

    /// Starts the lease's time again; returns the time to live. Writes no revision and wakes no watch.
    ///
    /// # Errors
    /// [`Error::LeaseGone`].
    async fn lease_keep_alive(&self, lease: LeaseId) -> Result<Duration>;

    /// The time that the lease has left, and the one it was granted with; `None` when it is gone.
    async fn lease_time_to_live(&self, lease: LeaseId) -> Result<Option<(Duration, Duration)>>;

    /// Ends a lease now; its keys are removed at one revision. A lease that is gone already is no error.
    async fn lease_revoke(&self, lease: LeaseId) -> Result<()>;

    /// Every change of `range` from revision `from` on (inclusive). Registered when the call returns, or resumes so that
    /// nothing is missed.
    async fn watch(&self, range: KeyRange, from: Revision) -> Result<Watch>;

    /// Asks that every watch of this client yields a `Progress` soon. A hint.
    async fn request_progress(&self) -> Result<()>;

    /// Forgets the history before `revision`. What is forgotten already is no error.
    async fn compact(&self, revision: Revision) -> Result<()>;

    /// Brings everything acknowledged onto the disk and stops; the next start is a clean one.
    async fn close(&self) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_holds_its_keys_and_no_others() {
        let range = KeyRange::prefix(&b"/a/"[..]);
        assert!(range.contains(b"/a/") && range.contains(b"/a/b") && range.contains(b"/a/\xff"));
        assert!(!range.contains(b"/a") && !range.contains(b"/b") && !range.contains(b"/a0"));
        assert!(KeyRange::prefix(&b"\xff\xff"[..]).contains(b"\xff\xff\xff"));
        assert!(KeyRange::key(&b"k"[..]).contains(b"k") && !KeyRange::key(&b"k"[..]).contains(b"ka"));
    }
}
