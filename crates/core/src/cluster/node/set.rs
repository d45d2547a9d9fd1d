//! Changing a node: everything of one request in one transaction.

use super::{NodeChange, apply};
use crate::{
    cluster::{Cluster, Error, Result, clock::now_ms, engines::Address, read::read},
    keys,
    record::{self, NodeRecord, Verdict, VerdictRecord, Versioned},
};
use eru_kv::{Durability, Guard, KeyValue, Op, Revision, Txn};
use eru_types::NodeName;

/// How often a change is tried again when somebody changed the same node in between. Deploys raise the node's version, so
/// a busy node may need several.
const CONFLICTS_MAX: usize = 32;

fn revision(kv: Option<&KeyValue>) -> Revision {
    kv.map(|kv| kv.mod_revision).unwrap_or_default()
}

impl Cluster {
    /// Changes a node. All of it happens at one revision, or nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`]; what [`apply`] says; [`Error::Unavailable`] when the engine that the node is to have does not
    /// answer; [`Error::Conflict`].
    pub async fn set_node(&self, name: &NodeName, change: &NodeChange) -> Result<()> {
        let (mut former, mut now): (Option<NodeRecord>, Option<NodeRecord>) = (None, None);
        for _ in 0..CONFLICTS_MAX {
            let wanted = [keys::node(name), keys::version(name), keys::verdict(name)];
            let found = read(&*self.kv, &wanted).await?;
            let [node, version, verdict] = &found.values[..] else { unreachable!("three keys were asked for") };
            let Some(node) = node else { return Err(Error::no_node(name)) };
            let mut guards = vec![Guard::ModRevision(keys::node(name), node.mod_revision)];
            let mut then = Vec::new();
            let mut _turn = None;
            if change.touches_record() {
                if change.has_deltas() {
                    // The sums below are those of this version; a commit after it fails the guard.
                    guards.push(Guard::ModRevision(keys::version(name), revision(version.as_ref())));
                    self.cache.linearizable().await?;
                }
                let used = self.cache.node(name).map(|view| view.used).unwrap_or_default();
                let mut record: Versioned<NodeRecord> = decode(name, node)?;
                let before = record.record.clone();
                apply(&mut record, change, &used)?;
                if change.moves_engine() {
                    let asked = now.as_ref().is_some_and(|asked| Address::from(asked) == Address::from(&record.record));
                    if !asked {
                        self.check_answers(&before, &record.record).await?;
                    }
                    // Not opened before the change is made: opening makes simulated engines, and turns their knobs.
                    let kind = self.engines.kind(&record.record)?;
                    _turn = self.check_alone(name, kind).await?;
                    record.runtime = kind.as_str().to_owned();
                    record.runs_images = kind.runs_images();
                    record.runs_commands = kind.runs_commands();
                }
                former = Some(before);
                now = Some(record.record.clone());
                then.push(Op::put(keys::node(name), record::encode(&record)));
            }
            if change.workloads_down {
                let old: Versioned<VerdictRecord> = match verdict {
                    Some(kv) => decode(name, kv)?,
                    None => Versioned::new(VerdictRecord::default()),
                };
                let lost = VerdictRecord {
                    verdict: Verdict::Lost,
                    generation: old.generation + 1,
                    at_ms: now_ms(),
                    reason: "declared down by request".into(),
                };
                guards.push(Guard::ModRevision(keys::verdict(name), revision(verdict.as_ref())));
                then.push(Op::put(keys::verdict(name), record::encode(&Versioned { record: lost, ..old })));
            }
            if then.is_empty() {
                return Ok(());
            }
            let reply = self.kv.txn(Txn { guards, then, or_else: vec![] }, Durability::Durable).await?;
            if reply.succeeded {
                if let (Some(former), Some(now), true) = (former, now, change.moves_engine()) {
                    self.move_engine(name, &former, &now);
                }
                tracing::info!(node = %name, bypass = change.bypass, down = change.workloads_down, "node changed");
                return Ok(());
            }
        }
        Err(Error::Conflict(format!("node {name} is being changed by others; try again")))
    }

    /// Lets go of the engine that a node had and takes hold of the one that it has now, with the options it has now.
    fn move_engine(&self, name: &NodeName, former: &NodeRecord, now: &NodeRecord) {
        if former.endpoint != now.endpoint || former.tls != now.tls {
            self.forget_engine(name, former);
        }
        if let Err(error) = self.engines.open(now) {
            // The node is shown without its engine until that can be opened, which everything that needs it tries again.
            tracing::warn!(node = %name, %error, "the engine cannot be opened");
        }
    }
}

pub(super) fn decode<T: serde::de::DeserializeOwned>(name: &NodeName, kv: &KeyValue) -> Result<Versioned<T>> {
    record::decode(&kv.value).map_err(|error| {
        let key = String::from_utf8_lossy(&kv.key).into_owned();
        Error::Internal(format!("node {name}: the value of {key} does not decode: {error}"))
    })
}
