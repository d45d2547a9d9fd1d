//! Streams that wait for something to happen.

use crate::{
    cluster::{Cluster, Store},
    process::{cpu_percent, resident_bytes},
    reports::report,
    subscriber,
    table::Table,
};
use anyhow::{Context, Result};
use eru_api::pb;
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Measures.
///
/// # Errors
/// When a stream cannot be opened.
pub async fn run(binary: &Path) -> Result<()> {
    let mut table = Table::new("Idle streams, 100 a connection")?;
    for count in [1_000_usize, 10_000] {
        let cluster = Cluster::start(binary, Store::Embedded, 1).await?;
        let ids = cluster.deploy(1).await?;
        let before = resident_bytes(cluster.pid)?;
        let streams = subscriber::open(&cluster.address, count).await?;
        let each = resident_bytes(cluster.pid)?.saturating_sub(before) / count as u64;
        table.row(format!("{count} streams: memory each"), "<= 16 KiB", format!("{:.1} KiB", each as f64 / 1024.0));
        let cpu = cpu_percent(cluster.pid, Duration::from_secs(10)).await?;
        table.row(format!("{count} streams: CPU"), "<= 5 % of a core", format!("{cpu:.2} %"));
        let readers: Vec<_> = streams
            .into_iter()
            .map(|mut stream| {
                tokio::spawn(async move { stream.message().await.map(|m| (m.is_some(), Instant::now())) })
            })
            .collect();
        let mut client = cluster.client().await?;
        let begin = Instant::now();
        client.set_workloads_status(pb::SetWorkloadsStatusOptions { status: vec![report(&ids[0])] }).await?;
        let mut last = begin;
        for reader in readers {
            let (got, at) = reader.await??;
            got.then_some(()).context("a stream ended")?;
            last = last.max(at);
        }
        table.row(
            format!("{count} streams: one event -> the last reader"),
            "",
            format!("{:.1} ms", (last - begin).as_secs_f64() * 1e3),
        );
    }
    table.print();
    Ok(())
}
