//! Removing: `removing` is written, the engine removes it, then placement, index and report go in one transaction.
//!
//! | the node | without force | with force |
//! | --- | --- | --- |
//! | answers, it does not run | removed | removed |
//! | answers, it runs | an error, nothing changed | ended and removed |
//! | does not answer, or is lost | an error, nothing changed | success: it stays `removing` until the node is back, then goes |

use super::{Cluster, Error, Result, execute::Current, fence::Owner, read::read, workload::distinct, writer::Write};
use crate::{
    cache::{NodeState, WorkloadFilter},
    keys,
    record::{self, PlacementState},
};
use eru_api::pb;
use eru_kv::{Guard, Op};
use eru_runtime::{Error as RuntimeError, State};
use eru_types::NodeName;
use futures::{StreamExt, stream};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Removals of one request at a time; the engines have bounds of their own.
const REMOVALS_MAX: usize = 256;
/// How often the check of `healthy_min` is repeated when another core removed something of the same owner meanwhile.
const CONFLICTS_MAX: u32 = 8;

/// What is to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveRequest {
    /// Engine ids.
    pub ids: Vec<String>,
    /// Running ones as well, and those whose node does not answer.
    pub force: bool,
    /// Only workloads of this owner, and only for its newest leader.
    pub owner: Option<Owner>,
    /// Only while so many other workloads of the owner are healthy; 0 = no check.
    pub healthy_min: u32,
}

impl RemoveRequest {
    /// Proves a request.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field.
    pub fn from_pb(options: &pb::RemoveWorkloadOptions) -> Result<Self> {
        let healthy_min = u32::try_from(options.healthy_min)
            .map_err(|_| Error::Invalid(format!("healthy_min must be 0 or more, got {}", options.healthy_min)))?;
        let owner = Owner::from_wire(&options.owner, options.owner_epoch)?;
        if healthy_min > 0 && owner.is_none() {
            return Err(Error::Invalid("healthy_min needs owner".into()));
        }
        Ok(Self { ids: distinct(&options.ids)?, force: options.force, owner, healthy_min })
    }
}

/// What became of one removal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveOutcome {
    /// The engine id, as it was asked for.
    pub id: String,
    /// Why it failed; empty = it is gone, or will be when its node is back.
    pub error: String,
}

impl Cluster {
    /// Removes workloads; one outcome for each, in the order in which they are done. It goes on when the caller leaves.
    ///
    /// # Errors
    /// [`Error::Precondition`] when the owner's epoch is old; what concerns one workload is in its outcome.
    pub async fn remove(self: &Arc<Self>, request: RemoveRequest) -> Result<mpsc::Receiver<RemoveOutcome>> {
        if let Some(owner) = &request.owner {
            self.tasks.fences.guard(&*self.kv, owner).await?;
        }
        let (outcomes, receiver) = mpsc::channel(request.ids.len().max(1));
        let (cluster, request) = (self.clone(), Arc::new(request));
        self.tasks.spawn(async move {
            let one = |id: String| {
                let (cluster, request) = (cluster.clone(), request.clone());
                async move {
                    let error = match cluster.remove_one(&id, &request).await {
                        Ok(()) => String::new(),
                        Err(error) => error.to_string(),
                    };
                    RemoveOutcome { id, error }
                }
            };
            let mut done = stream::iter(request.ids.clone()).map(one).buffer_unordered(REMOVALS_MAX);
            while let Some(outcome) = done.next().await {
                // A caller that left does not stop it.
                let _ = outcomes.send(outcome).await;
            }
        })?;
        Ok(receiver)
    }

    pub(super) async fn remove_one(&self, id: &str, request: &RemoveRequest) -> Result<()> {
        let (mut current, _held) = self.hold_workload(id).await?;
        current.check_owner(request.owner.as_ref())?;
        let before = current.placement.state;
        let reachable = self.is_reachable(&current.placement.node).await;
        if !request.force {
            if !reachable {
                return Err(unreachable(&current.placement.node));
            }
            self.check_stopped(&current).await?;
        }
        self.fault("remove.before_removing").await;
        self.mark_removing(&mut current, request).await?;
        self.fault("remove.removing").await;
        if !reachable {
            return Ok(());
        }
        match self.remove_from_engine(&current.placement, request.force).await {
            Ok(()) => self.finish_removal(&current).await,
            Err(error) if request.force => {
                tracing::info!(workload = %current.placement.name, %error, "removal waits for the node");
                if is_silence(&error) { Ok(()) } else { Err(error) }
            }
            Err(error) => {
                let mut next = current.placement.clone();
                next.state = before;
                self.advance(&mut current, next, Vec::new()).await?;
                Err(error)
            }
        }
    }

    /// What is left to do once the engine has removed it.
    pub(crate) async fn finish_removal(&self, current: &Current) -> Result<()> {
        self.fault("remove.engine_removed").await;
        self.give_place_back(&current.placement).await?;
        self.forget(current, Vec::new()).await?;
        self.fault("remove.gone").await;
        tracing::debug!(workload = %current.placement.name, node = %current.placement.node, "removed");
        Ok(())
    }

