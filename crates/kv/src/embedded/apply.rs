//! Requests against the state: each is applied whole, or refused with nothing changed.

use std::time::Instant;

use super::history::Events;
use super::state::State;
use crate::limits::RANGE_BYTES_MAX;
use crate::port::{
    Error, GuardedPut, KeyValue, LeaseId, Op, OpReply, PutOutcome, RangeOptions, RangeReply, Result, Revision, Txn,
    TxnReply,
};

impl State {
    pub(super) fn read(&self, range: &crate::KeyRange, options: &RangeOptions) -> Result<RangeReply> {
        let at = match options.at {
            None => self.published,
            Some(at) if at.0 > self.published => return Err(Error::Future(Revision(self.published))),
            Some(at) if at.0 < self.read_horizon => return Err(Error::Compacted(Revision(self.read_horizon))),
            Some(at) => at.0,
        };
        let (kvs, more) = self.range(range, at, options.limit, RANGE_BYTES_MAX);
        Ok(RangeReply { revision: Revision(self.published), kvs, more })
    }

    fn get(&self, range: &crate::KeyRange, at: i64) -> Vec<KeyValue> {
        self.range(range, at, 0, usize::MAX).0
    }

    /// A transaction that only reads, on what is published.
    pub(super) fn read_txn(&self, txn: &Txn) -> TxnReply {
        let succeeded = txn.guards.iter().all(|guard| self.holds(guard, self.published));
        let replies = if succeeded { &txn.then } else { &txn.or_else }
            .iter()
            .map(|op| match op {
                Op::Get(range) => OpReply::Get(self.get(range, self.published)),
                Op::Put { .. } | Op::Delete(_) => unreachable!("the caller has seen that the transaction only reads"),
            })
            .collect();
        TxnReply { revision: Revision(self.published), succeeded, replies }
    }

    pub(super) fn apply_txn(&mut self, txn: &Txn) -> Result<TxnReply> {
        let succeeded = txn.guards.iter().all(|guard| self.holds(guard, i64::MAX));
        let ops = if succeeded { &txn.then } else { &txn.or_else };
        self.admit(ops)?;
        let revision = self.applied + 1;
        let mut events = Vec::new();
        let mut replies = Vec::with_capacity(ops.len());
        for op in ops {
            replies.push(match op {
                Op::Put { key, value, lease } => {
                    events.push(self.put(revision, key, value, *lease));
                    OpReply::Put
                }
                Op::Delete(range) => {
                    let removed = self.delete(revision, range);
                    let count = i64::try_from(removed.len()).unwrap_or(i64::MAX);
                    events.extend(removed);
                    OpReply::Delete(count)
                }
                Op::Get(range) => OpReply::Get(self.get(range, i64::MAX)),
            });
        }
        if !events.is_empty() {
            self.finish(revision, Events::Many(events));
        }
        Ok(TxnReply { revision: Revision(self.applied), succeeded, replies })
    }

    fn admit(&self, ops: &[Op]) -> Result<()> {
        let mut more_bytes = 0;
        for op in ops {
            if let Op::Put { key, value, lease } = op {
                if lease.0 != 0 && self.leases.get(*lease).is_none() {
                    return Err(Error::LeaseGone(*lease));
                }
                more_bytes += (key.len() + value.len()) as u64;
            }
        }
        if more_bytes > 0 { self.over_quota(more_bytes) } else { Ok(()) }
    }

    pub(super) fn apply_puts(&mut self, puts: &[GuardedPut]) -> Result<Vec<PutOutcome>> {
        self.over_quota(puts.iter().map(|put| (put.key.len() + put.value.len()) as u64).sum())?;
        Ok(puts.iter().map(|put| self.apply_put(put)).collect())
    }

    fn apply_put(&mut self, put: &GuardedPut) -> PutOutcome {
        let lease_there = put.lease.0 == 0 || self.leases.get(put.lease).is_some();
        if !lease_there || !put.guards.iter().all(|guard| self.holds(guard, i64::MAX)) {
            return PutOutcome::Refused;
        }
        let revision = self.applied + 1;
        let event = self.put(revision, &put.key, &put.value, put.lease);
        self.finish(revision, Events::One(event));
        PutOutcome::Written(Revision(revision))
    }

    pub(super) fn apply_grant(&mut self, ttl_s: u64, now: Instant) -> LeaseId {
        let id = std::iter::repeat_with(|| LeaseId(rand::random_range(1..i64::MAX)))
            .find(|id| self.leases.get(*id).is_none())
            .expect("an endless iterator finds one that is free");
        self.grant(id, ttl_s, now);
        id
    }
}
