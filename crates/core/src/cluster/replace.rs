//! Replacing workloads one for one, on the node and with the resources that they have.
//!
//! | step | written before it | if the core dies after it |
//! | --- | --- | --- |
//! | the image is there, files are copied out of the old one | - | nothing was done |
//! | - | the new one's `planned` and the old one's `successor`, in one transaction | undone: the old one is started again |
//! | the old one is stopped, after its hooks | so | undone: the old one is started again |
//! | the new one is made as any other is | so | undone or finished as any other is; undone = the old one is started again |
//! | - | the new one's `running` and the old one's `removing`, in one transaction | the old one is removed |
//! | the old one is removed | so | recovery forgets it |
//!
//! # Invariants
//! - The resources of the two are counted once: a placement with a `successor` counts nothing, the successor counts them.
//!   So a replacement needs no free room, and the sum of a node does not change with any of the transactions above, nor
//!   with the one that takes the new one back ([`Cluster::forget`]): none of them has to raise the node's version.
//! - An old workload is only gone once its replacement runs.

use super::{
    Cluster, Error, Result,
    control::STOP_GRACE,
    deploy::check_size,
    engines::Engine,
    execute::{Current, DeployOutcome, Supplies, TakenOver},
    fence::Owner,
    files::COPIED_BYTES_MAX,
    hook::Hooks,
    needs, now_ms,
    remove::RemoveOutcome,
    request::{DeployRequest, file_path},
    workload::distinct,
    writer::Write,
};
use crate::{
    cache::WorkloadFilter,
    keys,
    record::{self, NodeRecord, Placement, PlacementState, Replaced, Versioned},
};
use eru_api::pb;
use eru_kv::{Guard, Op};
use eru_runtime::{SentFile, State};
use eru_types::{
    EngineId, Ident, Labels, WorkloadName,
    labels::{COREID, ERU, NODENAME},
};
use futures::{StreamExt, stream};
use rand::{Rng, distr::Alphabetic};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::mpsc;

/// Most paths copied from an old workload to its replacement.
const COPIES_LEN_MAX: usize = 100;
/// Letters that make a workload's name unique.
const IDENT_LEN: usize = 6;
/// Networks of an engine whose addresses it chooses itself: one that is inherited there gets a new address.
const NETWORKS_WITHOUT_CHOICE: [&str; 4] = ["bridge", "host", "none", "loopback"];

/// What is to be replaced, and by what.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplaceRequest {
    /// The replacement. Its count is the number of workloads that are replaced at a time.
    pub deploy: DeployRequest,
    /// Engine ids; empty = all of the replacement's app and entrypoint, on its nodes.
    pub ids: Vec<String>,
    /// The replacement takes over the networks of the old one.
    pub inherits_networks: bool,
    /// Only workloads that have all of them.
    pub labels: Labels,
    /// Files to be copied: source to destination.
    pub copy: BTreeMap<String, String>,
}

impl ReplaceRequest {
    /// Proves a request.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field.
    pub fn from_pb(options: &pb::ReplaceOptions) -> Result<Self> {
        let Some(deploy) = &options.deploy_opt else { return Err(Error::Invalid("No deploy options".into())) };
        if options.copy.len() > COPIES_LEN_MAX {
            return Err(Error::Invalid(format!("copy: {} paths (at most {COPIES_LEN_MAX})", options.copy.len())));
        }
        for (source, destination) in &options.copy {
            file_path("copy", source)?;
            file_path("copy", destination)?;
        }
        Ok(Self {
            deploy: DeployRequest::for_replace(deploy)?,
            ids: if options.ids.is_empty() { Vec::new() } else { distinct(&options.ids)? },
            inherits_networks: options.networkinherit,
            labels: Labels::new(options.filter_labels.clone())?,
            copy: options.copy.clone(),
        })
    }
}

/// What became of one replacement.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplaceOutcome {
    /// The new workload, if it came to that.
    pub create: Option<DeployOutcome>,
    /// The old one, and what its hooks said.
    pub remove: RemoveOutcome,
    /// What the hooks of the old one said.
    pub hook: Vec<u8>,
    /// Why it failed; empty = done.
    pub error: String,
}

impl Cluster {
    /// Replaces workloads; one outcome for each, in the order in which they are done. It goes on when the caller leaves.
    /// Workloads of another pod than the one that is asked for are left out.
    ///
    /// # Errors
    /// [`Error::Precondition`] when the owner's epoch is old; what concerns one workload is in its outcome.
    pub async fn replace(self: &Arc<Self>, mut request: ReplaceRequest) -> Result<mpsc::Receiver<ReplaceOutcome>> {
        if let Some(owner) = &request.deploy.owner {
            self.tasks.fences.check(&*self.kv, owner).await?;
        }
        self.settle_log(&mut request.deploy);
        check_size(&request.deploy, &self.core_id, &self.instance)?;
        if request.ids.is_empty() {
            request.ids = self.all_of(&request.deploy);
        }
        let at_a_time =
            request.deploy.count.min(u32::try_from(self.settings.max_concurrency).unwrap_or(u32::MAX)).max(1);
        let room = self.tasks.room(at_a_time).await;
        let (outcomes, receiver) = mpsc::channel(request.ids.len().max(1));
        let (cluster, request) = (self.clone(), Arc::new(request));
        self.tasks.spawn(async move {
            let one = |(seq, id): (usize, String)| {
                let (cluster, request) = (cluster.clone(), request.clone());
                async move { cluster.replace_one(&id, seq, &request).await }
            };
            let ids = request.ids.clone().into_iter().enumerate();
            let mut done = stream::iter(ids).map(one).buffer_unordered(at_a_time as usize);
            while let Some(outcome) = done.next().await {
                // A caller that left does not stop it.
                let Some(outcome) = outcome else { continue };
                let _ = outcomes.send(outcome).await;
            }
            drop(room);
        })?;
        Ok(receiver)
    }

