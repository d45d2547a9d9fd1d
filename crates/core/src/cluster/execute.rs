//! From a committed placement to a running workload, or back to nothing.
//!
//! | step | written before it | if the core dies after it |
//! | --- | --- | --- |
//! | the engine creates | `planned` | recovery finds it by name and undoes it |
//! | `created` and the index are written | - | recovery starts it |
//! | the engine starts | `created` | recovery starts it again, which is no error |
//! | `running` is written | - | nothing is left to do |
//!
//! A step that fails is undone: `removing` is written, the engine removes what it has, and placement, index and report go
//! in one transaction. If the engine does not answer, `removing` stays, and recovery goes on when it does.

use super::{Cluster, Error, Result, engines::Engine, planner::Planned, read::read, writer::Write};
use crate::{
    keys,
    record::{self, IndexRecord, Placement, PlacementState, Versioned},
};
use bytes::Bytes;
use eru_kv::{Error as StoreError, Guard, Op, Revision};
use eru_runtime::{CreateRequest, Error as RuntimeError};
use eru_types::{EngineId, NodeName, Resources, WorkloadName};
use std::collections::BTreeMap;

/// What became of one instance of a deploy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeployOutcome {
    /// The workload's name; `None` when the instance was never placed.
    pub name: Option<WorkloadName>,
    /// Its pod.
    pub pod: String,
    /// Its node.
    pub node: Option<NodeName>,
    /// The engine's id; `None` when it failed.
    pub id: Option<EngineId>,
    /// What it takes.
    pub resources: Resources,
    /// Network name to `ip:port,ip:port`.
    pub publish: BTreeMap<String, String>,
    /// Why it failed; empty = it runs.
    pub error: String,
    /// The deploy.
    pub op_id: String,
}

impl DeployOutcome {
    /// Of an instance that was never placed.
    pub(crate) fn failed(error: impl Into<String>, op_id: &str) -> Self {
        Self { error: error.into(), op_id: op_id.to_owned(), ..Self::default() }
    }

    pub(crate) fn of(placement: &Placement) -> Self {
        Self {
            name: Some(placement.name.clone()),
            pod: placement.pod.to_string(),
            node: Some(placement.node.clone()),
            id: placement.engine_id.clone(),
            resources: placement.resources,
            publish: BTreeMap::new(),
            error: String::new(),
            op_id: placement.op_id.clone(),
        }
    }
}

/// A placement as it was last written.
#[derive(Debug, Clone)]
pub(crate) struct Current {
    pub(crate) placement: Versioned<Placement>,
    pub(crate) revision: Revision,
}

impl Current {
    pub(crate) fn key(&self) -> bytes::Bytes {
        keys::placement(&self.placement.node, &self.placement.name)
    }

    pub(crate) fn guard(&self) -> Guard {
        Guard::ModRevision(self.key(), self.revision)
    }
}

/// Somebody else wrote the placement: it is theirs now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("another core took the workload over")]
pub(crate) struct TakenOver;

impl From<TakenOver> for Error {
    fn from(taken: TakenOver) -> Self {
        Self::Conflict(taken.to_string())
    }
}

impl Cluster {
    /// Makes a committed placement run. The outcome is final: what failed is undone, or will be.
    pub(crate) async fn execute(&self, planned: Planned) -> DeployOutcome {
        let Planned { placement, revision, held } = planned;
        let mut current = Current { placement, revision };
        self.fault("deploy.planned").await;
        let made = self.make(&mut current).await;
        let mut outcome = DeployOutcome::of(&current.placement);
        match made {
            Ok(publish) => {
                outcome.publish = publish;
                self.fault("deploy.running").await;
            }
            Err(error) => {
                outcome.error = error.to_string();
                tracing::info!(workload = %current.placement.name, node = %current.placement.node, %error, "deploy failed");
                if !matches!(error, Error::Conflict(_)) {
                    self.undo(current).await;
                }
                outcome.id = None;
            }
        }
        drop(held);
        outcome
    }

