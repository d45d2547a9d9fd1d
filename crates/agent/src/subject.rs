//! Which workloads are ours, and what a report says of one. Pure.

use eru_api::agent::{ExitStatus, WorkloadReport};
use eru_runtime::{Inspection, State};
use eru_types::{
    HealthCheck, Labels, NodeName, labels,
    limits::{LAST_LINE_BYTES_MAX, LAST_LINES_MAX, REASON_BYTES_MAX},
    meta::Meta,
};
use parking_lot::RwLock;

/// Which workloads an agent takes for its own.
#[derive(Debug)]
pub(crate) struct Owner {
    node: NodeName,
    /// Only what says that it is ours; else all that does not say that it is another's.
    only_mine: bool,
    /// The cluster's identifier; empty = not known.
    core_id: RwLock<String>,
}

impl Owner {
    pub(crate) fn new(node: NodeName, only_mine: bool) -> Self {
        Self { node, only_mine, core_id: RwLock::default() }
    }

    /// Core has said who it is.
    pub(crate) fn learn(&self, core_id: &str) {
        core_id.clone_into(&mut self.core_id.write());
    }

    /// Whether it must be known who core is, before it can be said what is ours.
    pub(crate) fn asks_core(&self) -> bool {
        self.only_mine
    }

    /// The labels that everything of ours has.
    pub(crate) fn labels(&self) -> Labels {
        let mut ours = Labels::default();
        ours.set(labels::ERU, "1");
        if self.only_mine {
            ours.set(labels::NODENAME, self.node.as_str());
        }
        ours
    }

    /// Whether the workload belongs to Eru and, where it says so or must say so, to this node of this cluster.
    pub(crate) fn owns(&self, inspection: &Inspection) -> bool {
        let is = |label: &str, wanted: &str, missing: bool| {
            inspection.labels.get(label).map_or(missing, |value| value == wanted)
        };
        let core_id = self.core_id.read();
        is(labels::ERU, "1", false)
            && is(labels::NODENAME, self.node.as_str(), !self.only_mine)
            && (!self.only_mine || core_id.is_empty() || is(labels::COREID, &core_id, true))
    }
}

/// Its health check. A label that cannot be read counts as none: the workload is there and must be shown.
pub(crate) fn health_check(inspection: &Inspection) -> HealthCheck {
    let Some(text) = inspection.labels.get(labels::ERU_META) else { return HealthCheck::default() };
    match serde_json::from_str::<Meta>(text) {
        Ok(meta) => meta.health(),
        Err(error) => {
            tracing::warn!(workload = %inspection.id, %error, "label ERU_META cannot be read, no health check");
            HealthCheck::default()
        }
    }
}

/// What tells one run of a workload from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Run {
    started_at_ms: i64,
    restarts: u32,
    pid: u32,
}

impl Run {
    /// The run that is going on, if one is.
    pub(crate) fn of(inspection: &Inspection) -> Option<Self> {
        let Inspection { started_at_ms, restarts, pid, .. } = *inspection;
        (inspection.state == State::Running).then_some(Self { started_at_ms, restarts, pid })
    }
}

/// Why a workload does not run that was never started.
const UNSTARTED: &str = "not started yet";

/// The report of a workload; sequence and time are filled in by others.
pub(crate) fn report(inspection: &Inspection, healthy: bool, reason: &str, ttl_s: i64) -> WorkloadReport {
    let running = inspection.state == State::Running;
    // Whoever made it is about to start it: that is no end, and must not be taken for one.
    let unstarted = inspection.state == State::Created;
    let reason = match (reason, inspection.reason.as_str()) {
        ("", "") if unstarted => UNSTARTED,
        ("", known) => known,
        (given, _) => given,
    };
    let extension = serde_json::to_vec(&inspection.labels.reported()).expect("a map of strings is JSON");
    WorkloadReport {
        id: inspection.id.to_string(),
        name: inspection.name.to_string(),
        running,
        healthy: running && healthy,
        networks: if running { inspection.networks.clone() } else { Default::default() },
        extension: extension.into(),
        ttl_s,
        exit: inspection.exit.map(|exit| ExitStatus {
            code: exit.code,
            signal: exit.signal,
            oom_killed: exit.oom_killed,
            at_ms: exit.at_ms,
        }),
        restarts: inspection.restarts,
        reason: cut(reason, REASON_BYTES_MAX),
        started_at_ms: inspection.started_at_ms,
        unstarted,
        ..WorkloadReport::default()
    }
}

