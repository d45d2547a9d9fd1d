//! What our agents say beyond the public API: `eru.agent.v1`.

use super::{
    check,
    workload_status::{last_lines, shortened},
};
use crate::{
    cluster::{
        Cluster, Error, Result,
        agent::{FullList, NODE_TTL_S_MAX},
        status::{Outcome, Report},
    },
    record::AgentRecord,
};
use eru_api::agent::{self as wire, agent_server::Agent, outcome};
use eru_types::{
    ExitStatus, NodeName, WorkloadName, WorkloadStatus,
    limits::{LIST_LEN_MAX, REASON_BYTES_MAX},
};
use std::{sync::Arc, time::Duration};
use tonic::{Request, Response, Status};

/// Longest identity or version that an agent may have, in bytes.
const IDENTITY_BYTES_MAX: usize = 256;
/// Why a workload does not run that its engine does not know.
const GONE: &str = "removed from the runtime";

/// The service.
#[derive(Clone)]
pub struct AgentService {
    cluster: Arc<Cluster>,
}

impl AgentService {
    pub(crate) fn new(cluster: Arc<Cluster>) -> Self {
        Self { cluster }
    }

    async fn take_registration(&self, request: wire::RegisterRequest) -> Result<wire::RegisterReply> {
        let node = check::node(&request.nodename)?;
        for (field, value) in
            [("boot_id", &request.boot_id), ("version", &request.version), ("agent_id", &request.agent_id)]
        {
            check::text(field, value, IDENTITY_BYTES_MAX)?;
        }
        let record = AgentRecord {
            incarnation: 0,
            boot_id: request.boot_id,
            version: request.version,
            agent_id: request.agent_id,
        };
        let registered = self.cluster.register_agent(&node, record).await?;
        let times = self.cluster.settings.liveness;
        Ok(wire::RegisterReply {
            incarnation: registered.incarnation,
            core_id: self.cluster.core_id.clone(),
            podname: registered.node.pod.to_string(),
            endpoint: registered.node.endpoint,
            beat_interval_ms: millis(times.beat),
            lease_ttl_ms: millis(times.lease),
            generation: registered.generation,
        })
    }

    async fn take_beat(&self, request: wire::BeatRequest) -> Result<wire::BeatReply> {
        let node = check::node(&request.nodename)?;
        let incarnation = incarnation(request.incarnation)?;
        let ttl = ttl(request.lease_ttl_ms)?;
        let answer = self.cluster.beat(&node, incarnation, request.runtime_ok, ttl).await?;
        Ok(wire::BeatReply {
            generation: answer.generation,
            report_all: answer.report_all,
            superseded: answer.superseded,
        })
    }

    async fn take_report(&self, request: wire::ReportRequest) -> Result<wire::ReportReply> {
        let node = check::node(&request.nodename)?;
        let incarnation = incarnation(request.incarnation)?;
        check::list_len("reports", request.reports.len(), LIST_LEN_MAX)?;
        let mut outcomes: Vec<wire::Outcome> = Vec::with_capacity(request.reports.len());
        let mut reports = Vec::with_capacity(request.reports.len());
        // Where the outcome of each of `reports` belongs.
        let mut places = Vec::with_capacity(request.reports.len());
        let mut list = FullList { seq: seq(request.seq)?, ..FullList::default() };
        for report in request.reports {
            let (id, is_unstarted) = (report.id.clone(), report.unstarted);
            let (result, error) = match to_report(&node, incarnation, report) {
                Ok(report) if is_unstarted => {
                    list.unstarted.insert(report.id);
                    (outcome::Result::Unchanged, String::new())
                }
                Ok(report) => {
                    places.push(outcomes.len());
                    reports.push(report);
                    (outcome::Result::UnknownWorkload, String::new())
                }
                Err(error) => (outcome::Result::Refused, error.to_string()),
            };
            outcomes.push(wire::Outcome { id, result: result.into(), error });
        }
        let full = request.full.then_some(list);
        let results = self.cluster.report(&node, incarnation, full, reports).await?;
        for (place, result) in places.into_iter().zip(results) {
            let one = &mut outcomes[place];
            let result = match result {
                Outcome::Stored => outcome::Result::Stored,
                Outcome::Unchanged => outcome::Result::Unchanged,
                Outcome::Unknown => outcome::Result::UnknownWorkload,
                Outcome::Stale => outcome::Result::Stale,
                Outcome::WrongNode => {
                    one.error = format!("workload {} is not on node {node}", one.id);
                    outcome::Result::Refused
                }
            };
            one.result = result.into();
        }
        Ok(wire::ReportReply { outcomes })
    }

