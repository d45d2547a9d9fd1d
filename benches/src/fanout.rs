//! From a report to its subscribers.

use crate::{
    cluster::{Cluster, Store},
    reports::report,
    subscriber,
    table::Table,
};
use anyhow::{Context, Result};
use eru_api::pb;
use eru_testkit::Percentiles;
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// Workloads reported on.
const WORKLOADS: usize = 10_000;
/// How long each load lasts.
const SPAN: Duration = Duration::from_secs(10);
/// Reports are sent in bundles, one each tick, as agents do.
const TICK: Duration = Duration::from_millis(2);

/// Sends `rate` reports a second for `span`, each call with what one tick owes.
///
/// # Errors
/// When a report fails.
pub async fn write(cluster: &Cluster, ids: &[String], rate: usize, span: Duration) -> Result<usize> {
    let client = cluster.client().await?;
    let begin = Instant::now();
    let mut ticks = tokio::time::interval(TICK);
    let (mut sent, mut calls) = (0_usize, tokio::task::JoinSet::new());
    while begin.elapsed() < span {
        ticks.tick().await;
        let owed = (begin.elapsed().as_secs_f64() * rate as f64) as usize;
        if owed > sent {
            let status: Vec<_> = (sent..owed).map(|n| report(&ids[n % ids.len()])).collect();
            sent = owed;
            let mut client = client.clone();
            calls.spawn(async move { client.set_workloads_status(pb::SetWorkloadsStatusOptions { status }).await });
        }
        while let Some(done) = calls.try_join_next() {
            done??;
        }
    }
    while let Some(done) = calls.join_next().await {
        done??;
    }
    Ok(sent)
}

async fn load(cluster: &Cluster, ids: &[String], rate: usize, subscribers: usize) -> Result<String> {
    let streams = subscriber::open(&cluster.address, subscribers).await?;
    let readers: Vec<_> = streams
        .into_iter()
        .map(|mut stream| {
            tokio::spawn(async move {
                let mut ages = Vec::new();
                // After the writer has stopped nothing comes any more; a second of silence is the end.
                while let Ok(Ok(Some(message))) = tokio::time::timeout(Duration::from_secs(1), stream.message()).await {
                    ages.extend(message.age());
                }
                ages
            })
        })
        .collect();
    let sent = write(cluster, ids, rate, SPAN).await?;
    let mut ages = Vec::new();
    for reader in readers {
        ages.extend(reader.await?);
    }
    let received = ages.len() as f64 / (sent * subscribers) as f64 * 100.0;
    (!ages.is_empty())
        .then(|| format!("{}; {received:.1} % of changes seen one by one", Percentiles::new(ages)))
        .context("nothing was received")
}

/// Measures.
///
/// # Errors
/// When a stream or a report fails.
pub async fn run(binary: &Path) -> Result<()> {
    let mut table = Table::new("Report -> subscriber, embedded")?;
    let cluster = Cluster::start(binary, Store::Embedded, 10).await?;
    let ids = cluster.deploy(WORKLOADS).await?;
    for (rate, subscribers, target) in [
        (1_000, 1, "p99 <= 5 ms (falls behind there)"),
        (10_000, 1, "p99 <= 5 ms (falls behind there)"),
        (1_000, 100, "p99 <= 10 ms (87 ms at 5/s there)"),
        (100, 1_000, "p99 <= 20 ms (525 ms at 1/s there)"),
    ] {
        let measured = load(&cluster, &ids, rate, subscribers).await?;
        table.row(format!("{rate} reports/s, {subscribers} subscribers"), target, measured);
    }
    table.print();
    Ok(())
}
