//! The stream of an informer: connect, read, notice silence, reconnect.

use super::{
    fold::Start,
    handle::State,
    options::{Filter, InformerOptions},
};
use crate::{Backoff, Client, Error, Route};
use eru_api::pb;
use std::{sync::Arc, time::Duration};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

/// Signs of life that may be missed in a row before a stream counts as dead.
const BOOKMARKS_MISSED_MAX: u32 = 3;

/// Runs until shutdown.
pub(super) async fn run(
    client: Client,
    filter: Filter,
    options: InformerOptions,
    state: Arc<State>,
    shutdown: CancellationToken,
) {
    let attempts = watch_for_ever(&client, &filter, &options, &state);
    shutdown.run_until_cancelled(attempts).await;
    state.stop();
}

async fn watch_for_ever(client: &Client, filter: &Filter, options: &InformerOptions, state: &State) {
    let mut backoff = Backoff::new(options.backoff_first, options.backoff_most);
    loop {
        let route = client.route();
        let start = state.connect();
        let problem = watch(&route, request(filter, options, start), options, state).await;
        if state.disconnect() {
            backoff.reset();
        } else if problem.refuses_the_request() {
            // Our cores answer a token that they cannot use with RESYNC; another one may say no, and would say so for ever.
            state.forget_token();
        }
        let text = problem.to_string();
        if state.set_problem(text.clone()) {
            tracing::warn!(core = %route.address(), error = %text, "status stream is down, connecting again");
        }
        tokio::time::sleep(backoff.next_wait()).await;
    }
}

/// Reads one stream until it ends, and says why it did.
async fn watch(
    route: &Route,
    request: pb::WorkloadStatusStreamOptions,
    options: &InformerOptions,
    state: &State,
) -> Problem {
    let silence_max = options.bookmark_interval * BOOKMARKS_MISSED_MAX;
    let mut core = route.core();
    let mut stream = match timeout(silence_max, core.workload_status_stream(request)).await {
        Err(_) => return silent(route, silence_max),
        Ok(outcome) => match route.settle(outcome) {
            Ok(response) => response.into_inner(),
            Err(error) => return Problem::Failed(error),
        },
    };
    loop {
        match timeout(silence_max, stream.message()).await {
            Err(_) => return silent(route, silence_max),
            Ok(Ok(Some(message))) => state.apply(message),
            Ok(Ok(None)) => {
                route.failed();
                return Problem::Ended;
            }
            Ok(Err(status)) => {
                route.failed();
                return Problem::Failed(Error::from_status(route.address(), status));
            }
        }
    }
}

fn silent(route: &Route, after: Duration) -> Problem {
    route.failed();
    Problem::Silent(after)
}

#[derive(Debug, thiserror::Error)]
enum Problem {
    #[error(transparent)]
    Failed(Error),
    #[error("the core ended the status stream")]
    Ended,
    #[error("the core has been silent for {} ms", .0.as_millis())]
    Silent(Duration),
}

impl Problem {
    /// Whether the core has understood the request and wants none of it. A login that is refused is not about the token.
    fn refuses_the_request(&self) -> bool {
        use tonic::Code::{DataLoss, FailedPrecondition, InvalidArgument, NotFound, OutOfRange};
        let Self::Failed(Error::Answered(status)) = self else { return false };
        matches!(status.code(), DataLoss | FailedPrecondition | InvalidArgument | NotFound | OutOfRange)
    }
}

fn request(filter: &Filter, options: &InformerOptions, start: Start) -> pb::WorkloadStatusStreamOptions {
    let (snapshot, resume_token) = match start {
        Start::Snapshot => (true, bytes::Bytes::new()),
        Start::Token(token) => (true, token),
    };
    pb::WorkloadStatusStreamOptions {
        appname: filter.app.clone(),
        entrypoint: filter.entrypoint.clone(),
        nodename: filter.node.clone(),
        labels: filter.labels.clone(),
        snapshot,
        resume_token,
        bookmark_interval_ms: u32::try_from(options.bookmark_interval.as_millis()).unwrap_or(u32::MAX),
    }
}
