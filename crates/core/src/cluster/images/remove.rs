//! Removing images from nodes.

use super::{
    super::{Cluster, Result, is_silence},
    nodes::{NodeChoice, images, step},
};
use crate::cache::NodeView;
use eru_api::pb;
use eru_types::NodeName;
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use std::sync::{Arc, OnceLock};

/// What is to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveImagesRequest {
    nodes: NodeChoice,
    images: Vec<String>,
    step: usize,
    prune: bool,
}

impl RemoveImagesRequest {
    /// Proves a request.
    ///
    /// # Errors
    /// [`Error::Invalid`](super::super::Error::Invalid) names the field and quotes the value.
    pub fn from_pb(options: &pb::RemoveImageOptions) -> Result<Self> {
        Ok(Self {
            nodes: NodeChoice::from_wire(&options.podname, &options.nodenames, true)?,
            images: images(&options.images)?,
            step: step(options.step)?,
            prune: options.prune,
        })
    }
}

/// What became of one image on one node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveImageOutcome {
    /// The node.
    pub node: NodeName,
    /// The image; empty = of what nothing needs any more.
    pub image: String,
    /// What went, line by line.
    pub lines: Vec<String>,
    /// Why it failed; empty = it is gone.
    pub error: String,
}

impl Cluster {
    /// Removes images: so many nodes beside each other as were asked for, the images of one in their order, and then what
    /// nothing needs any more. That last step is told of only when it fails.
    ///
    /// # Errors
    /// When there are no such nodes, or none that has images; what concerns one node is in its outcomes.
    pub async fn remove_images(
        self: &Arc<Self>,
        request: RemoveImagesRequest,
    ) -> Result<BoxStream<'static, RemoveImageOutcome>> {
        let nodes = self.chosen(&request.nodes).await?;
        let cluster = self.clone();
        let steps: Vec<Option<String>> =
            request.images.into_iter().map(Some).chain(request.prune.then_some(None)).collect();
        let of_node = move |node| cluster.clone().remove_images_on(node, steps.clone());
        Ok(stream::iter(nodes).map(of_node).flatten_unordered(request.step).boxed())
    }

    fn remove_images_on(
        self: Arc<Self>,
        node: Arc<NodeView>,
        steps: Vec<Option<String>>,
    ) -> BoxStream<'static, RemoveImageOutcome> {
        let silent: Arc<OnceLock<String>> = Arc::default();
        stream::iter(steps)
            .filter_map(move |image| {
                let (cluster, node, silent) = (self.clone(), node.clone(), silent.clone());
                async move {
                    let removed = match silent.get() {
                        Some(error) => Err(error.clone()),
                        None => cluster.remove_image_step(&node, image.as_deref()).await.map_err(|error| {
                            if is_silence(&error) {
                                let _ = silent.set(error.to_string());
                            }
                            error.to_string()
                        }),
                    };
                    if image.is_none() && removed.is_ok() {
                        return None;
                    }
                    let (lines, error) = match removed {
                        Ok(lines) => (lines, String::new()),
                        Err(error) => (Vec::new(), error),
                    };
                    Some(RemoveImageOutcome {
                        node: node.name().clone(),
                        image: image.unwrap_or_default(),
                        lines,
                        error,
                    })
                }
            })
            .boxed()
    }

    /// One image, or what nothing needs any more.
    async fn remove_image_step(&self, node: &NodeView, image: Option<&str>) -> Result<Vec<String>> {
        let engine = self.live_engine(node)?;
        match image {
            Some(image) => self.engine_call(engine.runtime.remove_image(image)).await,
            None => self.engine_call(engine.runtime.prune_images()).await.map(|()| Vec::new()),
        }
    }
}
