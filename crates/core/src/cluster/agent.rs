//! Agents: who speaks for a node, and whether it is alive.

use super::{
    Cluster, Error, Result,
    clock::now_ms,
    read::read,
    status::{Outcome, Report},
};
use crate::{
    keys,
    record::{self, AgentRecord, AliveRecord, NodeRecord, PlacementState, Versioned},
};
use bytes::Bytes;
use eru_kv::{Durability, Guard, KeyValue, LeaseId, Op, Revision, Txn, limits::LEASE_TTL_S_MIN};
use eru_types::{EngineId, NodeName, WorkloadStatus};
use parking_lot::Mutex;
use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

/// How often a registration is tried again when another agent of the same node came in between.
const CONFLICTS_MAX: usize = 8;
/// Longest time to live of a sign of life, in seconds: a day, beyond which nobody would notice a dead node.
pub const NODE_TTL_S_MAX: i64 = 86_400;
/// A workload that was started so recently may be missing in a full report only because the list is older than it.
const YOUNG: Duration = Duration::from_secs(10);
/// Why a workload is reported as not running that a full report does not name.
const GONE: &str = "not found in the runtime";

/// What this core remembers of the nodes' agents. All of it can be forgotten: the store has the leases, and an agent that
/// is asked for everything once too often only repeats itself.
#[derive(Debug, Default)]
pub struct Agents(Mutex<HashMap<NodeName, Remembered>>);

#[derive(Debug, Clone, Default)]
struct Remembered {
    /// The lease that the sign of life is bound to, and the time to live that it was granted with.
    lease: Option<(LeaseId, u64)>,
    /// The incarnation that the lease is of.
    incarnation: i64,
    /// The (incarnation, generation) that reported everything.
    reported: Option<(i64, i64)>,
}

impl Agents {
    /// Forgets a node.
    pub fn forget(&self, node: &NodeName) {
        self.0.lock().remove(node);
    }

    fn get(&self, node: &NodeName) -> Remembered {
        self.0.lock().get(node).cloned().unwrap_or_default()
    }

    fn update(&self, node: &NodeName, change: impl FnOnce(&mut Remembered)) {
        change(self.0.lock().entry(node.clone()).or_default());
    }
}

/// What a full list says beyond its reports.
#[derive(Debug, Clone, Default)]
pub struct FullList {
    /// Its number in the agent's count: what it does not name was gone then.
    pub seq: i64,
    /// What it names although nothing can be said of it: it was made and never started.
    pub unstarted: HashSet<EngineId>,
}

/// What a new agent is told.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Its number.
    pub incarnation: i64,
    /// The node.
    pub node: NodeRecord,
    /// The node's generation.
    pub generation: i64,
}

/// What an agent is told at each beat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BeatAnswer {
    /// The node's generation.
    pub generation: i64,
    /// Send everything again.
    pub report_all: bool,
    /// Another agent registered later: stop.
    pub superseded: bool,
}

/// A time to live in whole seconds that a store accepts.
pub(crate) fn whole_seconds(ttl: Duration) -> u64 {
    (ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0)).max(LEASE_TTL_S_MIN)
}

fn decode<T: serde::de::DeserializeOwned>(kv: &KeyValue) -> Result<Versioned<T>> {
    record::decode(&kv.value).map_err(|error| {
        Error::Internal(format!("the value of {} does not decode: {error}", String::from_utf8_lossy(&kv.key)))
    })
}

