//! Which workloads are ours, and what a report says of one. Pure.

use eru_api::agent::{ExitStatus, WorkloadReport};
use eru_runtime::{Inspection, State};
use eru_types::{
    HealthCheck, NodeName, labels,
    limits::{LAST_LINE_BYTES_MAX, LAST_LINES_MAX, REASON_BYTES_MAX},
    meta::Meta,
};

/// Whether the workload belongs to Eru and, where it says so, to this node.
pub(crate) fn is_ours(inspection: &Inspection, node: &NodeName) -> bool {
    inspection.labels.get(labels::ERU) == Some("1")
        && inspection.labels.get(labels::NODENAME).is_none_or(|name| name == node.as_str())
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
        let node = NodeName::new("n1").unwrap();
        let cases: [(&[(&str, &str)], bool); 5] = [
            (&[], false),
            (&[("ERU", "1")], true),
            (&[("ERU", "0")], false),
            (&[("ERU", "1"), ("eru.nodename", "n1")], true),
            (&[("ERU", "1"), ("eru.nodename", "n2")], false),
        ];
        for (labels, ours) in cases {
            assert_eq!(is_ours(&inspection(labels), &node), ours, "{labels:?}");
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
