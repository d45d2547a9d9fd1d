//! Pods: made, removed when empty.

use super::{Cluster, Error, Result, read::read};
use crate::{
    keys,
    record::{self, PodRecord, Versioned},
};
use eru_kv::{Durability, Guard, Op, Txn};
use eru_types::PodName;

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
            let nodes = self.cache.nodes(Some(name)).len();
            if nodes > 0 {
                let text = format!("pod has nodes: pod {name} still has {nodes} nodes, delete them first");
                return Err(Error::Precondition(text));
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