/// The last lines of output, as a report may carry them.
pub(crate) fn last_lines(lines: Vec<String>) -> Vec<String> {
    let skipped = lines.len().saturating_sub(LAST_LINES_MAX);
    lines.into_iter().skip(skipped).map(|line| cut(&line, LAST_LINE_BYTES_MAX)).collect()
}

/// One line of at most `bytes_max` bytes.
fn cut(text: &str, bytes_max: usize) -> String {
    let line = text.lines().next().unwrap_or_default();
    line[..line.floor_char_boundary(bytes_max)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use eru_types::{EngineId, Labels, WorkloadName};

    fn inspection(pairs: &[(&str, &str)]) -> Inspection {
        let labels = pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
        Inspection {
            id: EngineId::new("abc").unwrap(),
            name: WorkloadName::parse("app_web_000001").unwrap(),
            labels: Labels::new(labels).unwrap(),
            state: State::Exited,
            networks: Default::default(),
            probe_address: None,
            exit: None,
            restarts: 0,
            started_at_ms: 0,
            reason: "a\nb".into(),
            pid: 0,
            isolation: String::new(),
        }
    }

    #[test]
    fn only_what_carries_our_label_and_not_another_nodes_name_is_ours() {
        let owner = |only_mine| Owner::new(NodeName::new("n1").unwrap(), only_mine);
        let (all, mine, known) = (owner(false), owner(true), owner(true));
        known.learn("c1");
        all.learn("c1");
        // The labels; ours without the option, with it, and with it once core has said who it is.
        type Case<'a> = (&'a [(&'a str, &'a str)], [bool; 3]);
        let cases: [Case<'_>; 8] = [
            (&[], [false, false, false]),
            (&[("ERU", "1")], [true, false, false]),
            (&[("ERU", "0"), ("eru.nodename", "n1")], [false, false, false]),
            (&[("ERU", "1"), ("eru.nodename", "n1")], [true, true, true]),
            (&[("ERU", "1"), ("eru.nodename", "n2")], [false, false, false]),
            (&[("ERU", "1"), ("eru.nodename", "n1"), ("eru.coreid", "c1")], [true, true, true]),
            (&[("ERU", "1"), ("eru.nodename", "n1"), ("eru.coreid", "c2")], [true, true, false]),
            (&[("ERU", "1"), ("eru.coreid", "c1")], [true, false, false]),
        ];
        for (labels, ours) in cases {
            let given = inspection(labels);
            assert_eq!([all.owns(&given), mine.owns(&given), known.owns(&given)], ours, "{labels:?}");
        }
    }

    #[test]
    fn what_was_never_started_is_no_end() {
        let made = Inspection { state: State::Created, reason: String::new(), ..inspection(&[("ERU", "1")]) };
        let told = report(&made, false, "", 0);
        assert!(told.unstarted && !told.running && told.exit.is_none());
        assert_eq!(told.reason, "not started yet");
        let running = Inspection { state: State::Running, ..made };
        assert!(!report(&running, false, "", 0).unstarted);
    }

    #[test]
    fn a_report_carries_the_visible_labels_and_one_line_of_reason() {
        let given = inspection(&[("ERU", "1"), ("eru.nodename", "n1"), ("zone", "a"), ("ERU_META", "broken")]);
        let report = report(&given, true, "", 0);
        assert_eq!(report.extension, r#"{"ERU":"1","ERU_META":"broken","zone":"a"}"#.as_bytes());
        assert_eq!(report.reason, "a");
        assert!(!report.running && !report.healthy);
        assert!(health_check(&given).is_empty());
        assert!(!report.unstarted);
        let long = last_lines((0..50).map(|n| format!("{n}{}", "é".repeat(600))).collect());
        assert!(long.len() == LAST_LINES_MAX && long[9].starts_with("49") && long[9].len() <= LAST_LINE_BYTES_MAX);
    }
}
