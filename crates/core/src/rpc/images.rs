//! Images of nodes.

use super::{
    service::CoreService,
    streams::{Answers, Place},
};
use crate::cluster::images::{
    CacheRequest, CacheStep, ListRequest, NodeImages, RemoveImageOutcome, RemoveImagesRequest,
};
use eru_api::pb;
use futures::StreamExt;
use tonic::Status;

impl CoreService {
    pub(super) async fn image_cache(
        &self,
        request: pb::CacheImageOptions,
    ) -> Result<Answers<pb::CacheImageMessage>, Status> {
        let request = CacheRequest::from_pb(&request)?;
        let place = Place::take(&self.stream_limits, self.stopping.clone())?;
        Ok(place.hold(self.cluster.cache_images(request).await?.map(|step| Ok(cached(step)))))
    }

    pub(super) async fn image_list(
        &self,
        request: pb::ListImageOptions,
    ) -> Result<Answers<pb::ListImageMessage>, Status> {
        let request = ListRequest::from_pb(&request)?;
        let place = Place::take(&self.stream_limits, self.stopping.clone())?;
        Ok(place.hold(self.cluster.list_images(request).await?.map(|images| Ok(listed(images)))))
    }

    pub(super) async fn image_remove(
        &self,
        request: pb::RemoveImageOptions,
    ) -> Result<Answers<pb::RemoveImageMessage>, Status> {
        let request = RemoveImagesRequest::from_pb(&request)?;
        let place = Place::take(&self.stream_limits, self.stopping.clone())?;
        Ok(place.hold(self.cluster.remove_images(request).await?.map(|outcome| Ok(removed(outcome)))))
    }
}

fn cached(step: CacheStep) -> pb::CacheImageMessage {
    let CacheStep { node, image, progress, error } = step;
    let outcome = pb::CacheImageMessage { image, nodename: node.to_string(), ..pb::CacheImageMessage::default() };
    let Some(progress) = progress else {
        return pb::CacheImageMessage { success: error.is_empty(), message: error, ..outcome };
    };
    let wire = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    pb::CacheImageMessage {
        in_progress: true,
        message: progress.status,
        layer: progress.layer,
        bytes_done: wire(progress.bytes.0),
        bytes_total: wire(progress.bytes.1),
        ..outcome
    }
}

fn listed(images: NodeImages) -> pb::ListImageMessage {
    let NodeImages { node, images, error } = images;
    let images = images.into_iter().map(|image| pb::ImageItem { id: image.id, tags: image.tags }).collect();
    pb::ListImageMessage { images, nodename: node.to_string(), err: error }
}

fn removed(outcome: RemoveImageOutcome) -> pb::RemoveImageMessage {
    let RemoveImageOutcome { node, image, lines, error } = outcome;
    let success = error.is_empty();
    // The original's words for what went, and the engine's for what did not.
    let messages = if success { lines.iter().map(|line| clean(line)).collect() } else { vec![error] };
    pb::RemoveImageMessage { image, success, messages, nodename: node.to_string() }
}

/// What went, without the engine's word for how.
fn clean(line: &str) -> String {
    let what = line.strip_prefix("Untagged: ").or_else(|| line.strip_prefix("Deleted: ")).unwrap_or(line);
    format!("Clean: {what}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_went_is_told_as_the_original_does() {
        for line in ["Untagged: 127.0.0.1:5000/web:2", "Deleted: 127.0.0.1:5000/web:2", "127.0.0.1:5000/web:2"] {
            assert_eq!(clean(line), "Clean: 127.0.0.1:5000/web:2");
        }
    }
}
