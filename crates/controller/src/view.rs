//! A workload of the public API as the instance that the reconcile function knows.

use crate::trouble::one_line;
use eru_client::Entry;
use eru_reconcile::{Instance, InstancePhase, Millis, NodeState};

/// Label: name of the set.
pub const LABEL_SET: &str = "replicaset";
/// Label: identity of the set.
pub const LABEL_UID: &str = "replicaset.uid";
/// Label: slot of the instance.
pub const LABEL_SLOT: &str = "replicaset.slot";
/// Label: epoch of the instance in its slot.
pub const LABEL_EPOCH: &str = "replicaset.epoch";
/// Label: generation that the instance was made of.
pub const LABEL_GENERATION: &str = "replicaset.generation";

/// What is observed of an instance: the two things that a change of restarts its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// Where it is in its life.
    pub phase: InstancePhase,
    /// It is healthy.
    pub healthy: bool,
}

/// How an instance is, by the last message about it.
pub fn condition(entry: &Entry) -> Condition {
    let status = entry.status.as_ref();
    let phase = match status {
        _ if entry.workload.state == "removing" => InstancePhase::Removing,
        Some(status) if entry.expired || status.expired || status.stale => InstancePhase::Unknown,
        None if entry.expired => InstancePhase::Unknown,
        // A status without an id is the empty one of a workload that nothing was reported of.
        None => InstancePhase::Starting,
        Some(status) if status.id.is_empty() => InstancePhase::Starting,
        Some(status) if status.running => InstancePhase::Running,
        // Core is still bringing it up: what does not run yet has not ended.
        Some(_) if matches!(entry.workload.state.as_str(), "planned" | "created") => InstancePhase::Starting,
        Some(_) => InstancePhase::Exited,
    };
    let healthy = phase == InstancePhase::Running && status.is_some_and(|status| status.healthy);
    Condition { phase, healthy }
}

/// The instance, if the workload's labels say which one it is.
pub fn instance(entry: &Entry, condition: Condition, since: Millis) -> Option<Instance> {
    let labels = &entry.workload.labels;
    let status = entry.status.clone().unwrap_or_default();
    Some(Instance {
        id: entry.workload.id.clone(),
        owner: entry.workload.owner.clone(),
        slot: labels.get(LABEL_SLOT)?.parse().ok()?,
        epoch: labels.get(LABEL_EPOCH)?.parse().ok()?,
        generation: labels.get(LABEL_GENERATION)?.parse().ok()?,
        node: entry.workload.nodename.clone(),
        phase: condition.phase,
        healthy: condition.healthy,
        since,
        started_at: Millis(status.started_at_ms),
        exit_known: status.exit.is_some(),
        reason: reason(&status),
    })
}

/// One bounded line: why it is not healthy.
fn reason(status: &eru_api::pb::WorkloadStatus) -> String {
    let mut reason = status.reason.clone();
    if let Some(exit) = status.exit.as_ref().filter(|_| reason.is_empty()) {
        reason = match (exit.oom_killed, exit.signal) {
            (true, _) => "killed for want of memory".to_owned(),
            (false, 0) => format!("exit code {}", exit.code),
            (false, signal) => format!("killed by signal {signal}"),
        };
    }
    // The agent may have taken the last line for the reason.
    let is_news = |line: &&String| !status.running && !reason.contains(line.trim());
    if let Some(line) = status.last_lines.last().filter(is_news) {
        reason = format!("{reason}: {}", line.trim());
    }
    one_line(&reason)
}

/// The node's state by its word; a word that is not known says nothing bad.
pub fn node_state(word: &str) -> NodeState {
    match word {
        "new" => NodeState::New,
        "suspect" => NodeState::Suspect,
        "lost" => NodeState::Lost,
        "unwatched" => NodeState::Unwatched,
        _ => NodeState::Ready,
    }
}

