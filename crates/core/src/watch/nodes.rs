//! `NodeStatusStream`: changes of nodes between alive and not alive, and of core's word on them, from now on.

use super::StreamLimits;
use crate::cache::{Cache, NodeChange};
use eru_api::pb;
use eru_kv::Revision;
use futures::Stream;
use std::{collections::VecDeque, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// The messages, until `shutdown`.
///
/// # Errors
/// RESOURCE_EXHAUSTED when there are too many streams already.
pub fn stream(
    cache: Arc<Cache>,
    limits: &StreamLimits,
    shutdown: CancellationToken,
) -> Result<impl Stream<Item = Result<pb::NodeStatusStreamMessage, Status>> + Send + 'static + use<>, Status> {
    let reader = Reader {
        signal: cache.nodes_changed(),
        seen: cache.revision(),
        cache,
        ready: VecDeque::new(),
        shutdown,
        _permit: limits.permit()?,
    };
    Ok(futures::stream::unfold(Some(reader), |reader| async move {
        let mut reader = reader?;
        match reader.next().await {
            Some(message) => Some((Ok(message), Some(reader))),
            None => Some((Err(Status::unavailable("core is stopping")), None)),
        }
    }))
}

struct Reader {
    cache: Arc<Cache>,
    signal: watch::Receiver<Revision>,
    seen: Revision,
    ready: VecDeque<pb::NodeStatusStreamMessage>,
    shutdown: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Reader {
    /// The next message; `None` when core stops.
    async fn next(&mut self) -> Option<pb::NodeStatusStreamMessage> {
        loop {
            if let Some(message) = self.ready.pop_front() {
                return Some(message);
            }
            if self.shutdown.is_cancelled() {
                return None;
            }
            // Marked before the read: what changes during it wakes again.
            self.signal.mark_unchanged();
            let changes = {
                let state = self.cache.read();
                // A store that went back in time begins a history of its own.
                self.seen = self.seen.min(state.revision);
                state.node_index.changes_after(self.seen)
            };
            if let Some((last, _)) = changes.last() {
                self.seen = *last;
                self.ready.extend(changes.iter().map(|(_, change)| to_pb(change)));
                continue;
            }
            tokio::select! {
                biased;
                () = self.shutdown.cancelled() => return None,
                changed = self.signal.changed() => changed.ok()?,
            }
        }
    }
}

fn to_pb(change: &NodeChange) -> pb::NodeStatusStreamMessage {
    let error = if change.removed {
        // The text that the original's clients look for.
        format!("bad `Count` value: key: /node/{}", change.node)
    } else {
        String::new()
    };
    pb::NodeStatusStreamMessage {
        nodename: change.node.to_string(),
        podname: change.pod.to_string(),
        alive: change.alive,
        error,
        state: change.state.as_str().to_owned(),
        generation: change.generation,
    }
}
