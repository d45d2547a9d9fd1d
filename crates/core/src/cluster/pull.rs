//! Making sure that a node has an image: one that is there is used, and only one that is not is fetched.
//!
//! # Invariants
//! - An image is fetched once at a time on a node, however many workloads wait for it; all of them get the same answer.
//! - A fetch goes on when those who wait for it leave, and ends in time.

use super::{Cluster, Error, Result, engines::Engine, remove::is_silence};
use eru_runtime::Error as RuntimeError;
use eru_types::NodeName;
use futures::StreamExt;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::watch;

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

/// `None` = still being fetched.
type Progress = Option<Result<(), Refusal>>;

/// By node and image.
type Running = HashMap<(NodeName, String), watch::Receiver<Progress>>;

/// What is being fetched.
#[derive(Clone, Default)]
pub(crate) struct Pulls {
    running: Arc<Mutex<Running>>,
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
            Ok(None) => self.pull_image(node, engine, image).await,
            // An engine that knows no images says so when it is asked to make something of one.
            Err(Error::Runtime(RuntimeError::Unsupported { .. })) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Fetches an image, or waits for whoever fetches it already.
    pub(crate) async fn pull_image(self: &Arc<Self>, node: &NodeName, engine: &Engine, image: &str) -> Result<()> {
        let key = (node.clone(), image.to_owned());
        let mut progress = {
            let mut running = self.tasks.pulls.running.lock();
            match running.get(&key) {
                Some(progress) => progress.clone(),
                None => {
                    let (done, progress) = watch::channel(None);
                    running.insert(key.clone(), progress.clone());
                    let (cluster, engine) = (self.clone(), engine.clone());
                    self.tasks.go_on(async move {
                        let outcome = cluster.fetch(&engine, &key.1).await;
                        // Whoever comes from now on looks again.
                        cluster.tasks.pulls.running.lock().remove(&key);
                        done.send_replace(Some(outcome));
                    });
                    progress
                }
            }
        };
        let Ok(done) = progress.wait_for(Option::is_some).await else {
            return Err(Error::Unavailable("the core is stopping".into()));
        };
        let outcome = done.clone().expect("it was waited for");
        outcome.map_err(Error::from)
    }

    async fn fetch(&self, engine: &Engine, image: &str) -> Result<(), Refusal> {
        let login = self.registry_login(image);
        let fetching = async {
            let mut progress = engine.runtime.pull(image, login.as_ref()).await?;
            while let Some(step) = progress.next().await {
                let step = step?;
                tracing::trace!(image, layer = step.layer, status = step.status, "fetching");
            }
            Ok(())
        };
        let patience = self.settings.global_timeout;
        let outcome = match tokio::time::timeout(patience, fetching).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => Error::Runtime(error),
            Err(_) => Error::Unavailable(format!("not fetched in {patience:?}")),
        };
        let silence = is_silence(&outcome);
        let cause = match outcome {
            Error::Runtime(RuntimeError::Failed(cause)) => cause,
            other => other.to_string(),
        };
        // Most engines say which image they mean.
        let text = if cause.contains(image) { cause } else { format!("image {image} cannot be fetched: {cause}") };
        Err(Refusal { text, silence })
    }
}