    /// Whether it makes sense to ask the engine of a node.
    pub(crate) async fn is_reachable(&self, node: &NodeName) -> bool {
        let Some(view) = self.cache.node(node) else { return false };
        if view.state() != NodeState::Lost {
            return true;
        }
        // A verdict may be made by hand (`workloads_down`) while the engine is there.
        match self.engines.open(&view.record.record) {
            Ok(engine) => engine.vouches(self.settings.connection_timeout).await,
            Err(_) => false,
        }
    }

    /// Whether the engine of a node answers, as far as a node that is held to be dead may answer.
    pub(crate) async fn answers(&self, node: &NodeName) -> bool {
        let Some(view) = self.cache.node(node) else { return false };
        let Ok(engine) = self.engines.open(&view.record.record) else { return false };
        if view.state() == NodeState::Lost {
            return engine.vouches(self.settings.connection_timeout).await;
        }
        matches!(tokio::time::timeout(self.settings.connection_timeout, engine.runtime.ping()).await, Ok(Ok(())))
    }

    /// Refuses a workload that runs.
    async fn check_stopped(&self, current: &Current) -> Result<()> {
        let Some(id) = &current.placement.engine_id else { return Ok(()) };
        let node = &current.placement.node;
        let view = self.cache.node(node).ok_or_else(|| Error::no_node(node))?;
        let engine = self.engines.open(&view.record.record)?;
        match self.engine_call(engine.runtime.inspect(id)).await {
            Ok(inspection) if inspection.state == State::Running => Err(RuntimeError::Running(id.clone()).into()),
            Ok(_) | Err(Error::Runtime(RuntimeError::NotFound(_))) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Writes `removing`, under the owner's fence and with its healthy workloads counted.
    async fn mark_removing(&self, current: &mut Current, request: &RemoveRequest) -> Result<()> {
        if current.placement.state == PlacementState::Removing {
            return Ok(());
        }
        let mut next = current.placement.clone();
        next.state = PlacementState::Removing;
        next.core.clone_from(&self.instance);
        let Some(owner) = &request.owner else { return self.advance(current, next, Vec::new()).await };
        // Two removals of one owner must not both count the other's workload.
        let _turn = match request.healthy_min {
            0 => None,
            _ => Some(self.tasks.owner_locks.acquire(owner.name.clone()).await),
        };
        for _ in 0..CONFLICTS_MAX {
            let fence = self.tasks.fences.guard(&*self.kv, owner).await?;
            let mut write = Write { guards: vec![current.guard(), fence], ops: Vec::new() };
            if request.healthy_min > 0 {
                self.count_healthy(current, request, owner, &mut write).await?;
            }
            write.ops.push(Op::put(current.key(), record::encode(&next)));
            if let Some(revision) = self.tasks.writer.write(write).await? {
                *current = Current { placement: next, revision };
                return Ok(());
            }
            self.tasks.fences.forget(owner);
            self.cache.linearizable().await?;
            let now = self.cache.workload_by_name(&current.placement.name).filter(|view| !view.removed);
            if now.is_none_or(|view| view.placement_revision != current.revision) {
                return Err(super::execute::TakenOver.into());
            }
        }
        Err(Error::Conflict(format!("other removals of owner \"{}\" came in between; try again", owner.name)))
    }

    /// Counts, and makes the write fail if another core removes something of the same owner at the same time: each such
    /// removal writes the owner's record once more as it is.
    async fn count_healthy(
        &self,
        current: &Current,
        request: &RemoveRequest,
        owner: &Owner,
        write: &mut Write,
    ) -> Result<()> {
        let key = keys::owner(&owner.name);
        let found = read(&*self.kv, std::slice::from_ref(&key)).await?.values.into_iter().next().flatten();
        match found {
            Some(kv) => {
                write.guards.push(Guard::ModRevision(key.clone(), kv.mod_revision));
                write.ops.push(Op::put(key, kv.value));
            }
            None => write.guards.push(Guard::Absent(key)),
        }
        self.cache.linearizable().await?;
        let filter = WorkloadFilter { owner: owner.name.clone(), ..WorkloadFilter::default() };
        let others = self.cache.workloads(&filter);
        let healthy = others.iter().filter(|view| {
            view.placement.name != current.placement.name
                && view.placement.state == PlacementState::Running
                && view.shown().healthy
        });
        let healthy = healthy.count();
        if healthy < request.healthy_min as usize {
            return Err(Error::Precondition(format!(
                "removing {} would leave {healthy} healthy workloads of owner \"{}\", healthy_min is {}",
                current.placement.name, owner.name, request.healthy_min
            )));
        }
        Ok(())
    }
}

fn unreachable(node: &NodeName) -> Error {
    Error::Precondition(format!(
        "node \"{node}\" is lost and cannot remove it now; with force it is removed as soon as the node is back"
    ))
}

/// Whether an engine did not answer, as opposed to having refused.
pub(crate) fn is_silence(error: &Error) -> bool {
    matches!(error, Error::Unavailable(_) | Error::Runtime(RuntimeError::Unavailable { .. }))
}
