//! A store whose answers get lost.

use async_trait::async_trait;
use bytes::Bytes;
use eru_kv::{
    Durability, Error, GuardedPut, KeyRange, Kv, LeaseId, Op, PutOutcome, RangeOptions, RangeReply, Result, Revision,
    StoreIdentity, Txn, TxnReply, Watch,
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

/// Does as it is asked, and for some transactions says that it does not know whether it did.
pub(super) struct Faulty {
    pub(super) inner: Arc<dyn Kv>,
    /// Whose answers get lost: those that put a value with this text in it.
    pub(super) text: &'static str,
    /// How many got lost.
    pub(super) lost: AtomicU32,
}

fn holds(value: &Bytes, text: &str) -> bool {
    value.windows(text.len()).any(|window| window == text.as_bytes())
}

#[async_trait]
impl Kv for Faulty {
    fn identity(&self) -> StoreIdentity {
        self.inner.identity()
    }

    async fn revision(&self) -> Result<Revision> {
        self.inner.revision().await
    }

    async fn range(&self, range: &KeyRange, options: RangeOptions) -> Result<RangeReply> {
        self.inner.range(range, options).await
    }

    async fn txn(&self, txn: Txn, durability: Durability) -> Result<TxnReply> {
        let loses = txn.then.iter().any(|op| matches!(op, Op::Put { value, .. } if holds(value, self.text)));
        let reply = self.inner.txn(txn, durability).await?;
        if loses {
            self.lost.fetch_add(1, Ordering::SeqCst);
            return Err(Error::Unavailable { endpoint: "test".into(), cause: "no answer".into(), maybe_done: true });
        }
        Ok(reply)
    }

    async fn put_each(&self, puts: Vec<GuardedPut>, durability: Durability) -> Result<Vec<PutOutcome>> {
        self.inner.put_each(puts, durability).await
    }

    async fn lease_grant(&self, ttl: Duration) -> Result<LeaseId> {
        self.inner.lease_grant(ttl).await
    }

    async fn lease_keep_alive(&self, lease: LeaseId) -> Result<Duration> {
        self.inner.lease_keep_alive(lease).await
    }

    async fn lease_time_to_live(&self, lease: LeaseId) -> Result<Option<(Duration, Duration)>> {
        self.inner.lease_time_to_live(lease).await
    }

    async fn lease_revoke(&self, lease: LeaseId) -> Result<()> {
        self.inner.lease_revoke(lease).await
    }

    async fn watch(&self, range: KeyRange, from: Revision) -> Result<Watch> {
        self.inner.watch(range, from).await
    }

    async fn request_progress(&self) -> Result<()> {
        self.inner.request_progress().await
    }

    async fn compact(&self, revision: Revision) -> Result<()> {
        self.inner.compact(revision).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
