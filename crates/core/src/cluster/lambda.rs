//! Runs to the end: deployed, read, waited for, removed.
//!
//! | step | if the core dies after it |
//! | --- | --- |
//! | a placement marked as a run is written | recovery undoes it: there is nobody left who waits for it |
//! | it runs, and a task of this core reads it | the same |
//! | it ended, its exit code was told | the same |
//! | it was removed | nothing is left to do |
//!
//! # Invariants
//! - An instance is read, and removed, by one call only: one that repeats an op id does not end what another one reads.
//! - A run that nobody of this core works on is removed by recovery, whatever state it is in.
//! - It is removed when it ends, when its client leaves, when its time is over, and when the core stops.

mod follow;
mod request;
mod runs;
mod seen;

pub use request::LambdaRequest;
pub use runs::Runs;

use super::{Cluster, DeployOutcome, Error, Result, remove::RemoveRequest};
use bytes::Bytes;
use eru_runtime::{Input, SessionControl, Stream};
use eru_types::WorkloadName;
use futures::{StreamExt, stream};
use parking_lot::Mutex;
use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicUsize},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// Pieces of output that wait for a client that reads slowly; each is at most 64 KiB.
const PIECES_WAITING_MAX: usize = 16;
/// Instances of one run that are dealt with at a time; their output is bounded by the pools.
const INSTANCES_AT_A_TIME: usize = 1024;
/// How long an asynchronous run may take at most: nobody would look for it later.
const ASYNC_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
/// Lines of one asynchronous run that go to the log of the core; more would crowd out everything else.
const LOGGED_LINES_MAX: usize = 1000;

/// What a run has to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LambdaPiece {
    /// An instance was made; empty = it was not, and a [`LambdaPiece::Failed`] follows.
    Made(String),
    /// Output of an instance.
    Output(String, Stream, Bytes),
    /// An instance ended with this exit code.
    Exited(String, i32),
    /// Something went wrong; of one instance, or (empty) before it had an id.
    Failed(String, String),
}

/// A run that was begun.
pub struct Lambda {
    /// What it has to say, in order.
    pub pieces: mpsc::Receiver<LambdaPiece>,
    /// The input of its one instance, as soon as it has one.
    pub input: Option<oneshot::Receiver<(Input, Arc<dyn SessionControl>)>>,
}

impl Cluster {
    /// Runs. Dropping the pieces ends and removes it, unless it is asynchronous.
    ///
    /// # Errors
    /// Whatever a deploy may answer.
    pub async fn run_and_wait(self: &Arc<Self>, request: LambdaRequest) -> Result<Lambda> {
        let (pieces, receiver) = mpsc::channel(PIECES_WAITING_MAX);
        let (hand_over, input) = request.input.then(oneshot::channel).unzip();
        let (begun, beginning) = oneshot::channel();
        let run = Run { cluster: self.clone(), pieces, left: Mutex::default(), logged: AtomicUsize::default() };
        // Deployed by the task that removes it, so that no caller can leave between the two.
        self.tasks.spawn(run.run(request, hand_over, begun))?;
        beginning.await.map_err(|_| Error::Unavailable("the core is stopping".into()))??;
        Ok(Lambda { pieces: receiver, input })
    }
}

/// Where the input of the one instance goes.
type HandOver = oneshot::Sender<(Input, Arc<dyn SessionControl>)>;

/// A run, in the task that ends with it.
struct Run {
    cluster: Arc<Cluster>,
    pieces: mpsc::Sender<LambdaPiece>,
    /// What is still to be removed: names by id.
    left: Mutex<BTreeMap<String, WorkloadName>>,
    /// Lines that went to the log of the core.
    logged: AtomicUsize,
}

