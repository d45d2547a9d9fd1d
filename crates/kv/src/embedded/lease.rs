//! Leases: on disk only their granted time, in memory their deadlines and keys.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::port::LeaseId;

#[derive(Debug)]
pub(super) struct Lease {
    pub(super) ttl_s: u64,
    pub(super) deadline: Instant,
    pub(super) keys: BTreeSet<Bytes>,
}

#[derive(Debug, Default)]
pub(super) struct Leases {
    by_id: HashMap<LeaseId, Lease>,
    /// A deadline is never later than its lease's; entries are corrected when they come up.
    queue: BinaryHeap<Reverse<(Instant, i64)>>,
}

impl Leases {
    pub(super) fn get(&self, id: LeaseId) -> Option<&Lease> {
        self.by_id.get(&id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn insert(&mut self, id: LeaseId, lease: Lease) {
        self.queue.push(Reverse((lease.deadline, id.0)));
        self.by_id.insert(id, lease);
    }

    pub(super) fn grant(&mut self, id: LeaseId, ttl_s: u64, now: Instant) {
        let deadline = now + Duration::from_secs(ttl_s);
        self.insert(id, Lease { ttl_s, deadline, keys: BTreeSet::new() });
    }

    pub(super) fn remove(&mut self, id: LeaseId) -> Option<Lease> {
        self.by_id.remove(&id)
    }

    /// Starts the time again, unless it is over.
    pub(super) fn keep_alive(&mut self, id: LeaseId, now: Instant) -> Option<Duration> {
        let lease = self.by_id.get_mut(&id).filter(|lease| lease.deadline > now)?;
        let ttl = Duration::from_secs(lease.ttl_s);
        lease.deadline = now + ttl;
        Some(ttl)
    }

    /// Nothing is bound to lease 0.
    pub(super) fn bind(&mut self, id: LeaseId, key: &Bytes) {
        if id.0 != 0
            && let Some(lease) = self.by_id.get_mut(&id)
        {
            lease.keys.insert(key.clone());
        }
    }

    pub(super) fn unbind(&mut self, id: LeaseId, key: &[u8]) {
        if id.0 != 0
            && let Some(lease) = self.by_id.get_mut(&id)
        {
            lease.keys.remove(key);
        }
    }

    /// The leases whose time is over.
    pub(super) fn due(&mut self, now: Instant) -> Vec<LeaseId> {
        let mut due = Vec::new();
        while let Some(Reverse((at, id))) = self.queue.peek().copied()
            && at <= now
        {
            self.queue.pop();
            match self.by_id.get(&LeaseId(id)).map(|lease| lease.deadline) {
                Some(deadline) if deadline <= now => due.push(LeaseId(id)),
                Some(deadline) => self.queue.push(Reverse((deadline, id))),
                None => {}
            }
        }
        // A lease put back by a failed commit is queued twice.
        due.sort_unstable();
        due.dedup();
        due
    }

    /// When to call [`Self::due`] next.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.queue.peek().map(|Reverse((at, _))| *at)
    }

    /// Moves every deadline later.
    pub(super) fn shift(&mut self, by: Duration) {
        for lease in self.by_id.values_mut() {
            lease.deadline += by;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_due_once_its_last_deadline_has_passed() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut leases = Leases::default();
        leases.grant(LeaseId(1), 5, start);
        leases.grant(LeaseId(2), 5, start);
        assert_eq!(leases.keep_alive(LeaseId(1), at(4)), Some(Duration::from_secs(5)));
        assert_eq!(leases.due(at(5)), [LeaseId(2)]);
        assert_eq!(leases.keep_alive(LeaseId(2), at(5)), None, "its time is over even before it is removed");
        leases.shift(Duration::from_secs(2));
        assert!(leases.due(at(10)).is_empty(), "a stall moves the deadline");
        assert_eq!(leases.due(at(11)), [LeaseId(1)]);
    }
}
