//! Fetching images ahead of a deploy.

use super::{
    super::{Cluster, Result, is_silence, pull::Fetch},
    nodes::{NodeChoice, images, step},
};
use crate::cache::NodeView;
use eru_api::pb;
use eru_runtime::PullProgress;
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
        let of_image = move |image: String| {
            let (cluster, node, silent) = (self.clone(), node.clone(), silent.clone());
            let step = CacheStep { node: node.name().clone(), image, progress: None, error: String::new() };
            async move {
                if let Some(error) = silent.get() {
                    return stream::iter([CacheStep { error: error.clone(), ..step }]).boxed();
                }
                let fetch = cluster.begin_fetch(&node, &step.image).await;
                Telling { fetch, told, layers: HashMap::new(), step, silent }.steps()
            }
        };
        stream::iter(images).then(of_image).flatten().boxed()
    }

    /// Begins to fetch an image; `None` = it is there.
    async fn begin_fetch(self: &Arc<Self>, node: &NodeView, image: &str) -> Result<Option<Fetch>> {
        let engine = self.live_engine(node)?;
        match self.ask(node.name(), engine.runtime.image(image)).await? {
            Some(_) => Ok(None),
            None => Ok(Some(self.fetch_image(node.name(), &engine, image))),
        }
    }
}

/// What is told of an image on its way.
struct Telling {
    fetch: Result<Option<Fetch>>,
    /// Whether its steps are told as well, and not only what became of it.
    told: bool,
    /// What was told of each layer last.
    layers: HashMap<String, (String, Instant)>,
    /// The outcome, if it is a good one.
    step: CacheStep,
    /// Why its node is not asked any more.
    silent: Arc<OnceLock<String>>,
}

impl Telling {
    fn steps(self) -> BoxStream<'static, CacheStep> {
        stream::unfold(Some(self), |telling| async move {
            let mut telling = telling?;
            if let Some(progress) = telling.news().await {
                let step = CacheStep { progress: Some(progress), ..telling.step.clone() };
                return Some((step, Some(telling)));
            }
            Some((telling.outcome().await, None))
        })
        .boxed()
    }

    /// The next step that is worth telling.
    async fn news(&mut self) -> Option<PullProgress> {
        let Ok(Some(fetch)) = &mut self.fetch else { return None };
        while self.told {
            let progress = fetch.step().await?;
            if is_news(&mut self.layers, &progress) {
                return Some(progress);
            }
        }
        None
    }

    async fn outcome(self) -> CacheStep {
        let fetched = match self.fetch {
            Ok(Some(fetch)) => fetch.end().await,
            Ok(None) => Ok(()),
            Err(error) => Err(error),
        };
        let Err(error) = fetched else { return self.step };
        if is_silence(&error) {
            let _ = self.silent.set(error.to_string());
        }
        CacheStep { error: error.to_string(), ..self.step }
    }
}

/// Whether a step is a new one, or enough time went by since its layer was told of.
fn is_news(layers: &mut HashMap<String, (String, Instant)>, progress: &PullProgress) -> bool {
    let now = Instant::now();
    if let Some((status, at)) = layers.get(&progress.layer)
        && *status == progress.status
        && now - *at < PROGRESS_EVERY
    {
        return false;
    }
    if layers.len() < LAYERS_MAX || layers.contains_key(&progress.layer) {
        layers.insert(progress.layer.clone(), (progress.status.clone(), now));
    }
    true
}