    /// The workloads that a request means that names none.
    fn all_of(&self, request: &DeployRequest) -> Vec<String> {
        let filter = WorkloadFilter {
            app: Some(request.app.clone()),
            entrypoint: Some(request.entrypoint.clone()),
            pod: request.filter.pod.clone(),
            ..WorkloadFilter::default()
        };
        let nodes = &request.filter.includes;
        let meant = self.cache.workloads(&filter).into_iter().filter(|view| {
            view.placement.state == PlacementState::Running
                && (nodes.is_empty() || nodes.contains(&view.placement.node))
                && !request.filter.excludes.contains(&view.placement.node)
        });
        let mut ids: Vec<String> = meant.filter_map(|view| view.id().map(ToString::to_string)).collect();
        ids.sort_unstable();
        ids
    }

    /// Replaces one; `None` = it is in another pod than the one that is meant.
    async fn replace_one(self: &Arc<Self>, id: &str, seq: usize, request: &ReplaceRequest) -> Option<ReplaceOutcome> {
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
                let replaced = self.replace_held(old, seq, request, &mut outcome).await;
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
        let files = self.files_of(&engine, &id, request).await?;
        self.ensure_image(&old.placement.node, &engine, &deploy.spec.image).await?;
        self.fault("replace.before_commit").await;
        let (name, held) = self.fresh_name(&deploy);
        let ran = before.state == State::Running;
        let mut new = self.plan_replacement(&mut old, name, seq, &deploy, ran).await?;
        self.fault("replace.planned").await;
        if let Err(error) =
            self.stop_old(&engine, &old.placement, &id, ran && !deploy.ignores_hook, &mut outcome.hook).await
        {
            // Of the new one there is only the plan.
            self.undo(new).await?;
            return Err(error);
        }
        self.fault("replace.stopped").await;
        let supplies = Supplies::new(files.into());
        let made = self.make_or_undo(&mut new, &supplies).await;
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

    /// The files that the new one gets: those of the request, and what is copied out of the old one.
    async fn files_of(&self, engine: &Engine, id: &EngineId, request: &ReplaceRequest) -> Result<Vec<SentFile>> {
        let mut files = request.deploy.files.to_vec();
        let mut room = COPIED_BYTES_MAX;
        for (source, destination) in &request.copy {
            let taken = self.take_files(engine, id, source, destination, room).await?;
            room = room.saturating_sub(taken.iter().map(|file| file.data.len()).sum());
            files.extend(taken);
        }
        Ok(files)
    }

    /// Writes the new one, and that it is to take the old one's place.
    async fn plan_replacement(
        &self,
        old: &mut Current,
        name: WorkloadName,
        seq: usize,
        deploy: &DeployRequest,
        ran: bool,
    ) -> Result<Current> {
        let mut spec = deploy.spec.clone();
        spec.labels.set(ERU, "1");
        spec.labels.set(NODENAME, old.placement.node.as_str());
        spec.labels.set(COREID, self.core_id.as_str());
        let new = Versioned::new(Placement {
            name: name.clone(),
            pod: old.placement.pod.clone(),
            node: old.placement.node.clone(),
            state: PlacementState::Planned,
            resources: old.placement.resources,
            allotment: old.placement.allotment.clone(),
            spec,
            engine_id: None,
            core: self.instance.clone(),
            op_id: String::new(),
            seq: u32::try_from(seq).unwrap_or(u32::MAX),
            owner: deploy.owner.as_ref().map(|owner| owner.name.clone()).unwrap_or_default(),
            created_at_ms: now_ms(),
            replaces: Some(Replaced { name: old.placement.name.clone(), ran }),
            successor: None,
        });
        let mut lent = old.placement.clone();
        lent.successor = Some(name.clone());
        let key = keys::placement(&new.node, &name);
        let mut guards = vec![old.guard(), Guard::Absent(key.clone())];
        if let Some(owner) = &deploy.owner {
            guards.push(self.tasks.fences.guard(&*self.kv, owner).await?);
        }
        let ops = vec![Op::put(key, record::encode(&new)), Op::put(old.key(), record::encode(&lent))];
        match self.tasks.writer.write(Write { guards, ops }).await? {
            Some(revision) => {
                *old = Current { placement: lent, revision };
                Ok(Current { placement: new, revision })
            }
            None => {
                deploy.owner.iter().for_each(|owner: &Owner| self.tasks.fences.forget(owner));
                Err(TakenOver.into())
            }
        }
    }

    /// Stops the old one, after its hooks.
    async fn stop_old(
        &self,
        engine: &Engine,
        placement: &Placement,
        id: &EngineId,
        with_hooks: bool,
        output: &mut Vec<u8>,
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

    /// A name that nobody has, with its lock.
    fn fresh_name(&self, deploy: &DeployRequest) -> (WorkloadName, super::locks::Held) {
        loop {
            let ident: String = rand::rng().sample_iter(Alphabetic).take(IDENT_LEN).map(char::from).collect();
            let name = WorkloadName {
                app: deploy.app.clone(),
                entrypoint: deploy.entrypoint.clone(),
                ident: Ident::new(ident).expect("six letters are an ident"),
            };
            if self.cache.workload_by_name(&name).is_none()
                && let Some(held) = self.tasks.locks.try_acquire(name.to_string())
            {
                return (name, held);
            }
        }
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
