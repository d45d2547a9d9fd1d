//! A store that is well, with a watch that stands still when it is told to.

use async_trait::async_trait;
use eru_kv::{
    Durability, GuardedPut, KeyRange, Kv, LeaseId, PutOutcome, RangeOptions, RangeReply, Result, Revision,
    StoreIdentity, Txn, TxnReply, Watch,
};
use futures::{StreamExt, stream};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

pub struct Lagging {
    pub inner: Arc<dyn Kv>,
    held: watch::Sender<bool>,
}

impl Lagging {
    pub fn new(inner: Arc<dyn Kv>) -> Arc<Self> {
        Arc::new(Self { inner, held: watch::Sender::new(false) })
    }

    /// Whether the watches stand still.
    pub fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }
}

async fn released(held: &mut watch::Receiver<bool>) {
    // A store that is gone holds nobody any more.
    let _ = held.wait_for(|held| !held).await;
}

#[async_trait]
impl Kv for Lagging {
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
        self.inner.txn(txn, durability).await
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
        let items = self.inner.watch(range, from).await?;
        let next = |(mut items, mut held): (Watch, watch::Receiver<bool>)| async move {
            let item = items.next().await?;
            released(&mut held).await;
            Some((item, (items, held)))
        };
        Ok(stream::unfold((items, self.held.subscribe()), next).boxed())
    }

    async fn request_progress(&self) -> Result<()> {
        released(&mut self.held.subscribe()).await;
        self.inner.request_progress().await
    }

    async fn compact(&self, revision: Revision) -> Result<()> {
        self.inner.compact(revision).await
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}
