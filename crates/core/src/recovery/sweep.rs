//! What belongs to nobody: engine objects without a placement, reports without a workload, op ids of long ago.

use super::RecoveryOptions;
use crate::{
    cache::{NodeState, NodeView},
    cluster::{Cluster, Result, now_ms, read::read},
    keys::{self, Key},
    record::{self, OpRecord},
};
use bytes::Bytes;
use eru_kv::{Durability, Guard, KeyRange, KeyValue, Op, RangeOptions, Revision, Txn, limits};
use eru_runtime::{Error as RuntimeError, Inspection};
use eru_types::{
    EngineId, Labels, NodeName,
    labels::{COREID, ERU, NODENAME},
};
use futures::{StreamExt, stream};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};
use tokio::time::Instant;

/// How long a repeated deploy finds its own instances by its op id: longer than any client tries.
const OP_AGE: Duration = Duration::from_secs(24 * 3600);
/// How often reports and op ids are looked at: they are read from the store as a whole, and hardly ever left over.
const STORE_EVERY: Duration = Duration::from_secs(600);
/// Keys of one page.
const PAGE_KEYS: usize = 1000;
/// Engines asked at a time.
const NODES_AT_A_TIME: usize = 16;

/// What was seen without a placement, and since when.
#[derive(Debug, Default)]
pub struct Sweep {
    objects: HashMap<(NodeName, EngineId), Instant>,
    reports: HashMap<EngineId, Instant>,
    /// Objects that were removed.
    pub removed: u64,
}

/// Sweeps again and again.
pub(super) async fn run(cluster: &Arc<Cluster>, options: RecoveryOptions) {
    let mut sweep = Sweep::default();
    let mut store_looked_at: Option<Instant> = None;
    loop {
        sweep.engines(cluster, options.orphan_age).await;
        cluster.forget_engines();
        if store_looked_at.is_none_or(|at| at.elapsed() >= STORE_EVERY) || !sweep.reports.is_empty() {
            store_looked_at = Some(Instant::now());
            if let Err(error) = sweep.store(cluster, options.orphan_age).await {
                tracing::debug!(%error, "left-over keys could not be looked for");
            }
        }
        tokio::time::sleep(options.sweep_every).await;
    }
}

impl Sweep {
    /// Looks at the objects of every engine that answers, and removes those that have had no placement for `age`.
    pub async fn engines(&mut self, cluster: &Arc<Cluster>, age: Duration) {
        let nodes = cluster.cache.nodes(None).into_iter().filter(|node| node.state() != NodeState::Lost);
        let looks = nodes.map(|node| async move {
            let orphans = orphans(cluster, &node).await;
            (node, orphans)
        });
        let looked: Vec<_> = stream::iter(looks).buffer_unordered(NODES_AT_A_TIME).collect().await;
        let mut seen = HashSet::new();
        for (node, orphans) in looked {
            match orphans {
                Ok(orphans) => {
                    for id in orphans {
                        seen.insert((node.name().clone(), id));
                    }
                }
                // What was seen on a node that does not answer now is kept in mind.
                Err(error) => {
                    tracing::debug!(node = %node.name(), %error, "engine could not be looked at");
                    seen.extend(self.objects.keys().filter(|(name, _)| name == node.name()).cloned());
                }
            }
        }
        let now = Instant::now();
        self.objects.retain(|object, _| seen.contains(object));
        for object in seen {
            self.objects.entry(object).or_insert(now);
        }
        let due: Vec<_> =
            self.objects.iter().filter(|(_, since)| now - **since >= age).map(|(object, _)| object.clone()).collect();
        for (node, id) in due {
            match remove(cluster, &node, &id).await {
                Ok(()) => {
                    self.removed += 1;
                    self.objects.remove(&(node.clone(), id.clone()));
                    tracing::warn!(node = %node, workload = %id, "removed an engine object that had no placement");
                }
                Err(error) => tracing::debug!(node = %node, workload = %id, %error, "left-over object not removed"),
            }
        }
    }

