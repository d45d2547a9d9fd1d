//! The service `eru.controller.v1`: convert, call, convert.

use crate::sets::{Refusal, Sets};
use crate::spec::{self, SpecError};
use eru_api::controller::controller_server::Controller;
use eru_api::controller::{
    ApplyRequest, GetRequest, ListRequest, RemoveReply, RemoveRequest, ReplicaSet, ReplicaSets, ScaleRequest,
    WatchRequest,
};
use eru_types::name::SetName;
use futures::Stream;
use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status};

/// The service.
pub struct Api {
    sets: Sets,
    shutdown: CancellationToken,
}

impl Api {
    /// The service over `sets`; its streams end with `shutdown`.
    pub fn new(sets: Sets, shutdown: CancellationToken) -> Self {
        Self { sets, shutdown }
    }
}

#[tonic::async_trait]
impl Controller for Api {
    async fn apply(&self, request: Request<ApplyRequest>) -> Result<Response<ReplicaSet>, Status> {
        let ApplyRequest { spec, expect_generation } = request.into_inner();
        let expect = u64::try_from(expect_generation).map_err(|_| {
            Status::invalid_argument(format!("expect_generation must be 0 (any) or more, got {expect_generation}"))
        })?;
        let checked = spec::check(spec)?;
        Ok(Response::new(self.sets.apply(checked, expect).await?))
    }

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<ReplicaSet>, Status> {
        Ok(Response::new(self.sets.get(&name(&request.into_inner().name)?)?))
    }

    async fn list(&self, _: Request<ListRequest>) -> Result<Response<ReplicaSets>, Status> {
        Ok(Response::new(ReplicaSets { sets: self.sets.list()?.into_values().collect() }))
    }

    async fn scale(&self, request: Request<ScaleRequest>) -> Result<Response<ReplicaSet>, Status> {
        let ScaleRequest { name: set, count } = request.into_inner();
        let (set, count) = (name(&set)?, spec::count(count)?);
        Ok(Response::new(self.sets.scale(set, count).await?))
    }

    async fn remove(&self, request: Request<RemoveRequest>) -> Result<Response<RemoveReply>, Status> {
        let RemoveRequest { name: set, keep_workloads } = request.into_inner();
        let removed_ids = self.sets.remove(name(&set)?, keep_workloads).await?;
        Ok(Response::new(RemoveReply { removed_ids }))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<ReplicaSet, Status>> + Send>>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let only = request.into_inner().name;
        let only = if only.is_empty() { None } else { Some(name(&only)?) };
        let mut version = self.sets.version();
        version.mark_changed();
        let follower =
            Follower { sets: self.sets.clone(), version, only, sent: BTreeMap::new(), ready: VecDeque::new() };
        let shutdown = self.shutdown.clone();
        let stream = futures::stream::unfold(Some(follower), move |follower| {
            let shutdown = shutdown.clone();
            async move {
                let mut follower = follower?;
                match shutdown.run_until_cancelled(follower.next()).await? {
                    Ok(set) => Some((Ok(set), Some(follower))),
                    Err(refusal) => Some((Err(refusal.into()), None)),
                }
            }
        });
        Ok(Response::new(Box::pin(stream)))
    }
}

/// One who watches: knows what was sent last, so that a slow reader costs nothing and is sent the newest.
struct Follower {
    sets: Sets,
    version: watch::Receiver<u64>,
    only: Option<SetName>,
    sent: BTreeMap<String, ReplicaSet>,
    ready: VecDeque<ReplicaSet>,
}

impl Follower {
    async fn next(&mut self) -> Result<ReplicaSet, Refusal> {
        loop {
            if let Some(set) = self.ready.pop_front() {
                return Ok(set);
            }
            self.version.changed().await.map_err(|_| Refusal::NotLeading)?;
            let mut sets = self.sets.list()?;
            sets.retain(|set, _| self.only.as_ref().is_none_or(|only| only.as_str() == set));
            for (name, gone) in &self.sent {
                if sets.get(name).is_none_or(|set| set.uid != gone.uid) {
                    self.ready.push_back(removed(gone));
                }
            }
            self.ready
                .extend(sets.iter().filter(|(name, set)| self.sent.get(*name) != Some(*set)).map(|(_, s)| s.clone()));
            self.sent = sets;
        }
    }
}

/// The last that is heard of a set.
fn removed(set: &ReplicaSet) -> ReplicaSet {
    let status = eru_api::controller::Status { phase: "removed".to_owned(), ..Default::default() };
    ReplicaSet { removing: true, status: Some(status), slots: Vec::new(), ..set.clone() }
}

fn name(name: &str) -> Result<SetName, Status> {
    SetName::new(name).map_err(|error| Status::invalid_argument(error.to_string()))
}

impl From<SpecError> for Status {
    fn from(error: SpecError) -> Self {
        Self::invalid_argument(error.to_string())
    }
}

impl From<Refusal> for Status {
    fn from(refusal: Refusal) -> Self {
        let text = refusal.to_string();
        match refusal {
            Refusal::NotFound(_) => Self::not_found(text),
            Refusal::Removing(_) | Refusal::Generation { .. } => Self::failed_precondition(text),
            Refusal::TooMany => Self::resource_exhausted(text),
            Refusal::NotLeading | Refusal::Store(_) => Self::unavailable(text),
        }
    }
}