impl Run {
    async fn run(mut self, request: LambdaRequest, hand_over: Option<HandOver>, begun: oneshot::Sender<Result<()>>) {
        let begun = |outcome| {
            // A client that left does not want to know.
            let _ = begun.send(outcome);
        };
        let LambdaRequest { deploy, input, patience } = request;
        let mut outcomes = match self.cluster.deploy(deploy).await {
            Ok(outcomes) => outcomes,
            Err(error) => return begun(Err(error)),
        };
        begun(Ok(()));
        let mut failed = Vec::new();
        while let Some(outcome) = outcomes.recv().await {
            // All of them, even if the client left: what is not counted here would not be removed.
            let id = self.note(outcome, &mut failed);
            self.tell(LambdaPiece::Made(id)).await;
        }
        for error in failed {
            self.tell(LambdaPiece::Failed(String::new(), format!("Create workload failed {error}"))).await;
        }
        match patience {
            Some(patience) => {
                self.detach();
                let over = async {
                    tokio::time::sleep(patience).await;
                    tracing::info!(?patience, left = self.left.lock().len(), "the time of a run is over");
                };
                self.watch(hand_over, input, over).await;
            }
            None => {
                let gone = self.pieces.clone();
                self.watch(hand_over, input, async move { gone.closed().await }).await;
            }
        }
        self.remove_rest().await;
    }

    /// Takes an outcome over; answers the id of what is to be removed, empty for what failed.
    fn note(&self, outcome: DeployOutcome, failed: &mut Vec<String>) -> String {
        let (Some(name), Some(id)) = (outcome.name.clone(), outcome.id.as_ref()) else {
            if let Some(name) = &outcome.name {
                self.cluster.runs.end_unclaimed(name);
            }
            failed.push(outcome.error);
            return String::new();
        };
        if !self.cluster.runs.claim(&name) {
            failed.push(format!(
                "{name} is the run of another call with op_id \"{}\", and ends with that",
                outcome.op_id
            ));
            return String::new();
        }
        self.left.lock().insert(id.to_string(), name);
        id.to_string()
    }

    async fn tell(&self, piece: LambdaPiece) {
        // A client that left is noticed where it is waited for.
        let _ = self.pieces.send(piece).await;
    }

    /// From now on its output goes to the log of the core.
    fn detach(&mut self) {
        let (pieces, _) = mpsc::channel(1);
        self.pieces = pieces;
    }

    /// Reads and waits for all instances, each removed when it ends, until `over`.
    async fn watch(&self, hand_over: Option<HandOver>, input: bool, over: impl Future<Output = ()>) {
        let ids: Vec<(String, WorkloadName)> =
            self.left.lock().iter().map(|(id, name)| (id.clone(), name.clone())).collect();
        let mut hand_over = hand_over;
        let watched = stream::iter(ids).map(|(id, name)| {
            let hand_over = hand_over.take();
            async move {
                self.follow(&id, &name, hand_over, input).await;
                self.remove(&id, &name).await;
            }
        });
        let watched = watched.buffer_unordered(INSTANCES_AT_A_TIME).collect::<()>();
        tokio::select! {
            biased;
            () = watched => {}
            () = over => {}
            () = self.cluster.tasks.stopping() => {}
        }
    }

    async fn remove_rest(&self) {
        let left = self.left.lock().clone();
        let removed = stream::iter(left).map(|(id, name)| async move { self.remove(&id, &name).await });
        removed.buffer_unordered(INSTANCES_AT_A_TIME).collect::<()>().await;
    }

    /// Removes an instance. What cannot be removed now is left to recovery, as nobody works on it any more.
    async fn remove(&self, id: &str, name: &WorkloadName) {
        let request = RemoveRequest { ids: Vec::new(), force: true, owner: None, healthy_min: 0 };
        match self.cluster.remove_one(id, &request).await {
            Ok(()) | Err(Error::NotFound(_)) => {}
            Err(error) => tracing::warn!(workload = %name, %error, "run not removed yet; recovery goes on with it"),
        }
        self.left.lock().remove(id);
        self.cluster.runs.end(name);
    }
}
