//! Status of workloads: reported and read.

use super::{check, service::CoreService};
use crate::{
    cache::to_pb_status,
    cluster::{
        Error, Result,
        status::{Outcome, Report},
    },
};
use eru_api::pb;
use eru_types::{
    ExitStatus, WorkloadStatus,
    limits::{LAST_LINE_BYTES_MAX, LAST_LINES_MAX, LIST_LEN_MAX, REASON_BYTES_MAX},
};

impl CoreService {
    pub(super) async fn status_get(&self, request: pb::WorkloadIDs) -> Result<pb::WorkloadsStatus> {
        check::list_len("ids", request.ids.len(), LIST_LEN_MAX)?;
        let views = self.views(&check::workloads(&request.ids)?).await?;
        Ok(pb::WorkloadsStatus { status: views.iter().map(|view| to_pb_status(view)).collect() })
    }

    /// Takes the reports of the original's agents. Everything is checked before anything is stored.
    pub(super) async fn status_set(&self, request: pb::SetWorkloadsStatusOptions) -> Result<pb::WorkloadsStatus> {
        check::list_len("status", request.status.len(), LIST_LEN_MAX)?;
        let reports = request.status.iter().map(report).collect::<Result<Vec<_>>>()?;
        let outcomes = self.cluster.statuses.submit(reports).await?;
        for (status, outcome) in request.status.iter().zip(outcomes) {
            match outcome {
                // A report without an order of its own is never older than another.
                Outcome::Stored | Outcome::Unchanged | Outcome::Stale => {}
                Outcome::Unknown => return Err(unknown(status)),
                Outcome::WrongNode => {
                    let (id, node) = (&status.id, &status.nodename);
                    return Err(Error::Invalid(format!("workload {id} is not on node {node}")));
                }
            }
        }
        let echoed = request.status.into_iter().map(|status| pb::WorkloadStatus {
            id: status.id,
            running: status.running,
            healthy: status.healthy,
            networks: status.networks,
            extension: status.extension,
            ..pb::WorkloadStatus::default()
        });
        Ok(pb::WorkloadsStatus { status: echoed.collect() })
    }
}

/// A workload that is not there, in the original's words: they depend on whether the reporter named it wholly.
fn unknown(status: &pb::WorkloadStatus) -> Error {
    if status.appname.is_empty() || status.nodename.is_empty() || status.entrypoint.is_empty() {
        Error::no_workload(&status.id)
    } else {
        Error::NotFound("entity not exists".into())
    }
}

fn report(status: &pb::WorkloadStatus) -> Result<Report> {
    let id = check::workload(&status.id)?;
    check::optional_app(&status.appname)?;
    check::optional_entrypoint(&status.entrypoint)?;
    let node = check::optional_node(&status.nodename)?;
    check::status_size(&status.networks, status.extension.len())?;
    Ok(Report {
        id,
        node,
        incarnation: 0,
        seq: 0,
        ttl_s: check::ttl_s(status.ttl)?,
        status: WorkloadStatus {
            running: status.running,
            healthy: status.healthy,
            networks: status.networks.clone(),
            extension: status.extension.to_vec(),
            exit: status.exit.map(|exit| ExitStatus {
                code: exit.code,
                signal: exit.signal,
                oom_killed: exit.oom_killed,
                at_ms: exit.at_ms,
            }),
            restarts: status.restarts,
            reason: shortened(&status.reason, REASON_BYTES_MAX),
            last_lines: last_lines(&status.last_lines),
            started_at_ms: status.started_at_ms,
            observed_at_ms: status.observed_at_ms,
        },
    })
}

/// The last of the lines, each cut to its bound: they are for people, and half a line is better than none.
pub(super) fn last_lines(lines: &[String]) -> Vec<String> {
    let skipped = lines.len().saturating_sub(LAST_LINES_MAX);
    lines.iter().skip(skipped).map(|line| shortened(line, LAST_LINE_BYTES_MAX)).collect()
}

/// At most `bytes_max` bytes of a text, cut between two characters.
pub(super) fn shortened(text: &str, bytes_max: usize) -> String {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(shortened("añb", 2), "a");
        assert_eq!(shortened("añb", 3), "añ");
        assert_eq!(shortened("", 3), "");
        let lines: Vec<String> = (0..20).map(|i| i.to_string()).collect();
        assert_eq!(last_lines(&lines), lines[10..]);
    }
}
