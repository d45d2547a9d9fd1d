//! The service `eru.controller.v1`: convert, call, convert.

use crate::sets::{Known, Published, Refusal, Sets};
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
use std::sync::Arc;
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
        Ok(Response::new(ReplicaSets { sets: self.sets.all()?.values().map(Published::message).collect() }))
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
        let follower = Follower {
            sets: self.sets.clone(),
            version,
            only,
            known: None,
            followed: BTreeMap::new(),
            ready: VecDeque::new(),
        };
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
    /// The sets that `followed` was made of.
    known: Option<Known>,
    followed: BTreeMap<String, Followed>,
    ready: VecDeque<ReplicaSet>,
}

struct Followed {
    published: Published,
    last: ReplicaSet,
}

impl Follower {
    /// The next set that has changed.
    ///
    /// # Cost
    /// A look at each set for whether it has changed; only those that have are copied.
    async fn next(&mut self) -> Result<ReplicaSet, Refusal> {
        loop {
            if let Some(set) = self.ready.pop_front() {
                return Ok(set);
            }
            self.version.changed().await.map_err(|_| Refusal::NotLeading)?;
            let known = self.sets.all()?;
            if self.known.as_ref().is_none_or(|before| !Arc::ptr_eq(before, &known)) {
                self.come_and_go(&known);
                self.known = Some(known);
            }
            for followed in self.followed.values_mut() {
                if let Some(set) = followed.published.news().filter(|set| *set != followed.last) {
                    followed.last = set.clone();
                    self.ready.push_back(set);
                }
            }
        }
    }

    /// Some sets are new or gone.
    fn come_and_go(&mut self, known: &Known) {
        let is_wanted = |name: &String| self.only.as_ref().is_none_or(|only| only.as_str() == name);
        let is_same = |name: &String, uid: &str| known.get(name).is_some_and(|set| set.uid() == uid);
        let ready = &mut self.ready;
        self.followed.retain(|name, followed| {
            let stays = is_same(name, &followed.last.uid);
            if !stays {
                ready.push_back(removed(&followed.last));
            }
            stays
        });
        for (name, published) in known.iter().filter(|(name, _)| is_wanted(name)) {
            self.followed.entry(name.clone()).or_insert_with(|| {
                let last = published.message();
                ready.push_back(last.clone());
                Followed { published: published.clone(), last }
            });
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
            Refusal::Removing(_) | Refusal::Generation { .. } | Refusal::Damaged { .. } => {
                Self::failed_precondition(text)
            }
            Refusal::TooMany => Self::resource_exhausted(text),
            Refusal::NotLeading | Refusal::Store(_) => Self::unavailable(text),
        }
    }
}
