//! One replacement, step by step.

use super::{ReplaceOutcome, ReplaceRequest};
use crate::{
    cluster::{
        Cluster, Error, Result,
        control::STOP_GRACE,
        engines::Engine,
        execute::{Current, Supplies},
        files::COPIED_BYTES_MAX,
        hook::{Hooks, Output, OutputRoom},
        needs,
        pool::Kept,
        remove::RemoveOutcome,
    },
    record::{NodeRecord, Placement, PlacementState},
};
use eru_runtime::{SentFile, State};
use eru_types::EngineId;
use std::{collections::BTreeMap, sync::Arc};

/// What a file takes in an archive besides its contents, in bytes: a header, and what fills its last block.
const ENTRY_BYTES: usize = 1024;
/// Networks of an engine whose addresses it chooses itself: one that is inherited there gets a new address.
const NETWORKS_WITHOUT_CHOICE: [&str; 4] = ["bridge", "host", "none", "loopback"];

impl Cluster {
    /// Replaces one; `None` = it is in another pod than the one that is meant.
    pub(super) async fn replace_one(
        self: &Arc<Self>,
        id: &str,
        seq: usize,
        request: &ReplaceRequest,
        room: &OutputRoom,
    ) -> Option<ReplaceOutcome> {
        let mut outcome = ReplaceOutcome {
            create: None,
            remove: RemoveOutcome { id: id.to_owned(), error: String::new() },
            hook: Vec::new(),
            error: String::new(),
        };
        let replaced = match self.hold_workload(id).await {
            Err(error) => Err(error),
            Ok((old, held)) => {
                if request.deploy.filter.pod.as_ref().is_some_and(|pod| *pod != old.placement.pod) {
                    return None;
                }
                let replaced = self.replace_held(old, seq, request, room, &mut outcome).await;
                drop(held);
                replaced
            }
        };
        if let Err(error) = replaced {
            tracing::info!(workload = id, %error, "replacement failed");
            outcome.error = error.to_string();
            outcome.remove.error.clone_from(&outcome.error);
        }
        Some(outcome)
    }

    async fn replace_held(
        self: &Arc<Self>,
        mut old: Current,
        seq: usize,
        request: &ReplaceRequest,
        room: &OutputRoom,
        outcome: &mut ReplaceOutcome,
    ) -> Result<()> {
        let node = self.cache.node(&old.placement.node).ok_or_else(|| Error::no_node(&old.placement.node))?;
        let id = self.check_replaceable(&old, &node.record, request)?;
        let engine = self.engines.open(&node.record.record)?;
        let before = self.engine_call(engine.runtime.inspect(&id)).await?;
        let mut deploy = request.deploy.clone();
        if request.inherits_networks {
            if before.state != State::Running {
                let text = format!("Not Support: workload {id} is not running, can not inherit");
                return Err(Error::Precondition(text));
            }
            deploy.spec.networks = inherited(before.networks);
        }
        let (files, kept) = self.files_of(&engine, &id, request).await?;
        self.ensure_image(&old.placement.node, &engine, &deploy.spec.image).await?;
        self.fault("replace.before_commit").await;
        let (name, held) = self.fresh_name(&deploy);
        let ran = before.state == State::Running;
        let mut new = self.plan_replacement(&mut old, name, seq, &deploy, ran).await?;
        self.fault("replace.planned").await;
        let mut output = Output::new(room);
        let with_hooks = ran && !deploy.ignores_hook;
        let stopped = self.stop_old(&engine, &old.placement, &id, with_hooks, &mut output).await;
        outcome.hook = output.into_bytes();
        if let Err(error) = stopped {
            // Of the new one there is only the plan.
            self.undo(new).await?;
            return Err(error);
        }
        self.fault("replace.stopped").await;
        let supplies = Supplies::new(files.into(), room.clone());
        let made = self.make_or_undo(&mut new, &supplies).await;
        drop((supplies, kept));
        let failed = made.error.clone();
        outcome.create = Some(made);
        if !failed.is_empty() {
            let text = match ran && !self.runs(&engine, &id).await {
                true => format!("{failed}; and {} does not run again yet", old.placement.name),
                false => failed,
            };
            return Err(Error::Precondition(text));
        }
        drop(held);
        self.fault("replace.running").await;
        self.remove_old(&old).await
    }

