//! An agent that watches many containers, each with a health check.

use super::{site::Site, size::Size};
use crate::{
    process::{cpu_percent, mib, resident_bytes},
    table::Table,
};
use anyhow::{Context, Result};
use eru_api::pb::{self, workload_status_stream_message::Kind};
use eru_testkit::{Docker, Percentiles};
use std::{
    collections::BTreeSet,
    path::Path,
    time::{Duration, Instant},
};

/// Longest wait for all reports.
const PATIENCE: Duration = Duration::from_secs(60);
/// After this the start is over, and what is left is the steady state.
const SETTLED: Duration = Duration::from_secs(10);

/// Measures.
///
/// # Errors
/// When a report does not come.
pub async fn run(binary: &Path, size: Size) -> Result<()> {
    let Some(docker) = Docker::of_machine("bench docker-agent") else { return Ok(()) };
    let mut table = Table::new(&format!("An agent with {} containers", size.containers))?;
    let site = Site::start(binary, docker).await?;
    let entrypoint = pb::EntrypointOptions {
        name: "web".into(),
        commands: ["/bin/httpd", "-f", "-p", "9000"].map(String::from).to_vec(),
        healthcheck: Some(pb::HealthCheckOptions { tcp_ports: vec!["9000".into()], ..Default::default() }),
        ..Default::default()
    };
    let image = site.images.busybox.clone();
    let ids = site.deploy_entrypoint("many", &image, entrypoint, "bridge", size.containers).await?;
    let mut starts = Vec::new();
    for _ in 1..size.starts {
        let (mut agent, took) = start(&site, binary, &ids).await?;
        starts.push(took);
        agent.kill9()?;
    }
    let (agent, took) = start(&site, binary, &ids).await?;
    starts.push(took);
    table.row(
        format!("start -> all {} reported healthy, {} starts", ids.len(), starts.len()),
        "<= 1 s",
        Percentiles::new(starts).to_string(),
    );
    tokio::time::sleep(SETTLED).await;
    let cpu = cpu_percent(agent.pid(), Duration::from_secs(size.cpu_seconds)).await?;
    table.row("memory", "<= 15 MiB (35 MB with 50 there)", mib(resident_bytes(agent.pid())?));
    table.row(
        format!("CPU, {} s, TCP checks every 15 s", size.cpu_seconds),
        "<= 1 % of a core (0.7 % with 50 there)",
        format!("{cpu:.2} %"),
    );
    table.print();
    Ok(())
}

/// Makes core forget what was reported, starts an agent, and waits until all is reported again.
async fn start(site: &Site, binary: &Path, ids: &[String]) -> Result<(eru_testkit::Daemon, Duration)> {
    let mut client = site.client().await?;
    let dead = |id: &String| pb::WorkloadStatus { id: id.clone(), ..Default::default() };
    let status = ids.iter().map(dead).collect();
    client.set_workloads_status(pb::SetWorkloadsStatusOptions { status }).await?;
    let options = pb::WorkloadStatusStreamOptions { snapshot: true, ..Default::default() };
    let mut stream = client.workload_status_stream(options).await?.into_inner();
    while stream.message().await?.context("the stream ended")?.kind() != Kind::Synced {}
    let mut missing: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
    let begin = Instant::now();
    let agent = site.agent(binary)?;
    let all = async {
        while !missing.is_empty() {
            let message = stream.message().await?.context("the stream ended")?;
            if message.status.as_ref().is_some_and(|status| status.running && status.healthy) {
                missing.remove(message.id.as_str());
            }
        }
        anyhow::Ok(begin.elapsed())
    };
    let took = tokio::time::timeout(PATIENCE, all).await;
    let took = took.with_context(|| format!("not all were reported:\n{}", agent.log()))??;
    Ok((agent, took))
}