/// Of two reports of one node's state the more careful one: they come by two streams, and one may be a little behind.
pub fn more_careful(a: NodeState, b: NodeState) -> NodeState {
    let care = |state| match state {
        NodeState::Ready => 0,
        NodeState::New => 1,
        NodeState::Unwatched => 2,
        NodeState::Suspect => 3,
        NodeState::Lost => 4,
    };
    if care(a) >= care(b) { a } else { b }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eru_api::pb;

    fn entry(state: &str, status: Option<pb::WorkloadStatus>, expired: bool) -> Entry {
        let labels = [(LABEL_SLOT, "2"), (LABEL_EPOCH, "7"), (LABEL_GENERATION, "3")];
        let labels = labels.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let workload = pb::Workload { id: "id1".into(), state: state.into(), labels, ..Default::default() };
        Entry { workload, status, expired, revision: 1 }
    }

    fn report(running: bool, healthy: bool) -> pb::WorkloadStatus {
        pb::WorkloadStatus { id: "id1".into(), running, healthy, ..Default::default() }
    }

    #[test]
    fn conditions() {
        use InstancePhase::{Exited, Removing, Running, Starting, Unknown};
        let stale = pb::WorkloadStatus { stale: true, ..report(false, false) };
        let expired = pb::WorkloadStatus { expired: true, ..Default::default() };
        for (entry, phase, healthy) in [
            (entry("running", None, false), Starting, false),
            (entry("running", Some(pb::WorkloadStatus::default()), false), Starting, false),
            (entry("running", Some(report(true, false)), false), Running, false),
            (entry("running", Some(report(true, true)), false), Running, true),
            (entry("running", Some(report(false, false)), false), Exited, false),
            (entry("planned", Some(report(false, false)), false), Starting, false),
            (entry("created", Some(report(false, false)), false), Starting, false),
            (entry("created", None, false), Starting, false),
            (entry("created", Some(report(true, true)), false), Running, true),
            (entry("created", Some(report(false, false)), true), Unknown, false),
            // The original's core knows no states.
            (entry("", Some(report(false, false)), false), Exited, false),
            // The original's agents may say healthy of what does not run.
            (entry("running", Some(report(false, true)), false), Exited, false),
            (entry("running", Some(report(true, true)), true), Unknown, false),
            (entry("running", None, true), Unknown, false),
            (entry("running", Some(expired), false), Unknown, false),
            (entry("running", Some(stale), false), Unknown, false),
            (entry("removing", Some(report(true, true)), false), Removing, false),
        ] {
            assert_eq!(condition(&entry), Condition { phase, healthy }, "{entry:?}");
        }
    }

    #[test]
    fn instances_are_known_by_their_labels() {
        let mut status = report(false, false);
        status.exit = Some(pb::ExitStatus { code: 137, signal: 9, ..Default::default() });
        status.last_lines = vec!["bye\n".into()];
        let mut entry = entry("running", Some(status), false);
        let found = instance(&entry, condition(&entry), Millis(5)).unwrap();
        assert_eq!((found.slot, found.epoch, found.generation, found.exit_known), (2, 7, 3, true));
        assert_eq!(found.reason, "killed by signal 9: bye");
        entry.status.as_mut().unwrap().reason = "a\n\u{1b}[31m".repeat(1 << 20);
        let reason = instance(&entry, condition(&entry), Millis(5)).unwrap().reason;
        assert!(reason.len() < 1024 && !reason.contains(char::is_control), "{reason}");
        entry.status.as_mut().unwrap().reason = "said bye".into();
        assert_eq!(instance(&entry, condition(&entry), Millis(5)).unwrap().reason, "said bye");
        for bad in ["", "-1", "x", "99999999999999999999999"] {
            entry.workload.labels.insert(LABEL_SLOT.into(), bad.into());
            assert_eq!(instance(&entry, condition(&entry), Millis(5)), None, "{bad:?}");
        }
    }
}
