//! Taking back what was begun, and forgetting what is gone.
//!
//! A workload that was to take another's place gives it back: the other one is started again if it ran before, and what
//! both held is counted with it again in the transaction that forgets the newer one.

use super::{Cluster, Error, Result, execute::Current, execute::TakenOver, read::read, writer::Write};
use crate::{
    keys,
    record::{self, Placement, PlacementState},
};
use eru_kv::Op;
use eru_runtime::Error as RuntimeError;
use eru_types::{NodeName, WorkloadName};

impl Cluster {
    /// Takes back whatever there is of a placement; answers what could not be. That is left `removing` for recovery.
    pub(crate) async fn undo(&self, mut current: Current) -> Result<()> {
        let name = current.placement.name.clone();
        let undone = self.undo_steps(&mut current).await;
        if let Err(error) = &undone {
            tracing::warn!(workload = %name, node = %current.placement.node, %error, "not undone yet; recovery goes on with it");
        }
        undone
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
        self.give_place_back(&current.placement).await?;
        self.forget(current, Vec::new()).await?;
        self.fault("undo.gone").await;
        Ok(())
    }

    /// Starts again what a placement was to replace, if it ran before. An engine that refuses is no reason to go on trying:
    /// then it is like any other workload that ended.
    pub(crate) async fn give_place_back(&self, placement: &Placement) -> Result<()> {
        let Some(replaced) = placement.replaces.as_ref().filter(|replaced| replaced.ran) else { return Ok(()) };
        let Some(old) = self.stored(&placement.node, &replaced.name).await? else { return Ok(()) };
        let (Some(id), PlacementState::Running) = (&old.placement.engine_id, old.placement.state) else {
            return Ok(());
        };
        let engine = self.engine_of(&placement.node)?;
        let started = {
            let _slot = engine.slot().await;
            self.engine_call(engine.runtime.start(id)).await
        };
        match started {
            Err(error) if super::is_silence(&error) => return Err(error),
            Err(error) => {
                tracing::warn!(workload = %replaced.name, node = %placement.node, %error, "cannot be started again")
            }
            Ok(()) => {}
        }
        self.fault("undo.old_started").await;
        Ok(())
    }

    /// A placement as the store has it now.
    pub(crate) async fn stored(&self, node: &NodeName, name: &WorkloadName) -> Result<Option<Current>> {
        let found = read(&*self.kv, &[keys::placement(node, name)]).await?;
        let Some(kv) = found.values.into_iter().next().flatten() else { return Ok(None) };
        let placement = record::decode(&kv.value)
            .map_err(|error| Error::Internal(format!("workload {name}: its record does not decode: {error}")))?;
        Ok(Some(Current { placement, revision: kv.mod_revision }))
    }

    /// Has the engine remove it, found by id or by name; what is not there is no error.
    pub(crate) async fn remove_from_engine(&self, placement: &Placement, force: bool) -> Result<()> {
        let engine = self.engine_of(&placement.node)?;
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

    /// Removes placement, index and report in one transaction. What the workload was to replace holds its own again.
    pub(crate) async fn forget(&self, current: &Current, mut ops: Vec<Op>) -> Result<()> {
        let mut guards = vec![current.guard()];
        if let Some(replaced) = &current.placement.replaces
            && let Some(mut old) = self.stored(&current.placement.node, &replaced.name).await?
            && old.placement.successor.as_ref() == Some(&current.placement.name)
        {
            old.placement.successor = None;
            guards.push(old.guard());
            ops.push(Op::put(old.key(), record::encode(&old.placement)));
        }
        ops.push(Op::delete(current.key()));
        if let Some(id) = &current.placement.engine_id {
            ops.push(Op::delete(keys::index(id)));
            ops.push(Op::delete(keys::status(&current.placement.node, id)));
        }
        let written = self.tasks.writer.write(Write { guards, ops }).await?;
        written.map(drop).ok_or(TakenOver.into())
    }
}
