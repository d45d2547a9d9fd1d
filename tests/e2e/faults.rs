//! core killed with -9 between any two steps of a deploy and of a removal: afterwards placements, engine objects and sums
//! agree.
//!
//! `ERU_FAULT_ROUNDS` sets how often each point is hit; the default keeps the run short. The points of the sweep and of
//! `dissociate`, which leave engine objects behind on purpose, are hit by core's own tests.

use crate::scene::{ERU, SOON, workloads};
use anyhow::{Context, Result, ensure};
use eru_api::pb;
use eru_core::fault;
use eru_testkit::{Up, eventually};
use futures::TryStreamExt;
use std::time::Duration;

fn rounds() -> usize {
    std::env::var("ERU_FAULT_ROUNDS").ok().and_then(|n| n.parse().ok()).unwrap_or(3)
}

/// Three instances of a command, and whatever came of them.
async fn deploy(up: &Up, command: &str) -> Result<Vec<pb::CreateWorkloadMessage>> {
    let options = pb::DeployOptions {
        name: "app".into(),
        entrypoint: Some(pb::EntrypointOptions { name: "web".into(), command: command.into(), ..Default::default() }),
        podname: "local".into(),
        count: 3,
        resource_opts: Some(pb::ResourceOptions { memory_limit: 1 << 20, ..Default::default() }),
        ..Default::default()
    };
    Ok(up.client().await?.create_workload(options).await?.into_inner().try_collect().await?)
}

async fn remove(up: &Up, ids: Vec<String>) -> Result<()> {
    if ids.is_empty() {
        return Ok(());
    }
    let options = pb::RemoveWorkloadOptions { ids, force: true, ..Default::default() };
    up.client().await?.remove_workload(options).await?.into_inner().try_collect::<Vec<_>>().await?;
    Ok(())
}

/// What core knows, what runs, and what the node has given away are one and the same.
async fn agree(up: &Up) -> Result<Vec<pb::Workload>> {
    eventually("placements, engine objects and sums to agree", Duration::from_secs(30), || async {
        let all = workloads(up).await?;
        ensure!(all.iter().all(|w| w.state == "running"), "not settled: {all:?}");
        let node = up
            .client()
            .await?
            .list_pod_nodes(pb::ListNodesOptions { all: true, ..Default::default() })
            .await?
            .into_inner();
        let node = node.nodes.first().context("one node")?;
        let sum: i64 = all.iter().filter_map(|w| w.resource.as_ref()).map(|r| r.memory_request).sum();
        ensure!(node.memory_used == sum, "{} given away, {sum} placed", node.memory_used);
        let objects = std::fs::read_dir(up.data_dir().join("runtime/workloads"))?
            .flatten()
            .filter(|entry| entry.file_name().len() == 64)
            .count();
        ensure!(objects == all.len(), "{objects} engine objects, {} placements", all.len());
        anyhow::Ok(all)
    })
    .await
    .with_context(|| up.log())
}

/// Runs, and cannot be executed: the second is undone, which passes the `undo` points.
const RUNS: &str = "sleep 1000";
const CANNOT_RUN: &str = "/no/such/program";

/// Does what makes core come to `point`, on a core that was told to die there.
async fn provoke(up: &mut Up, point: &str, victims: Vec<String>) -> Result<()> {
    // Core dies under these calls; what they answer means nothing.
    match point.split('.').next() {
        Some("undo") => drop(deploy(up, CANNOT_RUN).await),
        Some("remove") => drop(remove(up, victims).await),
        _ => drop(deploy(up, RUNS).await),
    }
    let status = up.ended(SOON).await.with_context(|| format!("{point} was never hit\n{}", up.log()))?;
    ensure!(!status.success(), "{point}: it ended by itself");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_any_two_steps() -> Result<()> {
    let mut up = Up::start(ERU, &[]).await?;
    let points: Vec<&str> = fault::POINTS
        .iter()
        .copied()
        // Only a replacement that is undone has an old workload to start again; core's own tests die there.
        .filter(|point| *point != "undo.old_started")
        .filter(|point| ["deploy", "undo", "remove", "recover"].contains(&point.split('.').next().unwrap_or_default()))
        .collect();
    ensure!(points.len() >= 14, "{points:?}");
    for round in 0..rounds() {
        for point in &points {
            if agree(&up).await?.is_empty() {
                deploy(&up, RUNS).await?;
            }
            let victims: Vec<String> = workloads(&up).await?.into_iter().map(|w| w.id).collect();
            up.stop().await?;
            if point.starts_with("recover") {
                // Something to recover, then the death of the one that recovers it.
                up.again(&[("ERU_FAULT", "deploy.created")]).await?;
                provoke(&mut up, "deploy.created", victims).await?;
                up.spawn(&[("ERU_FAULT", point)])?;
                up.ended(SOON).await.with_context(|| format!("{point} was never hit\n{}", up.log()))?;
            } else {
                up.again(&[("ERU_FAULT", point)]).await?;
                provoke(&mut up, point, victims).await?;
            }
            up.again(&[]).await?;
            let all = agree(&up).await.with_context(|| format!("round {round}, {point}"))?;
            if round % 2 == 1 {
                remove(&up, all.into_iter().map(|w| w.id).collect()).await?;
            }
        }
    }
    Ok(())
}