impl Cluster {
    /// Makes the caller the agent of a node: gives it a number above all before it, and the node a lease.
    ///
    /// # Errors
    /// [`Error::NotFound`] without the node.
    pub async fn register_agent(&self, node: &NodeName, mut agent: AgentRecord) -> Result<Registration> {
        for _ in 0..CONFLICTS_MAX {
            let wanted = [keys::node(node), keys::agent(node), keys::verdict(node)];
            let found = read(&*self.kv, &wanted).await?;
            let [node_kv, agent_kv, verdict] = &found.values[..] else { unreachable!("three keys were asked for") };
            let Some(node_kv) = node_kv else { return Err(Error::no_node(node)) };
            let record: Versioned<NodeRecord> = decode(node_kv)?;
            // A registration that does not decode is of an agent that nobody can speak with any more.
            let before = agent_kv.as_ref().and_then(|kv| record::decode::<AgentRecord>(&kv.value).ok());
            agent.incarnation = before.map_or(0, |old| old.record.incarnation) + 1;
            let ttl_s = whole_seconds(self.settings.liveness.lease);
            let lease = self.kv.lease_grant(Duration::from_secs(ttl_s)).await?;
            let alive = AliveRecord { node: node.clone(), ttl_s, incarnation: agent.incarnation };
            let revision = agent_kv.as_ref().map(|kv| kv.mod_revision).unwrap_or_default();
            let txn = Txn {
                guards: vec![Guard::Exists(keys::node(node)), Guard::ModRevision(keys::agent(node), revision)],
                then: vec![
                    Op::put(keys::agent(node), record::encode(&Versioned::new(agent.clone()))),
                    put_alive(&alive, lease),
                ],
                or_else: vec![],
            };
            if !self.kv.txn(txn, Durability::Durable).await?.succeeded {
                self.kv.lease_revoke(lease).await?;
                continue;
            }
            let incarnation = agent.incarnation;
            self.agents.update(node, |known| {
                *known = Remembered { lease: Some((lease, ttl_s)), incarnation, reported: None };
            });
            let generation = match verdict {
                Some(kv) => decode::<record::VerdictRecord>(kv)?.record.generation,
                None => 0,
            };
            tracing::info!(node = %node, incarnation, "agent registered");
            return Ok(Registration { incarnation, node: record.record, generation });
        }
        Err(Error::Conflict(format!("node {node}: several agents register at the same time; try again")))
    }

    /// Renews the lease of a node. Writes nothing while the lease is there. An agent whose runtime is away renews it only
    /// when it says for how long: an engine that starts again is no loss, one that stays away is.
    ///
    /// # Errors
    /// [`Error::NotFound`] without the node.
    pub async fn beat(
        &self,
        node: &NodeName,
        incarnation: i64,
        runtime_ok: bool,
        ttl: Option<Duration>,
    ) -> Result<BeatAnswer> {
        let view = self.node_view(node).await?;
        let generation = view.verdict.generation;
        if self.is_superseded(node, view.agent.as_ref(), incarnation).await? {
            return Ok(BeatAnswer { generation, report_all: false, superseded: true });
        }
        if runtime_ok || ttl.is_some() {
            let ttl_s = whole_seconds(ttl.unwrap_or(self.settings.liveness.lease));
            let alive = AliveRecord { node: node.clone(), ttl_s, incarnation };
            if !self.keep_alive(&alive, view.alive.is_some()).await? {
                self.agents.update(node, |known| known.reported = None);
            }
        }
        let report_all = self.agents.get(node).reported != Some((incarnation, generation));
        Ok(BeatAnswer { generation, report_all, superseded: false })
    }

    /// The agent says good-bye: the node keeps a lease for a while, so that the agent can be replaced.
    ///
    /// # Errors
    /// [`Error::NotFound`] without the node.
    pub async fn leave(&self, node: &NodeName, incarnation: i64, ttl: Option<Duration>) -> Result<()> {
        let view = self.node_view(node).await?;
        if self.is_superseded(node, view.agent.as_ref(), incarnation).await? {
            return Ok(());
        }
        let ttl_s = whole_seconds(ttl.unwrap_or(self.settings.liveness.leave));
        self.keep_alive(&AliveRecord { node: node.clone(), ttl_s, incarnation }, true).await?;
        tracing::info!(node = %node, ttl_s, "agent left");
        Ok(())
    }

