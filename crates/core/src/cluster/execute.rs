//! From a committed placement to a running workload, or back to nothing.
//!
//! | step | written before it | if the core dies after it |
//! | --- | --- | --- |
//! | the engine has, or fetches, the image | `planned` | recovery undoes it; the image stays |
//! | the engine creates | `planned` | recovery finds it by name and undoes it |
//! | its files are put in | `planned` | recovery undoes it: the files are kept nowhere else |
//! | `created` and the index are written | - | recovery starts it |
//! | the engine starts | `created` | recovery starts it again, which is no error |
//! | its hooks are run inside | `created` | recovery runs all of them again: each runs at least once |
//! | `running` is written; of a replacement, the old one's `removing` with it | - | nothing, or the old one is removed |
//!
//! A step that fails is undone: `removing` is written, the engine removes what it has, and placement, index and report go
//! in one transaction. If the engine does not answer, `removing` stays, and recovery goes on when it does.

use super::{
    Cluster, DeployOutcome, Error, Result,
    create::create_request,
    engines::Engine,
    hook::{Hooks, Output, OutputRoom},
    needs,
    planner::Planned,
    read::read,
    writer::Write,
};
use crate::{
    keys,
    record::{self, IndexRecord, Placement, PlacementState, Versioned},
};
use bytes::Bytes;
use eru_kv::{Error as StoreError, Guard, Op, Revision};
use eru_runtime::SentFile;
use eru_types::EngineId;
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::OnceCell;

/// How often it is tried again to write that a replacement runs, when another core writes the old one in between.
const CONFLICTS_MAX: usize = 8;

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

/// What instances of one request on one node share, besides what their placements say.
#[derive(Default)]
pub(crate) struct Supplies {
    /// Files that each of them gets.
    pub(crate) files: Arc<[SentFile]>,
    /// What their hooks may say.
    output: OutputRoom,
    /// Whether the node has the image, found out once; or why not.
    image: OnceCell<Result<(), Arc<Error>>>,
}

impl Supplies {
    pub(crate) fn new(files: Arc<[SentFile]>, output: OutputRoom) -> Self {
        Self { files, output, image: OnceCell::new() }
    }
}

impl Cluster {
    /// Makes a committed placement run. The outcome is final: what failed is undone, or will be.
    pub(crate) async fn execute(self: &Arc<Self>, planned: Planned, supplies: &Supplies) -> DeployOutcome {
        let Planned { placement, revision, held } = planned;
        let mut current = Current { placement, revision };
        self.fault("deploy.planned").await;
        let outcome = self.make_or_undo(&mut current, supplies).await;
        drop(held);
        outcome
    }

    /// What is done with a placement that is written, by whoever holds its lock.
    pub(crate) async fn make_or_undo(self: &Arc<Self>, current: &mut Current, supplies: &Supplies) -> DeployOutcome {
        let mut output = Output::new(&supplies.output);
        let made = self.make(current, supplies, &mut output).await;
        let mut outcome = DeployOutcome { hook: output.into_bytes(), ..DeployOutcome::of(&current.placement) };
        match made {
            Ok(publish) => {
                outcome.publish = publish;
                self.fault("deploy.running").await;
            }
            Err(error) => {
                tracing::info!(workload = %current.placement.name, node = %current.placement.node, %error, "deploy failed");
                if !matches!(error, Error::Conflict(_)) {
                    // What is not undone now is said in the log, and is recovery's.
                    let _ = self.undo(current.clone()).await;
                }
                outcome = outcome.because(&error);
            }
        }
        outcome
    }

