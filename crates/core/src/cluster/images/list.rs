//! Listing the images of nodes.

use super::{
    super::{Cluster, Error, Result},
    nodes::NodeChoice,
};
use crate::cache::NodeView;
use eru_api::pb;
use eru_runtime::Image;
use eru_types::{NodeName, name::excerpt};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use std::sync::Arc;

/// Nodes asked at a time.
const NODES_AT_A_TIME: usize = 16;
/// Images of one message: a thousand with three tags each are about 200 KB, and clients take 4 MB.
const IMAGES_PER_MESSAGE: usize = 1000;
/// Longest pattern, in bytes: that of a reference.
const FILTER_BYTES_MAX: usize = 512;

/// Which images of which nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListRequest {
    nodes: NodeChoice,
    filter: String,
}

impl ListRequest {
    /// Proves a request. Without pod and nodes all nodes are meant, as in the original.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field and quotes the value.
    pub fn from_pb(options: &pb::ListImageOptions) -> Result<Self> {
        if options.filter.len() > FILTER_BYTES_MAX || options.filter.chars().any(char::is_control) {
            return Err(Error::Invalid(format!(
                "filter must be at most {FILTER_BYTES_MAX} bytes without control characters, got \"{}\"",
                excerpt(&options.filter)
            )));
        }
        let nodes = NodeChoice::from_wire(&options.podname, &options.nodenames, false)?;
        Ok(Self { nodes, filter: options.filter.clone() })
    }
}

/// Images of one node; very many come in several of these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeImages {
    /// The node.
    pub node: NodeName,
    /// The images.
    pub images: Vec<Image>,
    /// Why there is no list; empty = there is.
    pub error: String,
}

impl Cluster {
    /// The images, as the nodes answer.
    ///
    /// # Errors
    /// When there are no such nodes, or none that has images; what concerns one node is in its answer.
    pub async fn list_images(self: &Arc<Self>, request: ListRequest) -> Result<BoxStream<'static, NodeImages>> {
        let nodes = self.chosen(&request.nodes).await?;
        let (cluster, filter) = (self.clone(), request.filter);
        let of_node = move |node: Arc<NodeView>| {
            let (cluster, filter) = (cluster.clone(), filter.clone());
            async move {
                let images = cluster.images_of(&node, &filter).await;
                stream::iter(messages(node.name(), images))
            }
        };
        Ok(stream::iter(nodes).map(of_node).buffer_unordered(NODES_AT_A_TIME).flatten().boxed())
    }

    async fn images_of(&self, node: &NodeView, filter: &str) -> Result<Vec<Image>> {
        let engine = self.live_engine(node)?;
        self.ask(node.name(), engine.runtime.images(filter)).await
    }
}

fn messages(node: &NodeName, images: Result<Vec<Image>>) -> Vec<NodeImages> {
    let message = |images: Vec<Image>, error: String| NodeImages { node: node.clone(), images, error };
    match images {
        Err(error) => vec![message(Vec::new(), error.to_string())],
        // A node without images is said to have none.
        Ok(images) if images.is_empty() => vec![message(images, String::new())],
        Ok(images) => images.chunks(IMAGES_PER_MESSAGE).map(|part| message(part.to_vec(), String::new())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn very_many_images_come_in_several_messages() {
        let node = NodeName::new("n").unwrap();
        let image = |n: usize| Image { id: n.to_string(), tags: Vec::new() };
        let lens = |count| {
            let all = messages(&node, Ok((0..count).map(image).collect()));
            all.iter().map(|message| message.images.len()).collect::<Vec<_>>()
        };
        assert_eq!((lens(0), lens(1000), lens(2500)), (vec![0], vec![1000], vec![1000, 1000, 500]));
        let failed = messages(&node, Err(Error::Unavailable("x".into())));
        assert_eq!((failed.len(), failed[0].error.as_str()), (1, "x"));
    }
}
