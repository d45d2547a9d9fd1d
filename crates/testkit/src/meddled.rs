//! A store that does as it is asked, but for what a test changes.

use async_trait::async_trait;
use eru_kv::{
    Durability, GuardedPut, KeyRange, Kv, LeaseId, PutOutcome, RangeOptions, RangeReply, Result, Revision,
    StoreIdentity, Txn, TxnReply, Watch,
};
use std::{sync::Arc, time::Duration};

/// What a test does to a store. Whatever it leaves alone is passed on.
#[async_trait]
pub trait Meddle: Send + Sync + 'static {
    /// The store itself.
    fn inner(&self) -> &Arc<dyn Kv>;

    /// In place of [`Kv::txn`].
    async fn txn(&self, txn: Txn, durability: Durability) -> Result<TxnReply> {
        self.inner().txn(txn, durability).await
    }

    /// In place of [`Kv::watch`].
    async fn watch(&self, range: KeyRange, from: Revision) -> Result<Watch> {
        self.inner().watch(range, from).await
    }

    /// In place of [`Kv::request_progress`].
    async fn request_progress(&self) -> Result<()> {
        self.inner().request_progress().await
    }
}

/// The store that a [`Meddle`] makes of its own.
pub struct Meddled<M>(pub M);

#[async_trait]
impl<M: Meddle> Kv for Meddled<M> {
    fn identity(&self) -> StoreIdentity {
        self.0.inner().identity()
    }

    async fn revision(&self) -> Result<Revision> {
        self.0.inner().revision().await
    }

    async fn range(&self, range: &KeyRange, options: RangeOptions) -> Result<RangeReply> {
        self.0.inner().range(range, options).await
    }

    async fn txn(&self, txn: Txn, durability: Durability) -> Result<TxnReply> {
        self.0.txn(txn, durability).await
    }

    async fn put_each(&self, puts: Vec<GuardedPut>, durability: Durability) -> Result<Vec<PutOutcome>> {
        self.0.inner().put_each(puts, durability).await
    }

    async fn lease_grant(&self, ttl: Duration) -> Result<LeaseId> {
        self.0.inner().lease_grant(ttl).await
    }

    async fn lease_keep_alive(&self, lease: LeaseId) -> Result<Duration> {
        self.0.inner().lease_keep_alive(lease).await
    }

    async fn lease_time_to_live(&self, lease: LeaseId) -> Result<Option<(Duration, Duration)>> {
        self.0.inner().lease_time_to_live(lease).await
    }

    async fn lease_revoke(&self, lease: LeaseId) -> Result<()> {
        self.0.inner().lease_revoke(lease).await
    }

    async fn watch(&self, range: KeyRange, from: Revision) -> Result<Watch> {
        self.0.watch(range, from).await
    }

    async fn request_progress(&self) -> Result<()> {
        self.0.request_progress().await
    }

    async fn compact(&self, revision: Revision) -> Result<()> {
        self.0.inner().compact(revision).await
    }

    async fn close(&self) -> Result<()> {
        self.0.inner().close().await
    }
}
