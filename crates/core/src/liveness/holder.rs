//! The right to judge: one core has it, bound to a lease.

use crate::{cluster::agent::whole_seconds, keys};
use eru_kv::{Durability, Error, Guard, Kv, LeaseId, Op, Result, Txn};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

/// Renewals within one life of the lease.
const RENEWALS_PER_TTL: u32 = 3;

/// Whether this core has the right to judge, and since when it was last known to.
pub(super) struct Holder {
    kv: Arc<dyn Kv>,
    instance: String,
    ttl: Duration,
    alone: bool,
    held: Option<(LeaseId, Instant)>,
}

impl Holder {
    pub(super) fn new(kv: Arc<dyn Kv>, instance: String, ttl: Duration, alone: bool) -> Self {
        Self { kv, instance, ttl: Duration::from_secs(whole_seconds(ttl)), alone, held: None }
    }

    /// Takes or renews the right when it is time to. Answers whether it is held.
    ///
    /// # Errors
    /// The store's; then the right is as it was, until its lease must be feared to be over.
    pub(super) async fn hold(&mut self) -> Result<bool> {
        if let Some((lease, renewed)) = self.held {
            if renewed.elapsed() < self.ttl / RENEWALS_PER_TTL {
                return Ok(true);
            }
            // The time runs from before the question: the store may have answered at once and we heard it late.
            let asked = Instant::now();
            return match self.kv.lease_keep_alive(lease).await {
                Ok(_) => {
                    self.held = Some((lease, asked));
                    Ok(true)
                }
                Err(Error::LeaseGone(_)) => {
                    self.held = None;
                    Ok(false)
                }
                Err(error) => {
                    if renewed.elapsed() >= self.ttl {
                        self.held = None;
                    }
                    Err(error)
                }
            };
        }
        self.take().await
    }

    async fn take(&mut self) -> Result<bool> {
        let asked = Instant::now();
        let lease = self.kv.lease_grant(self.ttl).await?;
        // Alone on a store, whoever held it before is dead.
        let guards = if self.alone { vec![] } else { vec![Guard::Absent(keys::liveness())] };
        let put = Op::Put { key: keys::liveness(), value: self.instance.clone().into(), lease };
        let reply = self.kv.txn(Txn { guards, then: vec![put], or_else: vec![] }, Durability::Durable).await?;
        if reply.succeeded {
            self.held = Some((lease, asked));
        } else {
            self.kv.lease_revoke(lease).await?;
        }
        Ok(reply.succeeded)
    }

    /// What proves, within a transaction, that the right is still held.
    pub(super) fn proof(&self) -> Guard {
        Guard::Value(keys::liveness(), self.instance.clone().into())
    }

    /// Gives the right up, so that another core need not wait for the lease.
    pub(super) async fn release(&mut self) {
        if let Some((lease, _)) = self.held.take()
            && let Err(error) = self.kv.lease_revoke(lease).await
        {
            tracing::debug!(%error, "the right to judge could not be given up; it runs out by itself");
        }
    }
}
