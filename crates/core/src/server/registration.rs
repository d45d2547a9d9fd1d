//! A core says that it is there.

use crate::{
    cluster::agent::whole_seconds,
    keys,
    record::{self, CoreRecord, Versioned},
};
use eru_kv::{Durability, Error, Kv, LeaseId, Op, Result, Txn};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Renewals within one life of the lease: two may be lost without harm.
const RENEWALS_PER_TTL: u32 = 3;
/// How long to wait after the store did not answer.
const RETRY: Duration = Duration::from_secs(1);
/// How long saying good-bye may take: without an answer the lease runs out by itself.
const GOODBYE: Duration = Duration::from_secs(2);

/// The registration of this core: a key bound to a lease.
pub(super) struct Registration {
    kv: Arc<dyn Kv>,
    record: CoreRecord,
    ttl: Duration,
    lease: LeaseId,
}

impl Registration {
    /// Registers the core. `alone` = no other core can be on this store, so registrations that are there are of cores that
    /// died, and go.
    pub(super) async fn register(kv: Arc<dyn Kv>, record: CoreRecord, ttl: Duration, alone: bool) -> Result<Self> {
        let ttl = Duration::from_secs(whole_seconds(ttl));
        let mut registration = Self { kv, record, ttl, lease: LeaseId(0) };
        if alone {
            let txn = Txn { then: vec![Op::Delete(keys::cores())], ..Txn::default() };
            registration.kv.txn(txn, Durability::Durable).await?;
        }
        registration.bind().await?;
        Ok(registration)
    }

    async fn bind(&mut self) -> Result<()> {
        let lease = self.kv.lease_grant(self.ttl).await?;
        let value = record::encode(&Versioned::new(self.record.clone()));
        let put = Op::Put { key: keys::core(&self.record.instance), value, lease };
        self.kv.txn(Txn { then: vec![put], ..Txn::default() }, Durability::Durable).await?;
        self.lease = lease;
        Ok(())
    }

    /// Keeps the registration until `shutdown`.
    pub(super) async fn run(mut self, shutdown: CancellationToken) {
        tokio::select! {
            () = shutdown.cancelled() => {}
            () = self.keep() => {}
        }
        let revoked = tokio::time::timeout(GOODBYE, self.kv.lease_revoke(self.lease)).await;
        if !matches!(revoked, Ok(Ok(()))) {
            tracing::warn!("the core's registration could not be withdrawn; it runs out by itself");
        }
    }

    async fn keep(&mut self) {
        let interval = self.ttl / RENEWALS_PER_TTL;
        let mut failing = false;
        loop {
            tokio::time::sleep(if failing { RETRY } else { interval }).await;
            let kept = match self.kv.lease_keep_alive(self.lease).await {
                Err(Error::LeaseGone(_)) => {
                    tracing::warn!(instance = %self.record.instance, "the core's registration ran out; registering again");
                    self.bind().await
                }
                answer => answer.map(drop),
            };
            if let Err(error) = &kept
                && !failing
            {
                tracing::warn!(%error, "cannot renew the core's registration");
            }
            failing = kept.is_err();
        }
    }
}
