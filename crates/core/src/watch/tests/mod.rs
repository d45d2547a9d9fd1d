//! Streams from their front door.

mod client;
mod extended;
mod nodes;
mod plain;
mod property;
mod served;

use super::*;
use crate::cache::testing::World;
use eru_api::pb::{self, WorkloadStatusStreamMessage, WorkloadStatusStreamOptions};
use futures::{FutureExt, Stream, StreamExt};
use std::pin::Pin;
use tokio_util::sync::CancellationToken;
use tonic::Status;

/// A stream that is read by hand.
struct Reader {
    stream: Pin<Box<dyn Stream<Item = Result<Frame, Status>> + Send>>,
    shutdown: CancellationToken,
}

impl Reader {
    fn open(world: &World, options: WorkloadStatusStreamOptions) -> Self {
        Self::open_within(world, options, &StreamLimits::default())
    }

    /// One that reads little at a time, so that it is often in the midst of a revision.
    fn open_narrow(world: &World, options: WorkloadStatusStreamOptions) -> Self {
        let mut limits = StreamLimits::default();
        (limits.read_messages_max, limits.read_scan_max) = (1, 2);
        Self::open_within(world, options, &limits)
    }

    fn open_within(world: &World, options: WorkloadStatusStreamOptions, limits: &StreamLimits) -> Self {
        let shutdown = CancellationToken::new();
        let wanted = Subscribe::parse(options, limits).unwrap();
        let stream = Box::pin(subscribe(world.cache.clone(), wanted, limits, shutdown.clone()).unwrap());
        Self { stream, shutdown }
    }

    /// The next message that is there now. Unconstrained, because a task that read much is told to wait when it need not.
    fn try_next(&mut self) -> Option<WorkloadStatusStreamMessage> {
        Some(tokio::task::unconstrained(self.stream.next()).now_or_never()??.unwrap().decode().unwrap())
    }

    /// Everything that is there now.
    fn drain(&mut self) -> Vec<WorkloadStatusStreamMessage> {
        std::iter::from_fn(|| self.try_next()).collect()
    }

    /// Waits for the next message.
    async fn next(&mut self) -> WorkloadStatusStreamMessage {
        self.stream.next().await.unwrap().unwrap().decode().unwrap()
    }
}

fn options() -> WorkloadStatusStreamOptions {
    WorkloadStatusStreamOptions::default()
}

fn snapshot() -> WorkloadStatusStreamOptions {
    WorkloadStatusStreamOptions { snapshot: true, ..options() }
}

fn ids(messages: &[WorkloadStatusStreamMessage]) -> Vec<&str> {
    messages.iter().map(|message| message.id.as_str()).collect()
}

fn running(message: &WorkloadStatusStreamMessage) -> bool {
    message.status.as_ref().is_some_and(|status| status.running)
}
