//! Fetching images ahead of a deploy.

use super::{
    super::{Cluster, Error, Result, image, is_silence, pool::PoolPlace},
    nodes::{NodeChoice, images, step},
};
use crate::cache::NodeView;
use eru_api::pb;
use eru_runtime::{PullProgress, RegistryLogin};
use eru_types::NodeName;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

/// How often the bytes of one layer are told of: more is not seen.
const PROGRESS_EVERY: Duration = Duration::from_millis(100);
/// Layers that are kept apart when telling less often; an image has at most 127.
const LAYERS_MAX: usize = 256;

/// What is to be fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheRequest {
    nodes: NodeChoice,
    images: Vec<String>,
    step: usize,
    progress: bool,
}

impl CacheRequest {
    /// Proves a request.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field and quotes the value.
    pub fn from_pb(options: &pb::CacheImageOptions) -> Result<Self> {
        Ok(Self {
            nodes: NodeChoice::from_wire(&options.podname, &options.nodenames, true)?,
            images: images(&options.images)?,
            step: step(options.step)?,
            progress: options.progress,
        })
    }
}

/// Something that happened to one image on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheStep {
    /// The node.
    pub node: NodeName,
    /// The image.
    pub image: String,
    /// How far it is; `None` = this is the outcome.
    pub progress: Option<PullProgress>,
    /// Why it failed; empty = it is there.
    pub error: String,
}

impl Cluster {
    /// Fetches images: so many nodes beside each other as were asked for, the images of one in their order.
    ///
    /// # Errors
    /// When there are no such nodes, or none that has images; what concerns one node is in its steps.
    pub async fn cache_images(self: &Arc<Self>, request: CacheRequest) -> Result<BoxStream<'static, CacheStep>> {
        let nodes = self.chosen(&request.nodes).await?;
        let of_node = {
            let (cluster, images, progress) = (self.clone(), request.images, request.progress);
            move |node| cluster.clone().cache_on(node, images.clone(), progress)
        };
        Ok(stream::iter(nodes).map(of_node).flatten_unordered(request.step).boxed())
    }

    fn cache_on(
        self: Arc<Self>,
        node: Arc<NodeView>,
        images: Vec<String>,
        told: bool,
    ) -> BoxStream<'static, CacheStep> {
        // A node that does not answer is not asked again for each of its images.
        let silent: Arc<OnceLock<String>> = Arc::default();
        stream::iter(images)
            .then(move |image| {
                let (cluster, node, silent) = (self.clone(), node.clone(), silent.clone());
                async move {
                    let outcome = {
                        let (node, image) = (node.name().clone(), image.clone());
                        move |error| CacheStep { node: node.clone(), image: image.clone(), progress: None, error }
                    };
                    if let Some(error) = silent.get() {
                        return stream::iter([outcome(error.clone())]).boxed();
                    }
                    match cluster.begin_pull(&node, &image).await {
                        Ok(None) => stream::iter([outcome(String::new())]).boxed(),
                        Ok(Some(pull)) => pull.steps(outcome, told),
                        Err(error) => {
                            if is_silence(&error) {
                                let _ = silent.set(error.to_string());
                            }
                            stream::iter([outcome(error.to_string())]).boxed()
                        }
                    }
                }
            })
            .flatten()
            .boxed()
    }

    /// Begins to fetch an image; `None` = it is there.
    async fn begin_pull(&self, node: &NodeView, image: &str) -> Result<Option<Pull>> {
        let runtime = self.image_runtime(node)?;
        if self.ask(node.name(), runtime.image(image)).await?.is_some() {
            return Ok(None);
        }
        let place = self.pools.pulls.enter(node.name()).await;
        let login = self.registry_login(image);
        let patience = self.settings.global_timeout;
        let progress = self.engine_call(runtime.pull(image, login.as_ref())).await?;
        Ok(Some(Pull { progress, patience, told: HashMap::new(), _place: place }))
    }

    /// Who we are for the registry of an image.
    pub(crate) fn registry_login(&self, image: &str) -> Option<RegistryLogin> {
        let auth = image::registry_names(image).find_map(|name| self.settings.docker.auths.get(name))?;
        Some(RegistryLogin { username: auth.username.clone(), password: auth.password.reveal().to_owned() })
    }
}

/// An image on its way.
struct Pull {
    progress: BoxStream<'static, eru_runtime::Result<PullProgress>>,
    /// How long nothing at all may come.
    patience: Duration,
    /// What was told of each layer last.
    told: HashMap<String, (String, Instant)>,
    _place: PoolPlace,
}

impl Pull {
    fn steps(
        self,
        outcome: impl Fn(String) -> CacheStep + Send + 'static,
        told: bool,
    ) -> BoxStream<'static, CacheStep> {
        stream::unfold((Some(self), outcome), move |(pull, outcome)| async move {
            let mut pull = pull?;
            loop {
                let error = match tokio::time::timeout(pull.patience, pull.progress.next()).await {
                    Ok(Some(Ok(progress))) => {
                        if told && pull.is_news(&progress) {
                            let step = CacheStep { progress: Some(progress), ..outcome(String::new()) };
                            return Some((step, (Some(pull), outcome)));
                        }
                        continue;
                    }
                    Ok(None) => String::new(),
                    Ok(Some(Err(error))) => Error::from(error).to_string(),
                    Err(_) => format!("the engine said nothing about the image for {:?}", pull.patience),
                };
                return Some((outcome(error), (None, outcome)));
            }
        })
        .boxed()
    }

    /// Whether a step is a new one, or enough time went by since the layer was told of.
    fn is_news(&mut self, progress: &PullProgress) -> bool {
        let now = Instant::now();
        if let Some((status, at)) = self.told.get(&progress.layer)
            && *status == progress.status
            && now - *at < PROGRESS_EVERY
        {
            return false;
        }
        if self.told.len() < LAYERS_MAX || self.told.contains_key(&progress.layer) {
            self.told.insert(progress.layer.clone(), (progress.status.clone(), now));
        }
        true
    }
}