    async fn make(&self, current: &mut Current) -> Result<BTreeMap<String, String>> {
        let node = &current.placement.node;
        let view = self.cache.node(node).ok_or_else(|| Error::no_node(node))?;
        let engine = self.engines.open(&view.record.record)?;
        let id = self.create(&engine, &current.placement).await?;
        self.fault("deploy.engine_created").await;
        self.note_created(current, id).await?;
        self.fault("deploy.created").await;
        self.start_created(&engine, current).await
    }

    /// Has the engine create it, or find it by its name.
    async fn create(&self, engine: &Engine, placement: &Placement) -> Result<EngineId> {
        let request = create_request(placement);
        let _slot = engine.slot().await;
        self.engine_call(engine.runtime.create(&request)).await
    }

    /// Writes that the engine has it, with the index from its id.
    pub(crate) async fn note_created(&self, current: &mut Current, id: EngineId) -> Result<()> {
        let placement = &current.placement;
        let index = IndexRecord { node: placement.node.clone(), name: placement.name.clone() };
        let index = Op::put(keys::index(&id), record::encode(&Versioned::new(index)));
        let mut next = placement.clone();
        next.state = PlacementState::Created;
        next.engine_id = Some(id);
        self.advance(current, next, vec![index]).await
    }

    /// Starts what was created, and writes that it runs.
    pub(crate) async fn start_created(
        &self,
        engine: &Engine,
        current: &mut Current,
    ) -> Result<BTreeMap<String, String>> {
        let id = current.placement.engine_id.clone();
        let id = id.ok_or_else(|| Error::Internal(format!("{} is created without an id", current.placement.name)))?;
        {
            let _slot = engine.slot().await;
            self.engine_call(engine.runtime.start(&id)).await?;
        }
        self.fault("deploy.engine_started").await;
        let mut next = current.placement.clone();
        next.state = PlacementState::Running;
        self.advance(current, next, Vec::new()).await?;
        self.publish(engine, &current.placement, &id).await
    }

    /// Where its ports are reached, as far as the engine knows now.
    async fn publish(&self, engine: &Engine, placement: &Placement, id: &EngineId) -> Result<BTreeMap<String, String>> {
        let ports = &placement.spec.publish;
        if ports.is_empty() {
            return Ok(BTreeMap::new());
        }
        // It runs, whatever the answer is: a workload that ended at once has no networks.
        let networks = match self.engine_call(engine.runtime.inspect(id)).await {
            Ok(inspection) => inspection.networks,
            Err(_) => BTreeMap::new(),
        };
        let all_ports = |ip: &String| ports.iter().map(|port| format!("{ip}:{port}")).collect::<Vec<_>>().join(",");
        Ok(networks.iter().filter(|(_, ip)| !ip.is_empty()).map(|(name, ip)| (name.clone(), all_ports(ip))).collect())
    }

    /// Writes the placement's next state, if nobody else wrote it since. A write that was not answered is looked for in the
    /// store: it may have happened.
    pub(crate) async fn advance(
        &self,
        current: &mut Current,
        next: Versioned<Placement>,
        mut ops: Vec<Op>,
    ) -> Result<()> {
        let value = record::encode(&next);
        ops.push(Op::put(current.key(), value.clone()));
        let written = match self.tasks.writer.write(Write { guards: vec![current.guard()], ops }).await {
            Err(error) if is_undecided(&error) => match self.written(&current.key(), &value).await {
                Some(revision) => Some(revision),
                None => return Err(error),
            },
            outcome => outcome?,
        };
        *current = Current { placement: next, revision: written.ok_or(TakenOver)? };
        Ok(())
    }

    /// The revision at which `key` got `value`, if it has it now.
    async fn written(&self, key: &Bytes, value: &Bytes) -> Option<Revision> {
        let found = read(&*self.kv, std::slice::from_ref(key)).await.ok()?;
        let kv = found.values.into_iter().next().flatten()?;
        (kv.value == value).then_some(kv.mod_revision)
    }

    /// Takes back whatever there is of a placement. What cannot be taken back now is left `removing` for recovery.
    pub(crate) async fn undo(&self, mut current: Current) {
        let name = current.placement.name.clone();
        if let Err(error) = self.undo_steps(&mut current).await {
            tracing::warn!(workload = %name, node = %current.placement.node, %error, "not undone yet; recovery goes on with it");
        }
    }

