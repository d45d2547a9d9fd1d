//! Deploying: checked, planned, committed, executed; one message for each instance.
//!
//! A client that leaves before its deploy was committed stops it. After that it is carried out: the instances are there,
//! and half of them would be worse than all.

mod repeat;

use super::{
    Cluster, DeployOutcome, Error, Result,
    execute::Supplies,
    hook::OutputRoom,
    needs,
    planner::{Answer, Job, Planned},
    request::{DeployRequest, Spread},
};
use crate::record::{self, OpRecord, Placement, PlacementState, Versioned};
use eru_scheduler::{Content, Strategy};
use eru_types::{
    Ident, NodeName,
    limits::{DEPLOY_COUNT_MAX, RECORD_BYTES_MAX},
};
use futures::{StreamExt, stream};
use std::{collections::BTreeMap, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

impl Cluster {
    /// Deploys. The receiver yields one outcome for each instance, in the order in which they are done, or a single one
    /// with an error when the whole deploy does not fit.
    ///
    /// # Errors
    /// Whatever is wrong with the request itself, or with the store.
    ///
    /// # Cancel safety
    /// Dropping the future stops a deploy that is not committed yet, and no other.
    pub async fn deploy(self: &Arc<Self>, mut request: DeployRequest) -> Result<mpsc::Receiver<DeployOutcome>> {
        let Spread::By(strategy) = request.spread else {
            return Err(Error::Invalid("deploy method not support yet".into()));
        };
        self.check_content(&request).await?;
        self.settle_log(&mut request);
        check_size(&request, &self.core_id, &self.instance)?;
        let outcomes_max = match strategy {
            Strategy::Auto | Strategy::Global | Strategy::Drained => request.count,
            Strategy::Each | Strategy::Fill => DEPLOY_COUNT_MAX,
        };
        let room = self.tasks.room(outcomes_max).await;
        // There is room for every outcome, so that no instance waits for a client that reads slowly.
        let (outcomes, receiver) = mpsc::channel(outcomes_max as usize);
        let (begun, beginning) = oneshot::channel();
        let gone = CancellationToken::new();
        let leaving = gone.clone().drop_guard();
        let deploy = Deploy { cluster: self.clone(), request: Arc::new(request), strategy, gone, outcomes, room };
        self.tasks.spawn(deploy.run(begun))?;
        let begun = beginning.await.map_err(|_| Error::Unavailable("the core is stopping".into()))?;
        leaving.disarm();
        begun.map(|()| receiver)
    }

    /// Refuses a pod that is not there, and a deploy without an image to a pod where every node wants one.
    async fn check_content(&self, request: &DeployRequest) -> Result<()> {
        let Some(pod) = &request.filter.pod else { return Ok(()) };
        self.check_pod(pod).await?;
        if request.content == Content::Command {
            let nodes = self.cache.nodes(Some(pod));
            let mut takers = nodes.iter().filter(|node| node.record.runs_commands).peekable();
            if takers.peek().is_some()
                && takers.all(|node| !node.record.runs_images)
                && let Some(what) = needs::of_containers(&request.spec, &request.allotment, &request.files)
            {
                return Err(Error::Invalid(format!(
                    "{what}: the nodes of pod \"{pod}\" run plain commands, which have none"
                )));
            }
            if !nodes.iter().any(|node| node.record.runs_commands) {
                return Err(Error::Invalid(format!(
                    "image is empty: none of the {} nodes of pod \"{pod}\" runs plain commands",
                    nodes.len()
                )));
            }
        }
        Ok(())
    }

    /// Where the output of a workload goes that is deployed for debugging.
    pub(crate) fn settle_log(&self, request: &mut DeployRequest) {
        if request.debug && request.content == Content::Image {
            let (docker, extras) = (&self.settings.docker, &mut request.spec.extras);
            extras.log_driver.clone_from(&docker.log_type);
            extras.log_options.extend(docker.log_config.clone());
        }
    }
}

/// Refuses a record that the store would not take, before anything is done.
pub(crate) fn check_size(request: &DeployRequest, core_id: &str, instance: &str) -> Result<()> {
    let longest = |what: &str| -> Result<NodeName> {
        NodeName::new("n".repeat(63)).map_err(|e| Error::Internal(format!("{what}: {e}")))
    };
    let node = longest("sample node")?;
    let mut spec = request.spec.clone();
    spec.labels.set(eru_types::labels::NODENAME, node.as_str());
    spec.labels.set(eru_types::labels::COREID, core_id);
    let sample = Placement {
        name: eru_types::WorkloadName {
            app: request.app.clone(),
            entrypoint: request.entrypoint.clone(),
            ident: Ident::new("aaaaaa").expect("six letters are an ident"),
        },
        pod: eru_types::PodName::new(node.as_str())?,
        node,
        state: PlacementState::Removing,
        resources: request.resources,
        allotment: request.allotment.clone(),
        spec,
        engine_id: eru_types::EngineId::new("e".repeat(128)).ok(),
        core: instance.to_owned(),
        op_id: request.op_id.clone(),
        seq: u32::MAX,
        owner: request.owner.as_ref().map(|owner| owner.name.clone()).unwrap_or_default(),
        created_at_ms: i64::MAX,
        replaces: None,
        successor: None,
    };
    let bytes = record::encode(&Versioned::new(sample)).len();
    if bytes > RECORD_BYTES_MAX {
        return Err(Error::Invalid(format!(
            "workload record would be {bytes} bytes (at most {RECORD_BYTES_MAX}); shorten command, env or labels"
        )));
    }
    Ok(())
}

/// Says of an op id that it is somebody else's.
pub(crate) fn another_request(op_id: &str, op: &OpRecord) -> Error {
    let OpRecord { count, entrypoint, app, .. } = op;
    Error::Precondition(format!("op_id \"{op_id}\" was used for another request, of {count} {entrypoint} of app {app}"))
}

/// A deploy that goes on without its client.
struct Deploy {
    cluster: Arc<Cluster>,
    request: Arc<DeployRequest>,
    strategy: Strategy,
    gone: CancellationToken,
    outcomes: mpsc::Sender<DeployOutcome>,
    room: OwnedSemaphorePermit,
}

impl Deploy {
    async fn run(mut self, begun: oneshot::Sender<Result<()>>) {
        let answer = self.plan().await;
        let begun = |outcome| {
            // A client that left does not want to know.
            let _ = begun.send(outcome);
        };
        match answer {
            Err(error) => begun(Err(error)),
            Ok(Answer::Dropped) => begun(Err(Error::Unavailable("the client left before its deploy was begun".into()))),
            Ok(Answer::Refused(refusal)) => {
                begun(Ok(()));
                self.tell(DeployOutcome::refused(&refusal, &self.request.op_id)).await;
            }
            Ok(Answer::Known(op)) => {
                // Nothing is made for it, so it takes no room.
                drop(self.room.split(self.room.num_permits()));
                match self.settled(op).await {
                    Err(error) => begun(Err(error)),
                    Ok(op) => {
                        begun(Ok(()));
                        self.repeat(&op).await;
                    }
                }
            }
            Ok(Answer::Placed { planned, failed }) => {
                begun(Ok(()));
                for error in failed {
                    self.tell(DeployOutcome::failed(error, &self.request.op_id)).await;
                }
                self.execute(planned).await;
            }
        }
    }

    async fn plan(&self) -> Result<Answer> {
        let (reply, answer) = oneshot::channel();
        let job = Job { request: self.request.clone(), strategy: self.strategy, gone: self.gone.clone(), reply };
        let stopping = || Error::Unavailable("the core is stopping".into());
        self.cluster.tasks.plans.send(job).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }

    async fn tell(&self, outcome: DeployOutcome) {
        // A client that left does not stop what is committed.
        let _ = self.outcomes.send(outcome).await;
    }

    /// All instances, nodes beside each other, each node as many at a time as its engine takes.
    async fn execute(self, planned: Vec<Planned>) {
        // Before it was planned nobody knew how many there would be.
        let mut room = self.room;
        drop(room.split(room.num_permits().saturating_sub(planned.len())));
        let room = Arc::new(room);
        let output = OutputRoom::default();
        let mut by_node: BTreeMap<NodeName, Vec<Planned>> = BTreeMap::new();
        for planned in planned {
            by_node.entry(planned.placement.node.clone()).or_default().push(planned);
        }
        for planned in by_node.into_values() {
            let (cluster, outcomes, room) = (self.cluster.clone(), self.outcomes.clone(), room.clone());
            let supplies = Supplies::new(self.request.files.clone(), output.clone());
            self.cluster.tasks.go_on(async move {
                // Twice as many as the engine takes: while half of them are in the engine the others are in the store.
                let at_a_time = cluster.settings.max_concurrency.max(1) * 2;
                let mut done = stream::iter(planned)
                    .map(|planned| cluster.execute(planned, &supplies))
                    .buffer_unordered(at_a_time);
                while let Some(outcome) = done.next().await {
                    let _ = outcomes.send(outcome).await;
                }
                drop(room);
            });
        }
    }
}
