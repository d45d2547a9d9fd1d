//! A watch that outlives its connections.
//!
//! # What is not believed
//! Up to 3.4.24 and 3.5.7 an answer to a progress request can overtake events that it covers, and a watch that still
//! catches up gets answers that are ahead of it. So an answer counts only when the watch has caught up, and when a
//! second one follows with no event between the two. Should an event come nevertheless that a progress note has covered,
//! the watch ends with `Compacted`, so that its reader lists again. Events that were delivered are dropped when they
//! come again, and so are those from before the wanted revision.

use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataValue;
use tonic::{Request, Status, Streaming};
use tracing::{debug, warn};

use super::error::{cause, refusal};
use super::proto::etcdserverpb::watch_client::WatchClient;
use super::proto::etcdserverpb::watch_request::RequestUnion;
use super::proto::etcdserverpb::{WatchCreateRequest, WatchProgressRequest, WatchRequest, WatchResponse};
use super::proto::mvccpb;
use super::store::{MESSAGE_BYTES_MAX, Shared};
use crate::port::{Error, Event, KeyRange, Result, Revision, Watch, WatchItem};

/// Silence after which the server is asked for progress; the port promises a sign of life every 10 s.
const ASK_AFTER: Duration = Duration::from_secs(9);
/// A watch that begins in the past has caught up after this time: etcd works on those ten times a second.
const CATCH_UP: Duration = Duration::from_secs(1);
/// First and longest pause before a new connection.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// Requests on their way to the server: the first one, and the next question for progress.
const REQUESTS_MAX: usize = 4;

/// A stream of responses with what is known about it.
struct Connection {
    responses: Streaming<WatchResponse>,
    requests: mpsc::Sender<WatchRequest>,
    /// Events of a response that comes in pieces.
    pieces: Vec<mvccpb::Event>,
    /// From when on answers to progress requests are believed.
    caught_up_at: Instant,
    /// The store's revision when the watch was made.
    made_at: i64,
    /// Progress requests sent, and answers that came; answers to given-up questions are counted and ignored.
    asked: u64,
    answered: u64,
}

/// Where a question for progress is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Question {
    None,
    /// To be asked as soon as the watch has caught up.
    Wanted,
    Asked,
    /// Answered once, with this revision; the second answer is on its way.
    Confirming(i64),
}

impl Question {
    fn is_under_way(self) -> bool {
        matches!(self, Self::Asked | Self::Confirming(_))
    }
}

pub(super) struct Watcher {
    shared: Arc<Shared>,
    key: bytes::Bytes,
    range_end: bytes::Bytes,
    connection: Option<Connection>,
    /// Revision of the last delivered event, or that before the first wanted one.
    delivered: i64,
    /// Revision up to which progress was told; not below `delivered`.
    told: i64,
    question: Question,
    /// Another question is wanted after the one under way.
    again: bool,
    progress: watch::Receiver<u64>,
    silence_ends: Instant,
    backoff: Duration,
    ended: bool,
}

enum Lost {
    /// Try again.
    Connection(String),
    /// Trying again does not help.
    For(Error),
}

impl Watcher {
    /// Returns once the server has registered the watch.
    pub(super) async fn start(shared: Arc<Shared>, range: &KeyRange, from: i64) -> Result<Watch> {
        let (key, range_end) = shared.prefix.range(range);
        let progress = shared.progress.subscribe();
        let mut watcher = Self {
            shared,
            key,
            range_end,
            connection: None,
            delivered: from - 1,
            told: from - 1,
            question: Question::None,
            again: false,
            progress,
            silence_ends: Instant::now() + ASK_AFTER,
            backoff: BACKOFF.0,
            ended: false,
        };
        watcher.connect().await?;
        Ok(Box::pin(stream::unfold(watcher, |mut watcher| async move {
            let item = watcher.next_item().await?;
            watcher.silence_ends = Instant::now() + ASK_AFTER;
            Some((item, watcher))
        })))
    }

