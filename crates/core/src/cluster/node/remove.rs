//! Removing a node that has no workloads.

use super::set::decode;
use crate::{
    cluster::{Cluster, Error, Result, read::read},
    keys,
    record::{NodeRecord, Versioned},
};
use eru_kv::{Durability, Guard, Op, RangeOptions, Txn};
use eru_types::NodeName;

/// How often a removal is tried again when a deploy came in between.
const CONFLICTS_MAX: usize = 8;

impl Cluster {
    /// Removes a node and everything that is known under its name, in one transaction.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Precondition`] while it has workloads.
    pub async fn remove_node(&self, name: &NodeName) -> Result<()> {
        for _ in 0..CONFLICTS_MAX {
            let found = read(&*self.kv, &[keys::node(name), keys::version(name)]).await?;
            let [node, version] = &found.values[..] else { unreachable!("two keys were asked for") };
            let Some(node) = node else { return Err(Error::no_node(name)) };
            // A record that does not decode must not keep the node from being removed.
            let record: Result<Versioned<NodeRecord>> = decode(name, node);
            // Every commit of placements raises the version that is guarded below. The store is asked, not the cache: a
            // placement that does not decode is one as well.
            let one = RangeOptions { limit: 1, ..RangeOptions::default() };
            if !self.kv.range(&keys::placements(name), one).await?.kvs.is_empty() {
                self.cache.linearizable().await?;
                // One that does not decode is not among them, but is there.
                let count = self.cache.placements_of(name).len().max(1);
                return Err(Error::Precondition(format!(
                    "node not empty, still has workloads associated: {count} on node \"{name}\"; `eru-cli node workloads \
                     {name}` lists them, `eru-cli workload remove ID` removes one"
                )));
            }
            let version = version.as_ref().map(|kv| kv.mod_revision).unwrap_or_default();
            let txn = Txn {
                guards: vec![
                    Guard::ModRevision(keys::node(name), node.mod_revision),
                    Guard::ModRevision(keys::version(name), version),
                ],
                then: vec![
                    Op::delete(keys::node(name)),
                    Op::delete(keys::version(name)),
                    Op::delete(keys::verdict(name)),
                    Op::delete(keys::alive(name)),
                    Op::delete(keys::agent(name)),
                    Op::Delete(keys::statuses(name)),
                ],
                or_else: vec![],
            };
            if self.kv.txn(txn, Durability::Durable).await?.succeeded {
                self.agents.forget(name);
                if let Ok(record) = &record {
                    self.forget_engine(name, record);
                }
                tracing::info!(node = %name, "node removed");
                return Ok(());
            }
        }
        Err(Error::Conflict(format!("node {name} is being deployed to; try again")))
    }
}