    /// A sign of life through the original's API: `ttl_s` above 0 renews or makes a lease, below 0 says good-bye.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Invalid`].
    pub async fn set_node_status(&self, node: &NodeName, ttl_s: i64) -> Result<()> {
        if ttl_s == 0 {
            return Err(Error::Invalid("TTL for node status should be > 0".into()));
        }
        if ttl_s > NODE_TTL_S_MAX {
            return Err(Error::Invalid(format!("ttl must be at most {NODE_TTL_S_MAX} s, got {ttl_s}")));
        }
        let view = self.node_view(node).await?;
        if ttl_s < 0 {
            let txn = Txn { then: vec![Op::delete(keys::alive(node))], ..Txn::default() };
            self.kv.txn(txn, Durability::Durable).await?;
            self.agents.update(node, |known| known.lease = None);
            return Ok(());
        }
        let ttl_s = whole_seconds(Duration::from_secs(ttl_s.unsigned_abs()));
        self.keep_alive(&AliveRecord { node: node.clone(), ttl_s, incarnation: 0 }, view.alive.is_some()).await?;
        Ok(())
    }

    /// Brings an agent's reports in; answers what became of each. `full` = the reports and what it names are everything
    /// that the runtime has.
    ///
    /// # Errors
    /// [`Error::NotFound`] without the node; [`Error::Unavailable`] when the store does not answer.
    pub async fn report(
        &self,
        node: &NodeName,
        incarnation: i64,
        full: Option<FullList>,
        mut reports: Vec<Report>,
    ) -> Result<Vec<Outcome>> {
        let view = self.node_view(node).await?;
        if self.is_superseded(node, view.agent.as_ref(), incarnation).await? {
            return Ok(vec![Outcome::Stale; reports.len()]);
        }
        let len = reports.len();
        if let Some(list) = &full {
            reports.extend(self.missing(node, incarnation, list, &reports));
        }
        let mut outcomes = self.statuses.submit(reports).await?;
        outcomes.truncate(len);
        if full.is_some() {
            let generation = view.verdict.generation;
            self.agents.update(node, |known| known.reported = Some((incarnation, generation)));
        }
        Ok(outcomes)
    }

    /// Reports of those workloads of the node that a full list does not name.
    fn missing(&self, node: &NodeName, incarnation: i64, list: &FullList, named: &[Report]) -> Vec<Report> {
        let named_ids: HashSet<&EngineId> = named.iter().map(|report| &report.id).chain(&list.unstarted).collect();
        // With the number of the list itself: what was reported after the list was made stays. A list without one, of an
        // older agent, has that of its newest report.
        let seq = named.iter().map(|report| report.seq).fold(list.seq, i64::max);
        let now_ms = now_ms();
        let gone = |view: &crate::cache::WorkloadView| {
            let placement = &view.placement.record;
            let settled = placement.state > PlacementState::Created;
            let old = view.status.is_some() || now_ms - placement.created_at_ms > YOUNG.as_millis() as i64;
            settled && old
        };
        let views = self.cache.placements_of(node);
        let views = views.iter().filter(|view| gone(view));
        let ids = views.filter_map(|view| view.id().filter(|id| !named_ids.contains(id)).map(|id| (id, view)));
        ids.map(|(id, view)| {
            let last = view.status.as_ref().map(|status| status.status.clone()).unwrap_or_default();
            let status = WorkloadStatus { running: false, healthy: false, reason: GONE.into(), ..last };
            Report { id: id.clone(), node: Some(node.clone()), incarnation, seq, ttl_s: 0, status }
        })
        .collect()
    }

    /// The node as the cache has it; a node that the cache does not know is waited for if the store has it.
    pub async fn node_view(&self, node: &NodeName) -> Result<std::sync::Arc<crate::cache::NodeView>> {
        if let Some(view) = self.cache.node(node) {
            return Ok(view);
        }
        let found = read(&*self.kv, &[keys::node(node)]).await?;
        if found.values[0].is_none() {
            return Err(Error::no_node(node));
        }
        self.cache.linearizable().await?;
        self.cache.node(node).ok_or_else(|| Error::no_node(node))
    }

