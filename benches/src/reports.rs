//! Reports stored per second, every one a change.

use crate::{
    cluster::{Cluster, Store},
    subscriber::now_ns,
    table::Table,
};
use anyhow::Result;
use eru_api::pb;
use futures::{StreamExt, TryStreamExt};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Workloads reported on.
const WORKLOADS: usize = 10_000;
/// How long each way is measured.
const SPAN: Duration = Duration::from_secs(5);

/// One report of `id`, different from every earlier one.
pub fn report(id: &str) -> pb::WorkloadStatus {
    pb::WorkloadStatus {
        id: id.into(),
        running: true,
        healthy: true,
        extension: now_ns().to_string().into(),
        ..Default::default()
    }
}

/// Measures.
///
/// # Errors
/// When a report fails.
pub async fn run(binary: &Path, store: Store) -> Result<()> {
    let mut table = Table::new(&format!("Reports stored per second, {WORKLOADS} workloads, {store}"))?;
    let cluster = Cluster::start(binary, store, 10).await?;
    let ids = cluster.deploy(WORKLOADS).await?;
    for (in_flight, per_call, target) in
        [(1, 1, "2 500 (820 there)"), (64, 1, "15 000 (4 366 there)"), (64, 100, "50 000 (5 793 there)")]
    {
        let client = cluster.client().await?;
        let begin = Instant::now();
        let calls = ids.chunks(per_call).cycle().take_while(|_| begin.elapsed() < SPAN).map(|chunk| {
            let mut client = client.clone();
            async move {
                let status = chunk.iter().map(|id| report(id)).collect();
                client.set_workloads_status(pb::SetWorkloadsStatusOptions { status }).await?;
                anyhow::Ok(chunk.len())
            }
        });
        let stored: usize = futures::stream::iter(calls)
            .buffer_unordered(in_flight)
            .try_fold(0, |sum, n| async move { Ok(sum + n) })
            .await?;
        let rate = stored as f64 / begin.elapsed().as_secs_f64();
        table.row(format!("{in_flight} in flight, {per_call} a call"), target, format!("{rate:.0}"));
    }
    table.print();
    Ok(())
}
