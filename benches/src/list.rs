//! How fast everything is listed.

use crate::{
    cluster::{Cluster, POD, Store},
    reports::report,
    table::Table,
};
use anyhow::{Result, ensure};
use eru_api::pb;
use eru_testkit::Percentiles;
use futures::TryStreamExt;
use std::{path::Path, time::Instant};

/// Measures.
///
/// # Errors
/// When a call fails.
pub async fn run(binary: &Path, store: Store) -> Result<()> {
    let mut table = Table::new(&format!("Lists, {store}"))?;
    let cluster = Cluster::start(binary, store, 1_000).await?;
    let mut client = cluster.client().await?;
    let ids = cluster.deploy(10_000).await?;
    for chunk in ids.chunks(100) {
        let status = chunk.iter().map(|id| report(id)).collect();
        client.set_workloads_status(pb::SetWorkloadsStatusOptions { status }).await?;
    }
    let (mut lists, mut resources) = (Vec::new(), Vec::new());
    for _ in 0..10 {
        let begin = Instant::now();
        let all: Vec<pb::Workload> =
            client.list_workloads(pb::ListWorkloadsOptions::default()).await?.into_inner().try_collect().await?;
        ensure!(all.len() == 10_000, "{} listed", all.len());
        lists.push(begin.elapsed());
        let begin = Instant::now();
        let pod = client.get_pod_resource(pb::GetPodOptions { name: POD.into() }).await?.into_inner();
        ensure!(pod.nodes_resource.len() == 1_000, "{} nodes", pod.nodes_resource.len());
        resources.push(begin.elapsed());
    }
    table.row(
        "10 000 workloads listed with their status",
        "<= 50 ms (3.2 s there)",
        Percentiles::new(lists).to_string(),
    );
    table.row("resources of 1 000 nodes", "<= 50 ms (1.5 s there)", Percentiles::new(resources).to_string());
    table.print();
    Ok(())
}