    /// Whether an agent of a higher number registered. One that the cache does not know yet is looked up.
    ///
    /// # Errors
    /// [`Error::NotFound`] for a number that was never handed out: the node was removed and added again since, and the
    /// agent must register.
    async fn is_superseded(&self, node: &NodeName, cached: Option<&AgentRecord>, incarnation: i64) -> Result<bool> {
        let known = cached.map_or(0, |agent| agent.incarnation).max(self.agents.get(node).incarnation);
        if known >= incarnation {
            return Ok(known > incarnation);
        }
        let found = read(&*self.kv, &[keys::agent(node)]).await?;
        let stored = found.values[0].as_ref().and_then(|kv| record::decode::<AgentRecord>(&kv.value).ok());
        let stored = stored.map_or(0, |agent| agent.incarnation);
        if stored < incarnation {
            return Err(Error::NotFound(format!(
                "node {node} has no agent with incarnation {incarnation}; register again"
            )));
        }
        Ok(stored > incarnation)
    }

    /// Renews the lease that `alive` is bound to, or binds it to a new one. Answers whether the lease was there. `shown` =
    /// the cache shows the sign of life.
    async fn keep_alive(&self, alive: &AliveRecord, shown: bool) -> Result<bool> {
        let node = &alive.node;
        let mut known = self.agents.get(node);
        if known.lease.is_none() {
            known.lease = self.stored_lease(node).await?;
        }
        if let Some((lease, ttl_s)) = known.lease
            && ttl_s == alive.ttl_s
            && shown
        {
            match self.kv.lease_keep_alive(lease).await {
                Ok(_) => {
                    self.agents.update(node, |known| known.lease = Some((lease, ttl_s)));
                    return Ok(true);
                }
                Err(eru_kv::Error::LeaseGone(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let lease = self.kv.lease_grant(Duration::from_secs(alive.ttl_s)).await?;
        // A node that was reported on once is never new again, whoever reported.
        let agent = record::encode(&Versioned::new(AgentRecord::default()));
        let txn = Txn {
            guards: vec![Guard::Exists(keys::node(node)), Guard::Exists(keys::agent(node))],
            then: vec![put_alive(alive, lease)],
            or_else: vec![],
        };
        if !self.kv.txn(txn, Durability::Durable).await?.succeeded {
            let txn = Txn {
                guards: vec![Guard::Exists(keys::node(node)), Guard::ModRevision(keys::agent(node), Revision(0))],
                then: vec![put_alive(alive, lease), Op::put(keys::agent(node), agent)],
                or_else: vec![],
            };
            if !self.kv.txn(txn, Durability::Durable).await?.succeeded {
                self.kv.lease_revoke(lease).await?;
                return Err(Error::no_node(node));
            }
        }
        self.agents.update(node, |known| known.lease = Some((lease, alive.ttl_s)));
        // The one before holds nothing any more; without an answer it ends by itself.
        if let Some((old, _)) = known.lease {
            let _ = self.kv.lease_revoke(old).await;
        }
        Ok(known.lease.is_some_and(|(_, ttl_s)| ttl_s != alive.ttl_s) && shown)
    }

    /// The lease that a node's sign of life is bound to, as the store has it: after a restart nothing else knows it.
    async fn stored_lease(&self, node: &NodeName) -> Result<Option<(LeaseId, u64)>> {
        let found = read(&*self.kv, &[keys::alive(node)]).await?;
        Ok(found.values[0].as_ref().filter(|kv| kv.lease != LeaseId(0)).and_then(|kv| {
            let alive = record::decode::<AliveRecord>(&kv.value).ok()?;
            Some((kv.lease, alive.record.ttl_s))
        }))
    }
}

fn put_alive(alive: &AliveRecord, lease: LeaseId) -> Op {
    let value: Bytes = record::encode(&Versioned::new(alive.clone()));
    Op::Put { key: keys::alive(&alive.node), value, lease }
}
