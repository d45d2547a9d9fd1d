//! Pods: made, removed when empty.

use super::{Cluster, Error, Result, read::read};
use crate::{
    cache::NodeView,
    keys,
    record::{self, PodRecord, Versioned},
};
use eru_kv::{Durability, Guard, Op, Txn};
use eru_types::PodName;
use std::sync::Arc;

/// Most nodes that are named when a pod still has some.
const NODES_NAMED_MAX: usize = 5;
/// How often a removal is tried again when somebody changed the same pod in between.
const CONFLICTS_MAX: usize = 8;

impl Cluster {
    /// Makes a pod. Two round trips.
    ///
    /// # Errors
    /// [`Error::Exists`].
    pub async fn add_pod(&self, name: PodName, desc: String) -> Result<PodRecord> {
        let record = PodRecord { name, desc };
        let key = keys::pod(&record.name);
        let txn = Txn {
            guards: vec![Guard::Absent(key.clone())],
            then: vec![Op::put(key, record::encode(&Versioned::new(record.clone())))],
            or_else: vec![],
        };
        if self.kv.txn(txn, Durability::Durable).await?.succeeded {
            tracing::info!(pod = %record.name, "pod added");
            Ok(record)
        } else {
            Err(Error::Exists("Key exists".into()))
        }
    }

    /// Refuses a pod that is not there.
    ///
    /// # Errors
    /// [`Error::NotFound`]; what the store answered.
    pub(crate) async fn check_pod(&self, name: &PodName) -> Result<()> {
        if self.cache.pod(name).is_none() {
            // It may have been added a moment ago, through another core.
            self.cache.linearizable().await?;
            self.cache.pod(name).ok_or_else(|| Error::no_pod(name))?;
        }
        Ok(())
    }

    /// Removes a pod that has no nodes.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Precondition`] while it has nodes.
    pub async fn remove_pod(&self, name: &PodName) -> Result<()> {
        for _ in 0..CONFLICTS_MAX {
            let found = read(&*self.kv, &[keys::pod(name)]).await?;
            let Some(pod) = &found.values[0] else {
                return Err(Error::NotFound(format!("pod not found: {name}")));
            };
            // AddNode rewrites the pod's record, so a node that this cache does not show yet fails the guard.
            self.cache.linearizable().await?;
            let nodes = self.cache.nodes(Some(name));
            if !nodes.is_empty() {
                return Err(Error::Precondition(has_nodes(name, &nodes)));
            }
            let key = keys::pod(name);
            let txn = Txn {
                guards: vec![Guard::ModRevision(key.clone(), pod.mod_revision)],
                then: vec![Op::delete(key)],
                or_else: vec![],
            };
            if self.kv.txn(txn, Durability::Durable).await?.succeeded {
                tracing::info!(pod = %name, "pod removed");
                return Ok(());
            }
        }
        Err(Error::Conflict(format!("pod {name} is being changed by others; try again")))
    }
}

/// The original's words, and which nodes they are.
fn has_nodes(pod: &PodName, nodes: &[Arc<NodeView>]) -> String {
    let (count, what) = match nodes.len() {
        1 => ("1 node".to_owned(), "it"),
        count => (format!("{count} nodes"), "them"),
    };
    let names: Vec<&str> = nodes.iter().take(NODES_NAMED_MAX).map(|node| node.name().as_str()).collect();
    let more = if nodes.len() > NODES_NAMED_MAX { ", ..." } else { "" };
    format!(
        "pod has nodes: pod {pod} still has {count}, delete {what} first: {}{more}; `eru-cli node remove NODE`",
        names.join(", ")
    )
}
