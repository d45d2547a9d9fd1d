//! Writes of many operations, combined into few transactions.
//!
//! Each workload's steps are small guarded writes. While some are on their way to the store, those that come in are
//! gathered and sent together, so that a thousand of them cost tens of commits. A transaction whose guards fail as a whole
//! is taken apart, and each write is tried alone.
//!
//! # Invariants
//! - A write is acknowledged after it is on disk, and only if its own guards held.
//! - The order of one caller's writes is its own: it waits for one before it makes the next.

use super::{Error, Result};
use bytes::Bytes;
use eru_kv::{Durability, Error as StoreError, Guard, Kv, Op, Revision, Txn, limits};
use futures::{StreamExt, future::join_all, stream::FuturesUnordered};
use std::{collections::HashSet, sync::Arc};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

/// Writes that may wait for their turn; more wait in line at the sender.
const QUEUE_LEN: usize = 1024;
/// Transactions on their way at a time: enough to keep a store busy that is some milliseconds away.
const IN_FLIGHT_MAX: usize = 4;

/// Some operations that happen together, if their guards hold.
#[derive(Debug, Clone, Default)]
pub(crate) struct Write {
    pub(crate) guards: Vec<Guard>,
    pub(crate) ops: Vec<Op>,
}

impl Write {
    fn bytes(&self) -> usize {
        let op = |op: &Op| match op {
            Op::Put { key, value, .. } => key.len() + value.len(),
            Op::Delete(range) | Op::Get(range) => range.start.len() + range.end.len(),
        };
        let guard = |guard: &Guard| match guard {
            Guard::ModRevision(key, _) | Guard::CreateRevision(key, _) | Guard::Exists(key) | Guard::Absent(key) => {
                key.len()
            }
            Guard::Value(key, value) => key.len() + value.len(),
        };
        self.ops.iter().map(op).sum::<usize>() + self.guards.iter().map(guard).sum::<usize>()
    }

    fn keys(&self) -> impl Iterator<Item = &Bytes> {
        self.ops.iter().filter_map(|op| match op {
            Op::Put { key, .. } => Some(key),
            Op::Delete(range) => Some(&range.start),
            Op::Get(_) => None,
        })
    }
}

/// What happened to a write.
pub(crate) type Outcome = Result<Option<Revision>>;

struct Entry {
    write: Write,
    reply: oneshot::Sender<Outcome>,
}

/// Where writes go in.
#[derive(Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<Entry>,
}

impl Writer {
    /// Waits until its task has ended.
    #[cfg(test)]
    pub(crate) async fn closed(&self) {
        self.queue.closed().await;
    }

    /// The writer and its task, which ends with `shutdown` or with the last writer.
    pub(crate) fn new(kv: Arc<dyn Kv>, shutdown: CancellationToken) -> (Self, impl Future<Output = ()>) {
        let (queue, entries) = mpsc::channel(QUEUE_LEN);
        (Self { queue }, run(kv, entries, shutdown))
    }

    /// Writes; answers the revision, or `None` when a guard did not hold. One round trip, shared with others.
    pub(crate) async fn write(&self, write: Write) -> Outcome {
        let (reply, answer) = oneshot::channel();
        let stopping = || Error::Unavailable("the core is stopping".into());
        self.queue.send(Entry { write, reply }).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }
}

async fn run(kv: Arc<dyn Kv>, mut entries: mpsc::Receiver<Entry>, shutdown: CancellationToken) {
    let mut in_flight = FuturesUnordered::new();
    let mut held = None;
    loop {
        let first = match held.take() {
            Some(entry) => Some(entry),
            None => tokio::select! {
                () = shutdown.cancelled() => return,
                Some(()) = in_flight.next(), if !in_flight.is_empty() => continue,
                entry = entries.recv(), if in_flight.len() < IN_FLIGHT_MAX => entry,
            },
        };
        let Some(first) = first else { break };
        let (batch, left) = gather(first, &mut entries);
        held = left;
        in_flight.push(commit(kv.clone(), batch));
        while held.is_some() && in_flight.len() >= IN_FLIGHT_MAX {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = in_flight.next() => {}
            }
        }
    }
    while in_flight.next().await.is_some() {}
}