    async fn next_item(&mut self) -> Option<Result<WatchItem>> {
        if self.ended {
            return None;
        }
        let closed = self.shared.closed.clone();
        loop {
            let step = tokio::select! {
                biased;
                () = closed.cancelled() => Err(Lost::For(Shared::closed_error())),
                step = self.step() => step,
            };
            match step {
                Ok(None) => {}
                Ok(Some(item)) => {
                    self.ended = matches!(item, WatchItem::Compacted(_));
                    return Some(Ok(item));
                }
                Err(Lost::Connection(cause)) => {
                    debug!(cause, after = self.told, "a watch lost its connection to etcd");
                    self.connection = None;
                }
                Err(Lost::For(error)) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
        }
    }

    /// Waits for one thing to happen.
    async fn step(&mut self) -> Result<Option<WatchItem>, Lost> {
        let Some(connection) = &mut self.connection else {
            return self.reconnect().await.map(|()| None);
        };
        let asks_at = if self.question == Question::Wanted { connection.caught_up_at } else { self.silence_ends };
        tokio::select! {
            biased;
            response = connection.responses.message() => match response {
                Ok(Some(response)) => self.take(response),
                Ok(None) => Err(Lost::Connection("the server ended the stream".into())),
                Err(status) => Err(Lost::Connection(cause(&status))),
            },
            // The sender lives in `shared`.
            _ = self.progress.changed() => {
                if self.question.is_under_way() {
                    self.again = true;
                } else {
                    self.question = Question::Wanted;
                }
                Ok(None)
            }
            () = sleep_until(asks_at) => {
                self.silence_ends = Instant::now() + ASK_AFTER;
                self.ask(Question::Asked)
            }
        }
    }

    fn ask(&mut self, question: Question) -> Result<Option<WatchItem>, Lost> {
        let Some(connection) = &mut self.connection else { return Ok(None) };
        let request = WatchRequest { request_union: Some(RequestUnion::ProgressRequest(WatchProgressRequest {})) };
        match connection.requests.try_send(request) {
            Ok(()) => {
                connection.asked += 1;
                self.question = question;
                Ok(None)
            }
            // Questions are hints, and the server does not take them in; the next silence asks again.
            Err(mpsc::error::TrySendError::Full(_)) => {
                self.question = Question::None;
                Ok(None)
            }
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Lost::Connection("the server closed the stream".into())),
        }
    }

    fn take(&mut self, response: WatchResponse) -> Result<Option<WatchItem>, Lost> {
        if response.compact_revision > 0 {
            return Ok(Some(WatchItem::Compacted(Revision(response.compact_revision))));
        }
        if response.canceled {
            return Err(Lost::Connection(response.cancel_reason));
        }
        let Some(connection) = &mut self.connection else { return Ok(None) };
        let revision = response.header.as_ref().map_or(0, |header| header.revision);
        let is_answer = response.events.is_empty() && !response.fragment && connection.pieces.is_empty();
        connection.pieces.extend(response.events);
        if response.fragment {
            return Ok(None);
        }
        let events = std::mem::take(&mut connection.pieces);
        match (is_answer, response.watch_id) {
            // An answer to a question of ours names no watch.
            (true, ..0) => self.take_answer(revision),
            // A note that the server sends by itself goes the way of the events, and so is in order.
            (true, _) => Ok(Some(self.tell(revision))),
            (false, _) => self.take_events(events),
        }
    }

    fn take_answer(&mut self, revision: i64) -> Result<Option<WatchItem>, Lost> {
        let Some(connection) = &mut self.connection else { return Ok(None) };
        connection.answered += 1;
        if connection.answered < connection.asked {
            return Ok(None);
        }
        match self.question {
            Question::Asked => self.ask(Question::Confirming(revision)),
            Question::Confirming(first) => {
                let again = std::mem::take(&mut self.again);
                self.question = if again { Question::Wanted } else { Question::None };
                Ok(Some(self.tell(first)))
            }
            Question::None | Question::Wanted => Ok(None),
        }
    }

    fn tell(&mut self, revision: i64) -> WatchItem {
        self.told = self.told.max(revision);
        WatchItem::Progress(Revision(revision))
    }

