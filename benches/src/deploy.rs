//! How fast instances are placed on simulated nodes.

use crate::{
    cluster::{Cluster, Store, deploy},
    table::Table,
};
use anyhow::Result;
use eru_testkit::Percentiles;
use std::{path::Path, time::Instant};

const NODES: usize = 100;

/// Measures.
///
/// # Errors
/// When a deploy fails.
pub async fn run(binary: &Path, store: Store) -> Result<()> {
    let mut table = Table::new(&format!("Deploys onto {NODES} simulated nodes, {store}"))?;
    let cluster = Cluster::start(binary, store, NODES).await?;
    let mut client = cluster.client().await?;
    deploy(&mut client, 10).await?;

    let mut samples = Vec::new();
    for _ in 0..200 {
        let begin = Instant::now();
        deploy(&mut client, 1).await?;
        samples.push(begin.elapsed());
    }
    table.row(
        "one instance after another",
        "<= 5 ms + 3 fdatasync each (365 ms there)",
        Percentiles::new(samples).to_string(),
    );

    let begin = Instant::now();
    deploy(&mut client, 1_000).await?;
    table.row("1 000 in one call", "<= 0.2 s (2.5 s there)", format!("{:.3} s", begin.elapsed().as_secs_f64()));

    let begin = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut client = cluster.client().await?;
        clients.spawn(async move {
            for _ in 0..125 {
                deploy(&mut client, 1).await?;
            }
            anyhow::Ok(())
        });
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    let singles = 1_000.0 / begin.elapsed().as_secs_f64();

    let begin = Instant::now();
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut client = cluster.client().await?;
        clients.spawn(async move { deploy(&mut client, 125).await });
    }
    while let Some(done) = clients.join_next().await {
        done??;
    }
    let bundles = 1_000.0 / begin.elapsed().as_secs_f64();
    table.row(
        "1 000 by 8 clients at once",
        ">= 2 000/s",
        format!("{bundles:.0}/s (125 a call), {singles:.0}/s (one a call)"),
    );
    table.print();
    Ok(())
}