    /// Looks at reports without a workload, and at op ids of long ago.
    ///
    /// # Errors
    /// What the store answered.
    pub async fn store(&mut self, cluster: &Arc<Cluster>, age: Duration) -> Result<()> {
        let reports = read_all(cluster, &keys::all_statuses()).await?;
        cluster.cache.linearizable().await?;
        let now = Instant::now();
        let mut seen = HashSet::new();
        for kv in reports {
            let Some(Key::Status(_, id)) = keys::parse(&kv.key) else { continue };
            if cluster.cache.workload(&id).is_some_and(|view| !view.removed) {
                continue;
            }
            let since = *self.reports.entry(id.clone()).or_insert(now);
            // With an index it has a workload, whose placement this core cannot read.
            let left_over = now - since >= age && !is_there(cluster, keys::index(&id)).await?;
            if left_over && delete(cluster, &kv).await? {
                tracing::info!(workload = %id, "removed a report without a workload");
            } else {
                seen.insert(id);
            }
        }
        self.reports.retain(|id, _| seen.contains(id));
        let oldest_ms = now_ms() - OP_AGE.as_millis() as i64;
        for kv in read_all(cluster, &keys::ops()).await? {
            let old = record::decode::<OpRecord>(&kv.value).is_ok_and(|op| op.created_at_ms < oldest_ms);
            if old {
                delete(cluster, &kv).await?;
            }
        }
        Ok(())
    }
}

/// The objects of a node's engine that are of our cluster and of this node, and have neither a placement nor a mark.
async fn orphans(cluster: &Cluster, node: &NodeView) -> Result<Vec<EngineId>> {
    let engine = cluster.engines.open(&node.record.record)?;
    let mut ours = Labels::default();
    ours.set(ERU, "1");
    ours.set(COREID, cluster.core_id.as_str());
    ours.set(NODENAME, node.name().as_str());
    let objects = cluster.engine_call(engine.runtime.list(&ours)).await?;
    // Listed first, looked up then: whatever was made before the list has its placement in the cache now, unless it lost
    // it.
    cluster.cache.linearizable().await?;
    let placed = |name| cluster.cache.workload_by_name(name).is_some_and(|view| !view.removed);
    let unplaced: Vec<&Inspection> = objects.iter().filter(|object| !placed(&object.name)).collect();
    // A key that is there is a placement, even if this core cannot read its value: a newer core may have written it.
    let mut orphans: Vec<EngineId> = Vec::new();
    for unplaced in unplaced.chunks(limits::TXN_OPS_MAX) {
        let placements: Vec<_> = unplaced.iter().map(|o| keys::placement(node.name(), &o.name)).collect();
        let found = read(&*cluster.kv, &placements).await?.values;
        let absent = unplaced.iter().zip(found).filter(|(_, kv)| kv.is_none());
        orphans.extend(absent.map(|(object, _)| object.id.clone()));
    }
    let mut dissociated = HashSet::new();
    for kv in read_all(cluster, &keys::all_dissociated(node.name())).await? {
        let Some(Key::Dissociated(_, id)) = keys::parse(&kv.key) else { continue };
        if objects.iter().any(|object| object.id == id) {
            dissociated.insert(id);
        } else {
            // The engine does not have it any more, so there is nothing to be left alone.
            delete(cluster, &kv).await?;
        }
    }
    Ok(orphans.into_iter().filter(|id| !dissociated.contains(id)).collect())
}

async fn remove(cluster: &Cluster, node: &NodeName, id: &EngineId) -> Result<()> {
    cluster.fault("sweep.before_remove").await;
    let view = cluster.cache.node(node).ok_or_else(|| crate::cluster::Error::no_node(node))?;
    let engine = cluster.engines.open(&view.record.record)?;
    let _slot = engine.slot().await;
    match cluster.engine_call(engine.runtime.remove(id, true)).await {
        Err(crate::cluster::Error::Runtime(RuntimeError::NotFound(_))) => Ok(()),
        outcome => outcome,
    }
}

async fn read_all(cluster: &Cluster, range: &KeyRange) -> Result<Vec<KeyValue>> {
    let mut range = range.clone();
    let mut at: Option<Revision> = None;
    let mut all = Vec::new();
    loop {
        let page = cluster.kv.range(&range, RangeOptions { at, limit: PAGE_KEYS }).await?;
        at = at.or(Some(page.revision));
        let more = page.more;
        all.extend(page.kvs);
        match all.last() {
            Some(last) if more => {
                let mut next = last.key.to_vec();
                next.push(0);
                range.start = next.into();
            }
            _ => return Ok(all),
        }
    }
}

async fn is_there(cluster: &Cluster, key: Bytes) -> Result<bool> {
    Ok(read(&*cluster.kv, &[key]).await?.values.iter().any(Option::is_some))
}

/// Removes a key, if it is still as it was read.
async fn delete(cluster: &Cluster, kv: &KeyValue) -> Result<bool> {
    let txn = Txn {
        guards: vec![Guard::ModRevision(kv.key.clone(), kv.mod_revision)],
        then: vec![Op::delete(kv.key.clone())],
        or_else: Vec::new(),
    };
    Ok(cluster.kv.txn(txn, Durability::Durable).await?.succeeded)
}
