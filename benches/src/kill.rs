//! A plain command is killed; how long until its replacement runs.

use crate::{cluster::up_with, table::Table};
use anyhow::{Context, Result, bail, ensure};
use eru_api::pb;
use eru_testkit::{Percentiles, eventually, up::signal};
use futures::TryStreamExt;
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Kills, and servers: each is killed once, since a slot that fails twice within a minute waits on purpose.
const KILLS: usize = 200;
/// Port of the example's servers.
const PORT: u16 = 8080;

/// Measures.
///
/// # Errors
/// When a replacement does not come.
pub async fn run(binary: &Path) -> Result<()> {
    let mut table = Table::new("A plain command is killed")?;
    let up = up_with(binary, "bench-kill.yaml", KILLS).await?;
    let mut client = up.client().await?;
    let mut stream = client.workload_status_stream(pb::WorkloadStatusStreamOptions::default()).await?.into_inner();
    let (mut dead, mut replaced) = (Vec::new(), Vec::new());
    let first: Vec<pb::Workload> =
        client.list_workloads(pb::ListWorkloadsOptions::default()).await?.into_inner().try_collect().await?;
    for victim in &first {
        let all = eventually("all servers healthy again", Duration::from_secs(90), || {
            let mut client = client.clone();
            async move {
                let all: Vec<pb::Workload> = client
                    .list_workloads(pb::ListWorkloadsOptions::default())
                    .await?
                    .into_inner()
                    .try_collect()
                    .await?;
                let healthy = all.iter().filter(|w| w.status.as_ref().is_some_and(|s| s.healthy)).count();
                ensure!(healthy == KILLS && all.len() == KILLS, "{healthy} healthy of {}", all.len());
                anyhow::Ok(all)
            }
        })
        .await?;
        let old: Vec<&str> = all.iter().map(|w| w.id.as_str()).collect();
        let address = victim.status.as_ref().and_then(|s| s.networks.values().next()).context("it has no address")?;
        let pid = pid_of(address).await?;
        let begin = Instant::now();
        signal(pid, rustix::process::Signal::KILL)?;
        loop {
            let message = tokio::time::timeout(Duration::from_secs(90), stream.message())
                .await?
                .transpose()
                .context("the stream ended")??;
            let status = message.status.unwrap_or_default();
            if message.id == victim.id && !status.running && !message.delete && dead.len() == replaced.len() {
                dead.push(begin.elapsed());
            }
            if !old.contains(&message.id.as_str()) && status.running {
                replaced.push(begin.elapsed());
                break;
            }
        }
    }
    table.row(
        format!("killed -> running=false on the stream, {KILLS} kills"),
        "<= 200 ms",
        Percentiles::new(dead).to_string(),
    );
    table.row(
        format!("killed -> replacement running, {KILLS} kills"),
        "p99 <= 50 ms",
        Percentiles::new(replaced).to_string(),
    );
    table.print();
    Ok(())
}

/// The server's own process id, from what it answers.
async fn pid_of(address: &str) -> Result<u32> {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect((address, PORT)).await?;
    stream.write_all(b"GET / HTTP/1.1\r\nhost: hello\r\nconnection: close\r\n\r\n").await?;
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    match text.split_whitespace().skip_while(|word| *word != "pid").nth(1).map(str::parse) {
        Some(Ok(pid)) => Ok(pid),
        _ => bail!("no process id in the answer {text:?}"),
    }
}