/// As many entries as fit one transaction; the one that did not fit comes back.
fn gather(first: Entry, entries: &mut mpsc::Receiver<Entry>) -> (Vec<Entry>, Option<Entry>) {
    let (mut guards, mut ops, mut bytes) = (first.write.guards.len(), first.write.ops.len(), first.write.bytes());
    let mut keys: HashSet<Bytes> = first.write.keys().cloned().collect();
    let mut batch = vec![first];
    while let Ok(entry) = entries.try_recv() {
        guards += entry.write.guards.len();
        ops += entry.write.ops.len();
        bytes += entry.write.bytes();
        let fits = guards <= limits::TXN_OPS_MAX && ops <= limits::TXN_OPS_MAX && bytes <= limits::TXN_BYTES_MAX;
        if !fits || entry.write.keys().any(|key| keys.contains(key)) {
            return (batch, Some(entry));
        }
        keys.extend(entry.write.keys().cloned());
        batch.push(entry);
    }
    (batch, None)
}

async fn commit(kv: Arc<dyn Kv>, batch: Vec<Entry>) {
    let together = batch.iter().map(|entry| &entry.write);
    let txn = Txn {
        guards: together.clone().flat_map(|write| write.guards.iter().cloned()).collect(),
        then: together.flat_map(|write| write.ops.iter().cloned()).collect(),
        or_else: Vec::new(),
    };
    match kv.txn(txn, Durability::Durable).await {
        Ok(reply) if reply.succeeded => {
            for entry in batch {
                // Who does not wait any more does not want to know.
                let _ = entry.reply.send(Ok(Some(reply.revision)));
            }
        }
        Ok(_) if batch.len() > 1 => {
            join_all(batch.into_iter().map(|entry| alone(&*kv, entry))).await;
        }
        Ok(_) => {
            for entry in batch {
                let _ = entry.reply.send(Ok(None));
            }
        }
        Err(error) => {
            for entry in batch {
                let _ = entry.reply.send(Err(Error::Store(copy(&error))));
            }
        }
    }
}

async fn alone(kv: &dyn Kv, entry: Entry) {
    let txn = Txn { guards: entry.write.guards, then: entry.write.ops, or_else: Vec::new() };
    let outcome = kv.txn(txn, Durability::Durable).await;
    let outcome = outcome.map(|reply| reply.succeeded.then_some(reply.revision)).map_err(Error::Store);
    let _ = entry.reply.send(outcome);
}

/// The same error once more, for all who share a transaction.
pub(crate) fn copy(error: &StoreError) -> StoreError {
    match error {
        StoreError::Invalid(text) => StoreError::Invalid(text.clone()),
        StoreError::Unavailable { endpoint, cause, maybe_done } => {
            StoreError::Unavailable { endpoint: endpoint.clone(), cause: cause.clone(), maybe_done: *maybe_done }
        }
        StoreError::Compacted(revision) => StoreError::Compacted(*revision),
        StoreError::Future(revision) => StoreError::Future(*revision),
        StoreError::LeaseGone(lease) => StoreError::LeaseGone(*lease),
        StoreError::Full(text) => StoreError::Full(text.clone()),
        StoreError::Locked(text) => StoreError::Locked(text.clone()),
        StoreError::Storage(text) => StoreError::Storage(text.clone()),
        StoreError::Denied(text) => StoreError::Denied(text.clone()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eru_kv::{Embedded, EmbeddedOptions, KeyRange, RangeOptions};

    #[tokio::test]
    async fn a_failed_guard_costs_only_its_own_write() {
        let folder = tempfile::tempdir().unwrap();
        let kv: Arc<dyn Kv> = Embedded::open(folder.path(), EmbeddedOptions::default()).unwrap();
        let (writer, task) = Writer::new(kv.clone(), CancellationToken::new());
        let task = tokio::spawn(task);
        let write = |i: u32, key: String| Write {
            guards: vec![Guard::Absent(Bytes::from(key.clone()))],
            ops: vec![Op::put(key, format!("{i}"))],
        };
        // Every tenth goes for one and the same key: one of them wins, the others lose.
        let writes = (0..300).map(|i| {
            let key = if i % 10 == 0 { "/same".to_owned() } else { format!("/k{i}") };
            writer.write(write(i, key))
        });
        let outcomes: Vec<_> = join_all(writes).await.into_iter().map(|outcome| outcome.unwrap().is_some()).collect();
        let won = |same: bool| outcomes.iter().enumerate().filter(|(i, won)| (i % 10 == 0) == same && **won).count();
        assert_eq!((won(true), won(false)), (1, 270));
        let all = kv.range(&KeyRange::prefix("/"), RangeOptions::default()).await.unwrap();
        assert_eq!(all.kvs.len(), 271);
        let revisions: HashSet<_> = all.kvs.iter().map(|kv| kv.mod_revision).collect();
        assert!(revisions.len() < 271, "some were combined");
        drop(writer);
        task.await.unwrap();
    }
}
