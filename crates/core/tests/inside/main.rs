//! What is done inside of workloads and with the engines of nodes, through the front door, on simulated engines.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod exec;
mod files;
mod images;
mod lambda;
mod networks;
mod plain;
#[path = "../support/mod.rs"]
mod support;

use eru_api::pb::{AttachWorkloadMessage, StdStreamType};
use eru_runtime::{Fake, fake::script::PROGRAM};
use eru_types::NodeName;
use std::{sync::Arc, time::Duration};
use support::TestCore;
use tonic::Streaming;

/// Nothing here takes longer.
async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(support::PATIENCE, future).await.expect("it did not end in time")
}

/// A scripted command line.
fn script(words: &[&str]) -> Vec<String> {
    [PROGRAM].iter().chain(words).map(|word| (*word).to_owned()).collect()
}

fn engine(core: &TestCore, node: &str) -> Arc<Fake> {
    core.fakes.get(&NodeName::new(node).unwrap()).unwrap()
}

/// Which output, the text, and the exit code of the end.
type Said = (StdStreamType, String, Option<i32>);

fn said(message: &AttachWorkloadMessage) -> Said {
    let text = String::from_utf8_lossy(&message.data).into_owned();
    (message.std_stream_type(), text, message.exited.then_some(message.exit_code))
}

/// Everything until the end, which must be a good one.
async fn all<T>(stream: &mut Streaming<T>) -> Vec<T> {
    let mut messages = Vec::new();
    while let Some(message) = within(stream.message()).await.unwrap() {
        messages.push(message);
    }
    messages
}

/// Waits until a number does not change any more, and answers it.
async fn settled(mut number: impl FnMut() -> u64) -> u64 {
    let deadline = tokio::time::Instant::now() + support::PATIENCE;
    loop {
        let before = number();
        tokio::time::sleep(Duration::from_millis(300)).await;
        if number() == before {
            return before;
        }
        assert!(tokio::time::Instant::now() < deadline, "it does not come to rest");
    }
}