    /// Refuses what cannot be replaced, or not by this, before anything is done.
    fn check_replaceable(&self, old: &Current, node: &NodeRecord, request: &ReplaceRequest) -> Result<EngineId> {
        let placement = &old.placement;
        old.check_owner(request.deploy.owner.as_ref())?;
        if !placement.spec.labels.contains_all(&request.labels) {
            return Err(Error::Precondition("not fit labels".into()));
        }
        let id = match (&placement.engine_id, placement.state) {
            (Some(id), PlacementState::Running) => id.clone(),
            _ => return Err(Error::Precondition(format!("workload {} is being made or removed", placement.name))),
        };
        let (image, spec) = (&request.deploy.spec.image, &request.deploy.spec);
        let fits = if image.is_empty() { node.runs_commands } else { node.runs_images };
        if !fits {
            let what = if image.is_empty() { "plain commands" } else { "images" };
            return Err(Error::Invalid(format!("image: node {} runs no {what}", node.name)));
        }
        let needs = || needs::of_containers(spec, &placement.allotment, &request.deploy.files);
        match needs().filter(|_| !node.runs_images) {
            Some(what) => {
                Err(Error::Invalid(format!("{what}: node {} runs plain commands, which have none", node.name)))
            }
            None => Ok(id),
        }
    }

    /// The files that the new one gets: those of the request, and what is copied out of the old one, with the right to keep
    /// that in memory.
    async fn files_of(
        &self,
        engine: &Engine,
        id: &EngineId,
        request: &ReplaceRequest,
    ) -> Result<(Vec<SentFile>, Option<Kept>)> {
        let mut files = request.deploy.files.to_vec();
        if request.copy.is_empty() {
            return Ok((files, None));
        }
        let mut kept = self.pools.kept.enter().await;
        let mut room = COPIED_BYTES_MAX;
        for (source, destination) in &request.copy {
            let taken = self.take_files(engine, id, source, destination, room).await?;
            room = room.saturating_sub(taken.iter().map(|file| file.data.len() + ENTRY_BYTES).sum());
            files.extend(taken);
        }
        kept.shrink(COPIED_BYTES_MAX - room);
        Ok((files, Some(kept)))
    }

    /// Stops the old one, after its hooks.
    async fn stop_old(
        &self,
        engine: &Engine,
        placement: &Placement,
        id: &EngineId,
        with_hooks: bool,
        output: &mut Output,
    ) -> Result<()> {
        if with_hooks {
            let hook = &placement.spec.hook;
            let hooks = Hooks { what: "before_stop", commands: &hook.before_stop, force: hook.force };
            self.run_hooks(engine, placement, id, hooks, output).await?;
        }
        let _slot = engine.slot().await;
        self.engine_call(engine.runtime.stop(id, STOP_GRACE)).await
    }

    async fn runs(&self, engine: &Engine, id: &EngineId) -> bool {
        let inspected = self.engine_call(engine.runtime.inspect(id)).await;
        inspected.is_ok_and(|inspection| inspection.state == State::Running)
    }

    /// Removes the old one, which is `removing` since the new one runs. What cannot be removed now is recovery's.
    async fn remove_old(&self, old: &Current) -> Result<()> {
        let left = |error: Error| {
            let name = &old.placement.name;
            Error::Unavailable(format!("the new one runs, and {name} is stopped but not removed yet: {error}"))
        };
        let stored = self.stored(&old.placement.node, &old.placement.name).await.map_err(left)?;
        let Some(old) = stored else { return Ok(()) };
        self.remove_from_engine(&old.placement, true).await.map_err(left)?;
        self.finish_removal(&old).await.map_err(left)
    }
}

/// Networks as they are to be asked for again.
fn inherited(networks: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let again = |(name, address): (String, String)| {
        let chosen = NETWORKS_WITHOUT_CHOICE.contains(&name.as_str());
        (name, if chosen { String::new() } else { address })
    };
    networks.into_iter().map(again).collect()
}
