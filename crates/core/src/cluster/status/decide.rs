//! Whether a report is to be written. Pure.

use super::report::Stored;
use crate::record::StatusRecord;
use eru_types::WorkloadStatus;

/// What a report is, compared with what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// To be written.
    Write,
    /// Says what is stored.
    Same,
    /// Older than what is stored.
    Stale,
}

/// Compares. `seen` is the newest (incarnation, sequence) that was accepted, which the stored record need not show: a
/// report that changed nothing was not written.
pub(super) fn decide(new: &StatusRecord, stored: &Stored, seen: Option<(i64, i64)>) -> Decision {
    let Some(old) = &stored.record else { return Decision::Write };
    let newest = seen.into_iter().chain([(old.incarnation, old.seq)]).max().unwrap_or_default();
    // A reporter without incarnations cannot be put in order with others: the last one to speak is believed.
    let ordered = new.incarnation > 0 && newest.0 > 0;
    if ordered && (new.incarnation, new.seq) < newest {
        Decision::Stale
    } else if old.generation == new.generation && old.ttl_s == new.ttl_s && says_the_same(&old.status, &new.status) {
        Decision::Same
    } else {
        Decision::Write
    }
}

/// Whether two statuses tell a reader the same. When it was seen is no news.
fn says_the_same(a: &WorkloadStatus, b: &WorkloadStatus) -> bool {
    a.running == b.running
        && a.healthy == b.healthy
        && a.networks == b.networks
        && a.extension == b.extension
        && a.exit == b.exit
        && a.restarts == b.restarts
        && a.reason == b.reason
        && a.last_lines == b.last_lines
        && a.started_at_ms == b.started_at_ms
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Versioned;
    use eru_kv::Revision;
    use eru_types::{EngineId, NodeName};
    use std::sync::Arc;

    fn record(incarnation: i64, seq: i64, generation: i64, running: bool) -> StatusRecord {
        StatusRecord {
            id: EngineId::new("a").unwrap(),
            node: NodeName::new("n").unwrap(),
            incarnation,
            seq,
            generation,
            ttl_s: 0,
            status: WorkloadStatus { running, observed_at_ms: seq, ..WorkloadStatus::default() },
        }
    }

    #[test]
    fn table() {
        use Decision::*;
        let stored = Stored { record: Some(Arc::new(Versioned::new(record(2, 5, 1, true)))), revision: Revision(9) };
        for (new, seen, want) in [
            (record(2, 6, 1, true), None, Same),
            (record(2, 6, 1, false), None, Write),
            (record(2, 5, 1, false), None, Write),
            (record(2, 4, 1, false), None, Stale),
            (record(1, 99, 1, false), None, Stale),
            (record(3, 0, 1, false), None, Write),
            (record(2, 6, 1, false), Some((2, 8)), Stale),
            // After a loss the same words are news.
            (record(2, 6, 2, true), None, Write),
            // The original's agents have no order.
            (record(0, 0, 1, false), None, Write),
            (record(0, 0, 1, true), None, Same),
            (StatusRecord { ttl_s: 5, ..record(2, 6, 1, true) }, None, Write),
        ] {
            assert_eq!(decide(&new, &stored, seen), want, "{new:?} {seen:?}");
        }
        assert_eq!(decide(&record(1, 1, 0, true), &Stored::default(), None), Write);
    }
}