    async fn undo_steps(&self, current: &mut Current) -> Result<()> {
        if current.placement.state != PlacementState::Removing {
            let mut next = current.placement.clone();
            next.state = PlacementState::Removing;
            self.advance(current, next, Vec::new()).await?;
        }
        self.fault("undo.removing").await;
        self.remove_from_engine(&current.placement, true).await?;
        self.fault("undo.engine_removed").await;
        self.forget(current, Vec::new()).await?;
        self.fault("undo.gone").await;
        Ok(())
    }

    /// Has the engine remove it, found by id or by name; what is not there is no error.
    pub(crate) async fn remove_from_engine(&self, placement: &Placement, force: bool) -> Result<()> {
        let view = self.cache.node(&placement.node).ok_or_else(|| Error::no_node(&placement.node))?;
        let engine = self.engines.open(&view.record.record)?;
        let _slot = engine.slot().await;
        let id = match &placement.engine_id {
            Some(id) => Some(id.clone()),
            None => self.engine_call(engine.runtime.find(&placement.name)).await?,
        };
        let Some(id) = id else { return Ok(()) };
        match self.engine_call(engine.runtime.remove(&id, force)).await {
            Err(Error::Runtime(RuntimeError::NotFound(_))) => Ok(()),
            outcome => outcome,
        }
    }

    /// Removes placement, index and report in one transaction.
    pub(crate) async fn forget(&self, current: &Current, mut ops: Vec<Op>) -> Result<()> {
        ops.push(Op::delete(current.key()));
        if let Some(id) = &current.placement.engine_id {
            ops.push(Op::delete(keys::index(id)));
            ops.push(Op::delete(keys::status(&current.placement.node, id)));
        }
        let written = self.tasks.writer.write(Write { guards: vec![current.guard()], ops }).await?;
        written.map(drop).ok_or(TakenOver.into())
    }

    /// Bounds a call to an engine in time.
    pub(crate) async fn engine_call<T>(&self, call: impl Future<Output = eru_runtime::Result<T>>) -> Result<T> {
        let patience = self.settings.global_timeout;
        match tokio::time::timeout(patience, call).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Error::Unavailable(format!("the engine did not answer in {patience:?}"))),
        }
    }

    /// A place where this core may be made to die.
    pub(crate) async fn fault(&self, name: &'static str) {
        self.tasks.faults.point(name).await;
    }
}

/// Whether a write may have happened, although the store did not say so.
fn is_undecided(error: &Error) -> bool {
    matches!(error, Error::Store(StoreError::Unavailable { maybe_done: true, .. }))
}

/// What the engine is asked for.
pub(crate) fn create_request(placement: &Placement) -> CreateRequest {
    let spec = &placement.spec;
    let user = spec.env.iter().filter_map(|pair| pair.split_once('='));
    let ours = [
        ("APP_NAME", placement.app().to_string()),
        ("ERU_POD", placement.pod.to_string()),
        ("ERU_NODE_NAME", placement.node.to_string()),
        ("ERU_WORKLOAD_SEQ", placement.seq.to_string()),
        ("ERU_MEMORY", placement.resources.memory_limit.to_string()),
        ("ERU_STORAGE", placement.resources.storage_limit.to_string()),
    ];
    let env = user.map(|(name, value)| (name.to_owned(), value.to_owned()));
    CreateRequest {
        name: placement.name.clone(),
        labels: spec.labels.clone(),
        image: spec.image.clone(),
        command: spec.command.clone(),
        env: env.chain(ours.map(|(name, value)| (name.to_owned(), value))).collect(),
        dir: spec.dir.clone(),
        user: spec.user.clone(),
        resources: placement.resources,
        allotment: placement.allotment.clone(),
        networks: spec.networks.clone(),
        publish: spec.publish.iter().filter_map(|port| port.parse().ok()).collect(),
        restart: spec.restart.clone(),
        privileged: spec.privileged,
        extras: spec.extras.clone(),
    }
}