    fn take_events(&mut self, events: Vec<mvccpb::Event>) -> Result<Option<WatchItem>, Lost> {
        if self.question != Question::None {
            // The answers so far may have overtaken more of these.
            self.question = Question::Wanted;
        }
        let mut fresh = Vec::with_capacity(events.len());
        let mut last = 0;
        for event in events {
            let event = self.shared.prefix.event(event).map_err(Lost::For)?;
            let at = match &event {
                Event::Put(kv) => kv.mod_revision.0,
                Event::Delete { revision, .. } => revision.0,
            };
            if at <= self.delivered {
                continue;
            }
            if at <= self.told {
                warn!(revision = at, progress = self.told, "etcd sent an event after progress beyond it: list again");
                return Ok(Some(WatchItem::Compacted(Revision(self.told + 1))));
            }
            last = at;
            fresh.push(event);
        }
        if fresh.is_empty() {
            return Ok(None);
        }
        (self.delivered, self.told) = (last, last);
        if let Some(connection) = self.connection.as_mut().filter(|connection| last > connection.made_at) {
            connection.caught_up_at = connection.caught_up_at.min(Instant::now());
        }
        Ok(Some(WatchItem::Events { revision: Revision(last), events: fresh }))
    }

    // Connections.

    async fn reconnect(&mut self) -> Result<(), Lost> {
        let jitter = rand::random_range(0.5..1.0);
        tokio::time::sleep(self.backoff.mul_f64(jitter)).await;
        let first_failure = self.backoff == BACKOFF.0;
        self.backoff = (self.backoff * 2).min(BACKOFF.1);
        match self.connect().await {
            Ok(()) => Ok(()),
            Err(error @ Error::Unavailable { .. }) => {
                if first_failure {
                    warn!(%error, "a watch cannot reach etcd, and goes on trying");
                }
                Ok(())
            }
            Err(error) => Err(Lost::For(error)),
        }
    }

    /// Tries every member once.
    async fn connect(&mut self) -> Result<()> {
        let shared = self.shared.clone();
        let mut last = None;
        for (index, uri, channel) in shared.endpoints.in_order() {
            let opened = tokio::time::timeout(shared.endpoints.request_timeout, self.open(channel)).await;
            let status = match opened {
                Ok(Ok((connection, cluster_id))) if cluster_id == shared.cluster_id => {
                    shared.endpoints.use_member(index);
                    self.connection = Some(connection);
                    self.backoff = BACKOFF.0;
                    if self.question != Question::None {
                        self.question = Question::Wanted;
                    }
                    return Ok(());
                }
                Ok(Ok((_, cluster_id))) => {
                    return Err(Error::Storage(format!(
                        "etcd at {uri} is cluster {cluster_id:016x} now, it was {:016x}",
                        shared.cluster_id
                    )));
                }
                Ok(Err(status)) => status,
                Err(_) => Status::unavailable(format!("no answer within {:?}", shared.endpoints.request_timeout)),
            };
            last = Some(refusal(&status, uri, false));
        }
        Err(last.expect("there is at least one member").into())
    }

    /// Opens a stream and waits until the watch is registered.
    async fn open(&self, channel: tonic::transport::Channel) -> Result<(Connection, u64), Status> {
        let (requests, receiver) = mpsc::channel(REQUESTS_MAX);
        let from = self.told + 1;
        let create = WatchCreateRequest {
            key: self.key.clone(),
            range_end: self.range_end.clone(),
            start_revision: from,
            progress_notify: true,
            fragment: true,
        };
        let create = WatchRequest { request_union: Some(RequestUnion::CreateRequest(create)) };
        requests.try_send(create).map_err(|_| Status::internal("the queue of a new watch is full"))?;
        let mut request = Request::new(ReceiverStream::new(receiver));
        // A member that has lost its cluster ends the stream instead of keeping silent.
        request.metadata_mut().insert("hasleader", MetadataValue::from_static("true"));
        let mut client = WatchClient::new(channel).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let mut responses = client.watch(request).await?.into_inner();
        let created = responses.message().await?.ok_or_else(|| Status::unavailable("the server ended the stream"))?;
        if created.canceled || !created.created {
            return Err(Status::unavailable(format!("the watch was refused: {}", created.cancel_reason)));
        }
        let header = created.header.unwrap_or_default();
        let behind = from <= header.revision;
        let caught_up_at = Instant::now() + if behind { CATCH_UP } else { Duration::ZERO };
        let made_at = header.revision;
        let connection =
            Connection { responses, requests, pieces: Vec::new(), caught_up_at, made_at, asked: 0, answered: 0 };
        Ok((connection, header.cluster_id))
    }
}
