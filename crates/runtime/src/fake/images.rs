//! The images of a simulated engine.

use super::engine::{Fake, Inner};
use crate::port::{Error, Image, PullProgress, Result};
use futures::{
    StreamExt,
    stream::{self, BoxStream},
};
use parking_lot::Mutex;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Bytes of the one layer that every simulated image has.
const LAYER_BYTES: u64 = 1_000_000;

/// What is there, and what cannot be fetched.
#[derive(Default)]
pub(super) struct Images {
    there: BTreeSet<String>,
    refused: BTreeMap<String, String>,
    pulls: u64,
    /// How often it was asked to prune.
    pub(super) prunes: u64,
}

impl Images {
    pub(super) fn get(&self, name: &str) -> Option<Image> {
        self.there.get(name).map(|name| image(name))
    }

    /// Those with the name `filter`, whatever their tag; empty = all.
    pub(super) fn matching(&self, filter: &str) -> Vec<Image> {
        let matches = |name: &&String| filter.is_empty() || *name == filter || repository(name) == filter;
        self.there.iter().filter(matches).map(|name| image(name)).collect()
    }

    pub(super) fn remove(&mut self, name: &str) -> Option<Vec<String>> {
        self.there.remove(name).then(|| vec![name.to_owned()])
    }
}

fn image(name: &str) -> Image {
    Image { id: format!("fake:{name}"), tags: vec![name.to_owned()] }
}

fn repository(name: &str) -> &str {
    match name.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => name,
    }
}

/// Fetches an image in four steps; one that is refused fails after the first.
pub(super) fn pull(inner: Arc<Mutex<Inner>>, name: String) -> BoxStream<'static, Result<PullProgress>> {
    inner.lock().images.pulls += 1;
    stream::unfold(Some(0), move |step| {
        let (inner, name) = (inner.clone(), name.clone());
        async move {
            let step = step?;
            let mut inner = inner.lock();
            if inner.is_down() {
                return Some((Err(inner.unavailable()), None));
            }
            if let Some(cause) = inner.images.refused.get(&name).filter(|_| step > 0) {
                return Some((Err(Error::Failed(cause.clone())), None));
            }
            let (status, done) = match step {
                0 => ("Pulling fs layer", 0),
                1 => ("Downloading", LAYER_BYTES / 2),
                2 => ("Downloading", LAYER_BYTES),
                3 => ("Pull complete", 0),
                _ => {
                    inner.images.there.insert(name);
                    return None;
                }
            };
            let bytes = (done, if done > 0 { LAYER_BYTES } else { 0 });
            Some((Ok(PullProgress { layer: "layer1".into(), status: status.into(), bytes }), Some(step + 1)))
        }
    })
    .boxed()
}

impl Fake {
    /// Makes every fetch of an image fail with `cause`.
    pub fn refuse_image(&self, name: &str, cause: &str) {
        self.inner.lock().images.refused.insert(name.to_owned(), cause.to_owned());
    }

    /// How often an image was fetched, and how often images were pruned.
    pub fn image_counts(&self) -> (u64, u64) {
        let inner = self.inner.lock();
        (inner.images.pulls, inner.images.prunes)
    }
}
