//! core killed with -9 between any two steps of a deploy and of a removal: afterwards placements, engine objects and sums
//! agree.
//!
//! `ERU_FAULT_ROUNDS` sets how often each point is hit; the default keeps the run short.

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

/// One instance, and whatever came of it.
async fn deploy(up: &Up) -> Result<Vec<pb::CreateWorkloadMessage>> {
    let options = pb::DeployOptions {
        name: "app".into(),
        entrypoint: Some(pb::EntrypointOptions { name: "web".into(), command: "sleep 1000".into(), ..Default::default() }),
        podname: "local".into(),
        count: 3,
        resource_opts: Some(pb::ResourceOptions { memory_limit: 1 << 20, ..Default::default() }),
        ..Default::default()
    };
    Ok(up.client().await?.create_workload(options).await?.into_inner().try_collect().await?)
}

async fn remove(up: &Up, ids: Vec<String>) -> Result<()> {
    let options = pb::RemoveWorkloadOptions { ids, force: true, ..Default::default() };
    up.client().await?.remove_workload(options).await?.into_inner().try_collect::<Vec<_>>().await?;
    Ok(())
}

/// What core knows, what runs, and what the node has given away are one and the same.
async fn agree(up: &Up) -> Result<Vec<pb::Workload>> {
    eventually("placements, engine objects and sums to agree", Duration::from_secs(30), || async {
        let all = workloads(up).await?;
        ensure!(all.iter().all(|w| w.state == "running"), "not settled: {all:?}");
        let node = up.client().await?.list_pod_nodes(pb::ListNodesOptions { all: true, ..Default::default() }).await?.into_inner();
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

#[tokio::test(flavor = "multi_thread")]
async fn killed_between_any_two_steps() -> Result<()> {
    let mut up = Up::start(ERU, &[]).await?;
    for round in 0..rounds() {
        for point in fault::POINTS {
            // Something to remove, for the points on that way.
            let before = agree(&up).await?;
            if before.is_empty() {
                deploy(&up).await?;
            }
            let victims: Vec<String> = workloads(&up).await?.into_iter().map(|w| w.id).collect();
            up.stop().await?;
            up.again(&[("ERU_FAULT", point)]).await?;
            let _ = deploy(&up).await;
            if up.runs() {
                let _ = remove(&up, victims).await;
            }
            let status = up.ended(SOON).await.with_context(|| format!("{point} was never hit\n{}", up.log()))?;
            ensure!(!status.success(), "{point}: it ended by itself");
            up.again(&[]).await?;
            let all = agree(&up).await.with_context(|| format!("round {round}, {point}"))?;
            remove(&up, all.into_iter().map(|w| w.id).collect()).await?;
        }
    }
    Ok(())
}
