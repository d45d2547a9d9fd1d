//! Making sure that a node has an image: one that is there is used, and only one that is not is fetched.
//!
//! # Invariants
//! - An image is fetched once at a time on a node, however many deploys and callers wait for it; all of them get the same
//!   answer.
//! - A fetch goes on when those who wait for it leave, at its own pace and not at that of who reads its steps. It ends when
//!   its engine says nothing for too long.

use super::{Cluster, Error, Result, engines::Engine, image, remove::is_silence};
use eru_runtime::{Error as RuntimeError, PullProgress, RegistryLogin};
use eru_types::NodeName;
use futures::StreamExt;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::{
    broadcast::{self, error::RecvError},
    watch,
};

/// Steps of a fetch that are kept for who reads them slowly; older ones are of no interest any more.
const STEPS_KEPT: usize = 64;

/// Why an image could not be fetched, for everybody who waits for it.
#[derive(Debug, Clone)]
struct Refusal {
    text: String,
    /// Nobody answered, as opposed to having refused.
    silence: bool,
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        if refusal.silence { Self::Unavailable(refusal.text) } else { Self::Precondition(refusal.text) }
    }
}

/// An image on its way, for one of those who wait for it.
pub(crate) struct Fetch {
    steps: broadcast::Receiver<PullProgress>,
    /// `None` = still being fetched.
    outcome: watch::Receiver<Option<Result<(), Refusal>>>,
}

impl Fetch {
    fn join(&self) -> Self {
        Self { steps: self.steps.resubscribe(), outcome: self.outcome.clone() }
    }

    /// The next step; `None` = there are no more.
    pub(crate) async fn step(&mut self) -> Option<PullProgress> {
        loop {
            match self.steps.recv().await {
                Ok(step) => return Some(step),
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }

    /// Waits until the image is there.
    ///
    /// # Errors
    /// Why it is not.
    pub(crate) async fn end(mut self) -> Result<()> {
        let Ok(outcome) = self.outcome.wait_for(Option::is_some).await else {
            return Err(Error::Unavailable("the core is stopping".into()));
        };
        outcome.clone().expect("it was waited for").map_err(Error::from)
    }
}

/// What is being fetched, by node and image.
#[derive(Clone, Default)]
pub(crate) struct Pulls {
    running: Arc<Mutex<HashMap<(NodeName, String), Fetch>>>,
}

#[cfg(test)]
impl Pulls {
    pub(crate) fn len(&self) -> usize {
        self.running.lock().len()
    }
}

impl Cluster {
    /// Makes sure that the engine of `node` has the image; no image at all is there already.
    ///
    /// # Cost
    /// One question to the engine when the image is there.
    pub(crate) async fn ensure_image(self: &Arc<Self>, node: &NodeName, engine: &Engine, image: &str) -> Result<()> {
        if image.is_empty() {
            return Ok(());
        }
        match self.engine_call(engine.runtime.image(image)).await {
            Ok(Some(_)) => Ok(()),
            Ok(None) => self.fetch_image(node, engine, image).end().await,
            // An engine that knows no images says so when it is asked to make something of one.
            Err(Error::Runtime(RuntimeError::Unsupported { .. })) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Fetches an image, or joins those who wait for it already.
    pub(crate) fn fetch_image(self: &Arc<Self>, node: &NodeName, engine: &Engine, image: &str) -> Fetch {
        let key = (node.clone(), image.to_owned());
        let mut running = self.tasks.pulls.running.lock();
        if let Some(fetch) = running.get(&key) {
            return fetch.join();
        }
        let (told, steps) = broadcast::channel(STEPS_KEPT);
        let (done, outcome) = watch::channel(None);
        let fetch = Fetch { steps, outcome };
        running.insert(key.clone(), fetch.join());
        let (cluster, engine) = (self.clone(), engine.clone());
        self.tasks.go_on(async move {
            let (node, image) = &key;
            let place = cluster.pools.pulls.enter(node).await;
            let outcome = cluster.fetch(&engine, image, &told).await;
            drop(place);
            // Whoever comes from now on looks again.
            cluster.tasks.pulls.running.lock().remove(&key);
            done.send_replace(Some(outcome));
        });
        fetch
    }

    async fn fetch(&self, engine: &Engine, image: &str, told: &broadcast::Sender<PullProgress>) -> Result<(), Refusal> {
        let login = self.registry_login(image);
        let fetching = async {
            let mut steps = self.engine_call(engine.runtime.pull(image, login.as_ref())).await?;
            while let Some(step) = self.engine_call(async { steps.next().await.transpose() }).await? {
                // Often nobody looks.
                let _ = told.send(step);
            }
            Ok::<_, Error>(())
        };
        let Err(outcome) = fetching.await else { return Ok(()) };
        let silence = is_silence(&outcome);
        let cause = match outcome {
            Error::Runtime(RuntimeError::Failed(cause)) => cause,
            other => other.to_string(),
        };
        // Most engines say which image they mean.
        let text = if cause.contains(image) { cause } else { format!("image {image} cannot be fetched: {cause}") };
        Err(Refusal { text, silence })
    }

    /// Who we are for the registry of an image.
    fn registry_login(&self, image: &str) -> Option<RegistryLogin> {
        let auth = image::registry_names(image).find_map(|name| self.settings.docker.auths.get(name))?;
        Some(RegistryLogin { username: auth.username.clone(), password: auth.password.reveal().to_owned() })
    }
}
