//! `image cache`.

use super::{OnNodes, summary};
use crate::context::Context;
use crate::error::{CliError, in_words};
use crate::render;
use eru_api::pb;
use std::collections::BTreeMap;

pub(super) async fn run(context: &Context, args: OnNodes) -> Result<(), CliError> {
    let (podname, nodenames) = args.nodes.wire()?;
    let progress = context.log.is_terminal();
    let options = pb::CacheImageOptions { podname, nodenames, images: args.images, step: args.concurrent, progress };
    let mut stream = context.write_stream("CacheImage", options, async |mut core, o| core.cache_image(o).await).await?;
    let (mut good, mut total) = (0, 0);
    let mut pulls = Pulls::default();
    while let Some(message) = stream.next().await? {
        if message.in_progress {
            context.log.progress(&pulls.note(&message));
            continue;
        }
        pulls.end(&message);
        total += 1;
        good += usize::from(message.success);
        context.output.print_message(&message)?;
        let (image, node) = (&message.image, &message.nodename);
        if message.success {
            context.log.info(format!("[CacheImage] cache image {image} on {node} success"));
        } else {
            let reason = in_words(&message.message);
            context.log.warn(format!("[CacheImage] cache image {image} on {node} failed: {reason}"));
        }
    }
    context.log.end_progress();
    summary(good, total, "cached")
}

/// How far the pulls are: bytes done and in all, by layer, by node and image.
#[derive(Debug, Default)]
struct Pulls(BTreeMap<(String, String), BTreeMap<String, (i64, i64)>>);

impl Pulls {
    /// Takes note, and says it in a line.
    fn note(&mut self, message: &pb::CacheImageMessage) -> String {
        let layers = self.0.entry((message.nodename.clone(), message.image.clone())).or_default();
        if message.bytes_total > 0 {
            layers.insert(message.layer.clone(), (message.bytes_done, message.bytes_total));
        }
        let sum = |part: fn(&(i64, i64)) -> i64| {
            render::size(self.0.values().flat_map(BTreeMap::values).map(part).map(|n| n.max(0) as u64).sum())
        };
        let (done, all) = (sum(|(done, _)| *done), sum(|(_, all)| *all));
        let (image, node) = (&message.image, &message.nodename);
        format!("{image} on {node}: {} ({done} of {all}, {} running)", message.message, self.0.len())
    }

    fn end(&mut self, message: &pb::CacheImageMessage) {
        self.0.remove(&(message.nodename.clone(), message.image.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layers_add_up() {
        let message = |layer: &str, done, total| pb::CacheImageMessage {
            image: "nginx:1".into(),
            nodename: "n1".into(),
            message: "Downloading".into(),
            in_progress: true,
            layer: layer.into(),
            bytes_done: done,
            bytes_total: total,
            ..Default::default()
        };
        let mut pulls = Pulls::default();
        pulls.note(&message("a", 512, 1024));
        pulls.note(&message("b", 0, 3 << 10));
        let line = pulls.note(&message("a", 1024, 1024));
        assert_eq!(line, "nginx:1 on n1: Downloading (1.0 KiB of 4.0 KiB, 1 running)");
        pulls.end(&message("", 0, 0));
        assert!(pulls.0.is_empty());
    }
}
