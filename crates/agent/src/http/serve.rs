//! Listening: bounded in connections, bytes and time.

use super::Pages;
use eru_client::Backoff;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{collections::VecDeque, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
    time::{sleep, timeout},
};

/// Connections at once; a few collectors and probes have one each. With one more the oldest is closed: who has had his
/// answer is gone long since, so it is one that only holds on.
const CONNECTIONS_LEN_MAX: usize = 64;
/// How long one connection may take from accept to close: a page is there at once.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(10);
/// Largest head of a request, in bytes, which is the least that hyper takes; and most lines in it.
const HEAD_BYTES_MAX: usize = 8 * 1024;
const HEADERS_LEN_MAX: usize = 64;
/// Waits between attempts to listen: who holds the port is often the agent that this one follows.
const BACKOFF_FIRST: Duration = Duration::from_millis(200);
const BACKOFF_MOST: Duration = Duration::from_secs(5);
/// The pause after an accept that failed, for want of descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves until it is dropped. An address that cannot be had is tried again for ever: watching the workloads is the work,
/// and must not depend on a port that shows figures.
pub(crate) async fn serve(address: SocketAddr, pages: Arc<Pages>) {
    let listener = listen(address).await;
    let mut connections = JoinSet::new();
    let mut oldest_first: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        tokio::select! {
            Some(_) = connections.join_next() => oldest_first.retain(|connection| !connection.is_finished()),
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    if oldest_first.len() >= CONNECTIONS_LEN_MAX && let Some(oldest) = oldest_first.pop_front() {
                        oldest.abort();
                    }
                    oldest_first.push_back(connections.spawn(talk(stream, pages.clone())));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
        }
    }
}

async fn listen(address: SocketAddr) -> TcpListener {
    let mut backoff = Backoff::new(BACKOFF_FIRST, BACKOFF_MOST);
    let mut told = String::new();
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                let bound = listener.local_addr().unwrap_or(address);
                tracing::info!(address = %bound, "serving /healthz, /version and /metrics");
                return listener;
            }
            Err(error) => {
                let cause = crate::health::in_words(&error);
                if cause != told {
                    tracing::error!(%address, error = %cause, "cannot listen on api.addr, trying again; workloads are watched meanwhile");
                    told = cause;
                }
            }
        }
        sleep(backoff.next_wait()).await;
    }
}

async fn talk(stream: TcpStream, pages: Arc<Pages>) {
    let service = service_fn(|request| {
        let answer = pages.answer(request.method(), request.uri().path());
        async move { Ok::<_, std::convert::Infallible>(answer) }
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(CONNECTION_TIMEOUT)
        .keep_alive(false)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_LEN_MAX);
    // What a client does wrong is told to the client, or it has gone.
    let _ = timeout(CONNECTION_TIMEOUT, builder.serve_connection(TokioIo::new(stream), service)).await;
}
