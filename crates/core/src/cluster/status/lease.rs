//! Leases of reports that have a time to live: one per workload, so that each expires alone.

use crate::{cluster::read::read, keys, record::StatusRecord};
use eru_kv::{Error, Kv, LeaseId, Result};
use eru_types::EngineId;
use std::{collections::HashMap, time::Duration};

/// Most leases that are remembered; those that are forgotten are found in the store again.
const REMEMBERED_MAX: usize = 100_000;

/// The leases that this core knows of.
#[derive(Debug, Default)]
pub(super) struct Leases(HashMap<EngineId, (LeaseId, i64)>);

impl Leases {
    /// Renews the lease of a report that is stored; `None` when it is gone.
    pub(super) async fn renew(&mut self, kv: &dyn Kv, record: &StatusRecord) -> Result<Option<LeaseId>> {
        let lease = match self.0.get(&record.id) {
            Some((lease, ttl_s)) if *ttl_s == record.ttl_s => *lease,
            _ => match &read(kv, &[keys::status(&record.node, &record.id)]).await?.values[0] {
                Some(kv) if kv.lease != LeaseId(0) => kv.lease,
                _ => return Ok(None),
            },
        };
        match kv.lease_keep_alive(lease).await {
            Ok(_) => {
                self.remember(record, lease);
                Ok(Some(lease))
            }
            Err(Error::LeaseGone(_)) => {
                self.0.remove(&record.id);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// A lease for a report that is about to be written; none for one that never expires.
    pub(super) async fn for_write(&mut self, kv: &dyn Kv, record: &StatusRecord) -> Result<LeaseId> {
        let Some(ttl_s) = u64::try_from(record.ttl_s).ok().filter(|ttl| *ttl > 0) else {
            self.0.remove(&record.id);
            return Ok(LeaseId(0));
        };
        if self.0.get(&record.id).is_some_and(|(_, ttl)| *ttl == record.ttl_s)
            && let Some(lease) = self.renew(kv, record).await?
        {
            return Ok(lease);
        }
        // The old lease is not revoked: the report is bound to it until it is written again, and it ends by itself.
        let ttl_s = ttl_s.max(eru_kv::limits::LEASE_TTL_S_MIN);
        let lease = kv.lease_grant(Duration::from_secs(ttl_s)).await?;
        self.remember(record, lease);
        Ok(lease)
    }

    fn remember(&mut self, record: &StatusRecord, lease: LeaseId) {
        if self.0.len() >= REMEMBERED_MAX {
            self.0.clear();
        }
        self.0.insert(record.id.clone(), (lease, record.ttl_s));
    }
}
