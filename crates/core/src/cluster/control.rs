//! Starting, stopping and restarting workloads that are there.

use super::{
    Cluster, Error, Result,
    fence::Owner,
    hook::{Hooks, Output, OutputRoom},
    workload::distinct,
};
use crate::record::PlacementState;
use eru_api::pb;
use futures::{StreamExt, stream};
use std::{sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// How long a workload may take to end after it was asked to, as Docker has it.
pub const STOP_GRACE: Duration = Duration::from_secs(10);

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Stop it, then start it.
    Restart,
}

/// What is to be done, with which workloads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlRequest {
    /// Engine ids.
    pub ids: Vec<String>,
    /// What; `None` = a word that nobody knows, which is an error of each workload as in the original.
    pub control: Option<Control>,
    /// Do not wait for a graceful end.
    pub force: bool,
    /// Only workloads of this owner, and only for its newest leader.
    pub owner: Option<Owner>,
}

impl ControlRequest {
    /// Proves a request.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field.
    pub fn from_pb(options: &pb::ControlWorkloadOptions) -> Result<Self> {
        let control = match options.r#type.as_str() {
            "start" => Some(Control::Start),
            "stop" => Some(Control::Stop),
            "restart" => Some(Control::Restart),
            _ => None,
        };
        let owner = Owner::from_wire(&options.owner, options.owner_epoch)?;
        Ok(Self { ids: distinct(&options.ids)?, control, force: options.force, owner })
    }
}

/// What became of one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlOutcome {
    /// The engine id, as it was asked for.
    pub id: String,
    /// What its hooks said.
    pub hook: Vec<u8>,
    /// Why it failed; empty = done.
    pub error: String,
}

impl Cluster {
    /// Starts, stops or restarts; one outcome for each workload, in the order in which they are done. It goes on when the
    /// caller leaves.
    ///
    /// # Errors
    /// [`Error::Precondition`] when the owner's epoch is old; what concerns one workload is in its outcome.
    pub async fn control(self: &Arc<Self>, request: ControlRequest) -> Result<mpsc::Receiver<ControlOutcome>> {
        if let Some(owner) = &request.owner {
            self.tasks.fences.check(&*self.kv, owner).await?;
        }
        let (outcomes, receiver) = mpsc::channel(request.ids.len().max(1));
        let (cluster, request) = (self.clone(), Arc::new(request));
        let at_a_time = self.settings.max_concurrency.max(1);
        self.tasks.spawn(async move {
            let room = OutputRoom::default();
            let one = |id: String| {
                let (cluster, request, mut output) = (cluster.clone(), request.clone(), Output::new(&room));
                async move {
                    let error = match cluster.control_one(&id, &request, &mut output).await {
                        Ok(()) => String::new(),
                        Err(error) => error.to_string(),
                    };
                    ControlOutcome { id, hook: output.into_bytes(), error }
                }
            };
            let mut done = stream::iter(request.ids.clone()).map(one).buffer_unordered(at_a_time);
            while let Some(outcome) = done.next().await {
                // A caller that left does not stop it.
                let _ = outcomes.send(outcome).await;
            }
        })?;
        Ok(receiver)
    }

    async fn control_one(&self, id: &str, request: &ControlRequest, output: &mut Output) -> Result<()> {
        let control = request.control.ok_or_else(|| Error::Invalid("Unknown control type".into()))?;
        let (current, _held) = self.hold_workload(id).await?;
        current.check_owner(request.owner.as_ref())?;
        if let Some(owner) = &request.owner {
            // Waiting for the lock may have taken long, and nothing is written that a guard could be put on.
            self.tasks.fences.check(&*self.kv, owner).await?;
        }
        let placement = &current.placement;
        if placement.state == PlacementState::Removing {
            return Err(Error::Precondition(format!("workload {} is being removed", placement.name)));
        }
        let id = placement.engine_id.as_ref().ok_or_else(|| Error::no_workload(id))?;
        let engine = self.engine_of(&placement.node)?;
        let grace = if request.force { Duration::ZERO } else { STOP_GRACE };
        let hook = &placement.spec.hook;
        let hooks = |what, commands| Hooks { what, commands, force: hook.force && !request.force };
        if control != Control::Start {
            self.run_hooks(&engine, placement, id, hooks("before_stop", &hook.before_stop), output).await?;
            let _slot = engine.slot().await;
            self.engine_call(engine.runtime.stop(id, grace)).await?;
        }
        if control != Control::Stop {
            {
                let _slot = engine.slot().await;
                self.engine_call(engine.runtime.start(id)).await?;
            }
            self.run_hooks(&engine, placement, id, hooks("after_start", &hook.after_start), output).await?;
        }
        Ok(())
    }
}