    async fn make(
        self: &Arc<Self>,
        current: &mut Current,
        supplies: &Supplies,
        output: &mut Output,
    ) -> Result<BTreeMap<String, String>> {
        let placement = &current.placement;
        let view = self.cache.node(&placement.node).ok_or_else(|| Error::no_node(&placement.node))?;
        let engine = self.engines.open(&view.record.record)?;
        if !view.record.runs_images
            && let Some(what) = needs::of_containers(&placement.spec, &placement.allotment, &supplies.files)
        {
            return Err(Error::Invalid(format!(
                "{what}: node {} runs plain commands, which have none",
                placement.node
            )));
        }
        let image = async {
            let ensured = self.ensure_image(&placement.node, &engine, &placement.spec.image).await;
            ensured.map_err(Arc::new)
        };
        if let Err(error) = supplies.image.get_or_init(async || image.await).await {
            return Err(again(error));
        }
        let request = create_request(placement, &view.record, &self.settings.docker);
        let id = {
            let _slot = engine.slot().await;
            self.engine_call(engine.runtime.create(&request)).await?
        };
        self.fault("deploy.engine_created").await;
        self.put_files(&engine, &id, &supplies.files).await?;
        self.fault("deploy.files_put").await;
        self.note_created(current, id).await?;
        self.fault("deploy.created").await;
        self.start_created(&engine, current, output).await
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

    /// Starts what was created, runs its hooks, and writes that it runs. What the hooks say is added to `output`.
    pub(crate) async fn start_created(
        &self,
        engine: &Engine,
        current: &mut Current,
        output: &mut Output,
    ) -> Result<BTreeMap<String, String>> {
        let id = current.placement.engine_id.clone();
        let id = id.ok_or_else(|| Error::Internal(format!("{} is created without an id", current.placement.name)))?;
        self.before_start(engine, &current.placement, &id).await?;
        {
            let _slot = engine.slot().await;
            self.engine_call(engine.runtime.start(&id)).await?;
        }
        self.fault("deploy.engine_started").await;
        let hooks = &current.placement.spec.hook;
        for (what, commands) in [("after_create", &hooks.after_create), ("after_start", &hooks.after_start)] {
            let hooks = Hooks { what, commands, force: hooks.force };
            self.run_hooks(engine, &current.placement, &id, hooks, output).await?;
        }
        self.fault("deploy.hooks_run").await;
        self.note_running(current).await?;
        self.publish(engine, &current.placement, &id).await
    }

    /// Writes that it runs. What it replaces is `removing` from the same moment on.
    async fn note_running(&self, current: &mut Current) -> Result<()> {
        let mut next = current.placement.clone();
        next.state = PlacementState::Running;
        let Some(replaced) = next.replaces.take() else { return self.advance(current, next, Vec::new()).await };
        for _ in 0..CONFLICTS_MAX {
            // It may have been removed or forgotten meanwhile, through another core.
            let old = self.stored(&next.node, &replaced.name).await?;
            let (mut guards, mut ops) = (Vec::new(), Vec::new());
            if let Some(mut old) = old {
                guards.push(old.guard());
                old.placement.state = PlacementState::Removing;
                old.placement.core.clone_from(&self.instance);
                ops.push(Op::put(old.key(), record::encode(&old.placement)));
            }
            match self.advance_guarded(current, next.clone(), guards, ops).await {
                Err(Error::Conflict(_)) => {
                    let ours = self.stored(&next.node, &next.name).await?;
                    if ours.is_none_or(|ours| ours.revision != current.revision) {
                        return Err(TakenOver.into());
                    }
                }
                outcome => return outcome,
            }
        }
        Err(Error::Unavailable(format!("workload {} is changed by others again and again", replaced.name)))
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
    pub(crate) async fn advance(&self, current: &mut Current, next: Versioned<Placement>, ops: Vec<Op>) -> Result<()> {
        self.advance_guarded(current, next, Vec::new(), ops).await
    }

    /// As [`Cluster::advance`], if `guards` hold as well.
    pub(crate) async fn advance_guarded(
        &self,
        current: &mut Current,
        next: Versioned<Placement>,
        mut guards: Vec<Guard>,
        mut ops: Vec<Op>,
    ) -> Result<()> {
        let value = record::encode(&next);
        guards.push(current.guard());
        ops.push(Op::put(current.key(), value.clone()));
        let written = match self.tasks.writer.write(Write { guards, ops }).await {
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

/// An error that several instances share, for one of them.
fn again(error: &Error) -> Error {
    if super::is_silence(error) {
        Error::Unavailable(error.to_string())
    } else {
        Error::Precondition(error.to_string())
    }
}

/// Whether a write may have happened, although the store did not say so.
fn is_undecided(error: &Error) -> bool {
    matches!(error, Error::Store(StoreError::Unavailable { maybe_done: true, .. }))
}
