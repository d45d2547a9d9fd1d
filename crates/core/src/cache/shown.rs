//! The status that is shown: a pure function of the last report, the generation it belongs to, and the node's life.

use super::{NodeLife, NodeState};
use crate::record::StatusRecord;
use eru_types::WorkloadStatus;

/// What is shown of a workload.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shown<'a> {
    /// It runs, as far as anyone may still believe.
    pub running: bool,
    /// It runs and its checks pass, as far as anyone may still believe.
    pub healthy: bool,
    /// The last report, whose networks and extension stay shown; `None` = there is none, or it outlived its ttl.
    pub report: Option<&'a WorkloadStatus>,
    /// Why the report does not count; empty = it does, or there is none.
    pub overruled: &'static str,
    /// The state of the node.
    pub node_state: NodeState,
    /// There was a report, and it outlived its ttl.
    pub expired: bool,
}

/// Derives what is shown.
///
/// | report | node | shown |
/// | --- | --- | --- |
/// | none | any | not running, not healthy, nothing else |
/// | any | lost | not running, not healthy, networks and extension kept |
/// | of before the node's last loss | any | the same |
/// | of now | new, ready, suspect, unwatched | as reported, with the node's state beside it |
pub fn shown<'a>(report: Option<&'a StatusRecord>, life: &NodeLife, expired: bool) -> Shown<'a> {
    let node_state = life.state;
    let Some(record) = report else {
        return Shown { running: false, healthy: false, report: None, overruled: "", node_state, expired };
    };
    let overruled = if node_state == NodeState::Lost {
        "the node is lost"
    } else if record.generation < life.generation {
        "not reported since the node was lost"
    } else {
        ""
    };
    Shown {
        running: record.status.running && overruled.is_empty(),
        healthy: record.status.healthy && overruled.is_empty(),
        report: Some(&record.status),
        overruled,
        node_state,
        expired: false,
    }
}

impl Shown<'_> {
    /// Whether a reader of the page's five fields would see a difference.
    pub(crate) fn plainly_equals(&self, other: &Shown<'_>) -> bool {
        let report = match (self.report, other.report) {
            (Some(a), Some(b)) => a.networks == b.networks && a.extension == b.extension,
            (a, b) => a.is_none() == b.is_none(),
        };
        report && self.running == other.running && self.healthy == other.healthy && self.expired == other.expired
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eru_types::{EngineId, NodeName};

    fn report(running: bool, healthy: bool, generation: i64) -> StatusRecord {
        StatusRecord {
            id: EngineId::new("id1").unwrap(),
            node: NodeName::new("n1").unwrap(),
            incarnation: 1,
            seq: 1,
            generation,
            ttl_s: 0,
            status: WorkloadStatus {
                running,
                healthy,
                networks: [("loopback".to_owned(), "127.64.0.2".to_owned())].into(),
                extension: b"{}".to_vec(),
                ..WorkloadStatus::default()
            },
        }
    }

    #[test]
    fn table() {
        use NodeState::*;
        let yes = (true, true);
        let no = (false, false);
        for (reported, report_generation, state, generation, want) in [
            (yes, 0, New, 0, yes),
            (yes, 0, Ready, 0, yes),
            ((true, false), 0, Ready, 0, (true, false)),
            (no, 0, Ready, 0, no),
            // The original's set-status may say healthy of what does not run; it is shown as it was said.
            ((false, true), 0, Ready, 0, (false, true)),
            (yes, 0, Suspect, 0, yes),
            (yes, 0, Unwatched, 0, yes),
            (yes, 0, Lost, 1, no),
            // A report of after the loss does not count before the verdict is taken back.
            (yes, 1, Lost, 1, no),
            // Back again: what was reported before the loss does not count, what was reported since does.
            (yes, 0, Ready, 1, no),
            (yes, 1, Ready, 1, yes),
            (yes, 1, Suspect, 1, yes),
            (yes, 0, Unwatched, 1, no),
            // A verdict that this core has not seen yet cannot take a report's worth.
            (yes, 2, Ready, 1, yes),
        ] {
            let record = report(reported.0, reported.1, report_generation);
            let life = NodeLife { state, generation, runtime: "fake".into() };
            let got = shown(Some(&record), &life, false);
            assert_eq!((got.running, got.healthy), want, "{reported:?} {report_generation} {state:?} {generation}");
            assert_eq!(got.node_state, state);
            assert_eq!(got.report, Some(&record.status), "networks and extension are kept");
            assert_eq!(got.overruled.is_empty(), want == reported || reported == no, "{:?}", got.overruled);
        }
    }

    #[test]
    fn without_a_report_nothing_is_known() {
        for expired in [false, true] {
            let life = NodeLife { state: NodeState::Lost, generation: 3, runtime: String::new() };
            let got = shown(None, &life, expired);
            assert_eq!((got.running, got.healthy, got.report, got.expired), (false, false, None, expired));
        }
    }

    #[test]
    fn a_plain_reader_sees_only_its_fields() {
        let life = NodeLife { state: NodeState::Ready, generation: 0, runtime: String::new() };
        let (a, mut b) = (report(true, true, 0), report(true, true, 0));
        b.status.observed_at_ms = 77;
        b.status.restarts = 2;
        assert!(shown(Some(&a), &life, false).plainly_equals(&shown(Some(&b), &life, false)));
        b.status.networks.clear();
        assert!(!shown(Some(&a), &life, false).plainly_equals(&shown(Some(&b), &life, false)));
        assert!(!shown(None, &life, false).plainly_equals(&shown(None, &life, true)));
    }
}
