//! Placements that nobody works on.

use super::RecoveryOptions;
use crate::{
    cache::WorkloadView,
    cluster::{Cluster, Current, Error, Output, Result, is_silence},
    record::PlacementState,
};
use eru_types::NodeName;
use futures::{StreamExt, stream};
use std::{
    collections::{BTreeSet, HashSet},
    sync::Arc,
};

/// Placements worked on at a time; the engines have bounds of their own.
const AT_A_TIME: usize = 64;

/// Looks again and again.
pub(super) async fn run(cluster: &Arc<Cluster>, options: RecoveryOptions) {
    let mut cores = cluster.cache.cores_changed();
    loop {
        cores.borrow_and_update();
        if let Err(error) = look(cluster, options.alone).await {
            tracing::debug!(%error, "placements could not be looked at");
        }
        tokio::select! {
            () = tokio::time::sleep(options.look_every) => {}
            changed = cores.changed() => {
                if changed.is_err() {
                    // The cache has stopped, and so will this.
                    std::future::pending::<()>().await;
                }
            }
        }
    }
}

/// One look at everything; answers how many placements it dealt with.
pub(super) async fn look(cluster: &Arc<Cluster>, alone: bool) -> Result<usize> {
    cluster.cache.linearizable().await?;
    let mut live: HashSet<String> = HashSet::from([cluster.instance.clone()]);
    if !alone {
        live.extend(cluster.cache.cores().iter().map(|core| core.instance.clone()));
    }
    let abandoned = |view: &Arc<WorkloadView>| {
        let placement = &view.placement;
        // A run to the end is nobody's once its core is gone, even while it runs.
        let forsaken = placement.spec.lambda && !cluster.runs.contains(&placement.name);
        (placement.state != PlacementState::Running || forsaken)
            && (placement.core == cluster.instance || !live.contains(&placement.core))
    };
    let views: Vec<_> = cluster.cache.placements().into_iter().filter(abandoned).collect();
    let answering = answering(cluster, views.iter().map(|view| view.placement.node.clone()).collect()).await;
    let views = views.into_iter().filter(|view| answering.contains(&view.placement.node));
    let dealt_with = stream::iter(views)
        .map(|view| recover(cluster, view))
        .buffer_unordered(AT_A_TIME)
        .filter(|done| std::future::ready(*done))
        .count()
        .await;
    if dealt_with > 0 {
        tracing::info!(placements = dealt_with, "recovered what a core left half done");
    }
    Ok(dealt_with)
}

/// Those nodes whose engines answer: one question each, however many placements wait for it.
async fn answering(cluster: &Cluster, nodes: BTreeSet<NodeName>) -> HashSet<NodeName> {
    let asked = nodes.into_iter().map(|node| async move { cluster.answers(&node).await.then_some(node) });
    stream::iter(asked).buffer_unordered(AT_A_TIME).filter_map(std::future::ready).collect().await
}

/// Deals with one placement; whether anything came of it.
async fn recover(cluster: &Cluster, view: Arc<WorkloadView>) -> bool {
    let name = &view.placement.name;
    // Who holds it works on it.
    let Some(_held) = cluster.tasks.locks.try_acquire(name.to_string()) else { return false };
    let now = cluster.cache.workload_by_name(name).filter(|now| !now.removed);
    let Some(view) = now.filter(|now| now.placement_revision == view.placement_revision) else { return false };
    let current = Current { placement: (*view.placement).clone(), revision: view.placement_revision };
    match recover_held(cluster, current).await {
        Ok(done) => done,
        Err(error) => {
            // It is tried again with every look; a line for each would drown the log.
            tracing::debug!(workload = %name, %error, "not recovered yet");
            false
        }
    }
}

async fn recover_held(cluster: &Cluster, mut current: Current) -> Result<bool> {
    let ours = current.placement.core == cluster.instance;
    if !ours {
        let mut next = current.placement.clone();
        next.core.clone_from(&cluster.instance);
        cluster.advance(&mut current, next, Vec::new()).await?;
        cluster.fault("recover.taken_over").await;
    }
    let lambda = current.placement.spec.lambda;
    match current.placement.state {
        PlacementState::Running if !lambda => Ok(false),
        PlacementState::Created if !ours && !lambda => finish(cluster, current).await,
        PlacementState::Planned | PlacementState::Created | PlacementState::Running => {
            cluster.undo(current).await?;
            Ok(true)
        }
        PlacementState::Removing => {
            cluster.remove_from_engine(&current.placement, true).await?;
            cluster.finish_removal(&current).await?;
            Ok(true)
        }
    }
}

/// Starts what a dead core had created.
async fn finish(cluster: &Cluster, mut current: Current) -> Result<bool> {
    let node = current.placement.node.clone();
    let engine = cluster.engine_of(&node)?;
    // Whom the hooks had told is gone.
    match cluster.start_created(&engine, &mut current, &mut Output::default()).await {
        Ok(_) => {
            tracing::info!(workload = %current.placement.name, node = %node, "finished what a dead core had begun");
            Ok(true)
        }
        Err(error @ Error::Conflict(_)) => Err(error),
        // A node that does not answer may answer later: until then it stays as it is.
        Err(error) if is_silence(&error) => {
            give_back(cluster, current).await?;
            Err(error)
        }
        Err(error) => {
            tracing::info!(workload = %current.placement.name, node = %node, %error, "cannot be started; undone");
            cluster.undo(current).await?;
            Ok(true)
        }
    }
}

/// Leaves a placement to whoever looks next, as one of no core at all: its client was told nothing yet.
async fn give_back(cluster: &Cluster, mut current: Current) -> Result<()> {
    let mut next = current.placement.clone();
    next.core.clear();
    cluster.advance(&mut current, next, Vec::new()).await
}