    async fn take_leave(&self, request: wire::LeaveRequest) -> Result<wire::LeaveReply> {
        let node = check::node(&request.nodename)?;
        let incarnation = incarnation(request.incarnation)?;
        self.cluster.leave(&node, incarnation, ttl(request.lease_ttl_ms)?).await?;
        Ok(wire::LeaveReply {})
    }
}

#[tonic::async_trait]
impl Agent for AgentService {
    async fn register(&self, request: Request<wire::RegisterRequest>) -> Result<Response<wire::RegisterReply>, Status> {
        Ok(Response::new(self.take_registration(request.into_inner()).await?))
    }

    async fn beat(&self, request: Request<wire::BeatRequest>) -> Result<Response<wire::BeatReply>, Status> {
        Ok(Response::new(self.take_beat(request.into_inner()).await?))
    }

    async fn report(&self, request: Request<wire::ReportRequest>) -> Result<Response<wire::ReportReply>, Status> {
        Ok(Response::new(self.take_report(request.into_inner()).await?))
    }

    async fn leave(&self, request: Request<wire::LeaveRequest>) -> Result<Response<wire::LeaveReply>, Status> {
        Ok(Response::new(self.take_leave(request.into_inner()).await?))
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// Numbers of registrations begin at 1.
fn incarnation(incarnation: i64) -> Result<i64> {
    if incarnation < 1 {
        return Err(Error::Invalid(format!("incarnation must be 1 or more (register first), got {incarnation}")));
    }
    Ok(incarnation)
}

fn seq(seq: i64) -> Result<i64> {
    if seq < 0 {
        return Err(Error::Invalid(format!("seq must be 0 or more, got {seq}")));
    }
    Ok(seq)
}

fn ttl(ttl_ms: i64) -> Result<Option<Duration>> {
    let max = NODE_TTL_S_MAX * 1000;
    match u64::try_from(ttl_ms) {
        Ok(0) => Ok(None),
        Ok(ms) if ttl_ms <= max => Ok(Some(Duration::from_millis(ms))),
        _ => Err(Error::Invalid(format!("lease_ttl_ms must be 0 (the default) to {max}, got {ttl_ms}"))),
    }
}

fn to_report(node: &NodeName, incarnation: i64, report: wire::WorkloadReport) -> Result<Report> {
    let id = check::workload(&report.id)?;
    if !report.name.is_empty() {
        WorkloadName::parse(&report.name)?;
    }
    check::status_size(&report.networks, report.extension.len())?;
    let reason = if report.gone && report.reason.is_empty() { GONE } else { &report.reason };
    Ok(Report {
        id,
        node: Some(node.clone()),
        incarnation,
        seq: seq(report.seq)?,
        ttl_s: check::ttl_s(report.ttl_s)?,
        status: WorkloadStatus {
            running: report.running && !report.gone,
            healthy: report.healthy && !report.gone,
            reason: shortened(reason, REASON_BYTES_MAX),
            networks: report.networks,
            extension: report.extension.to_vec(),
            exit: report.exit.map(|exit| ExitStatus {
                code: exit.code,
                signal: exit.signal,
                oom_killed: exit.oom_killed,
                at_ms: exit.at_ms,
            }),
            restarts: report.restarts,
            last_lines: last_lines(&report.last_lines),
            started_at_ms: report.started_at_ms,
            observed_at_ms: report.observed_at_ms,
        },
    })
}
