//! One subscriber: a filter, a position in the change index, and what it is doing.
//!
//! | phase | does | then |
//! | --- | --- | --- |
//! | opening | looks at the token | following from the token, or `RESYNC` and snapshot |
//! | snapshot | sends what lives, by serial | `SYNCED` with the revision at which it began, following from there |
//! | following | sends what changed after its position; says `SYNCED` once when a token was resumed | waits to be woken |
//!
//! A subscriber that fell behind the horizon (or whose store went back in time) begins again with `RESYNC`; a plain one,
//! which knows no such word, goes on with what is there.

use super::{
    Extended, Frame, StreamLimits, Subscribe, Token,
    index::{Lane, Position},
    signal::Signal,
};
use crate::cache::{Cache, Serial, State, WorkloadFilter, WorkloadView};
use eru_api::pb::workload_status_stream_message::Kind;
use eru_kv::Revision;
use futures::Stream;
use std::{collections::VecDeque, future::pending, pin::Pin, sync::Arc, time::Duration};
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::Status;

/// How long a token that is ahead of this core may wait for the core to catch up.
const AHEAD_TIMEOUT: Duration = Duration::from_secs(2);

/// Opens a subscription: its messages, from now on or as it asks.
///
/// # Errors
/// RESOURCE_EXHAUSTED when there are too many streams already.
pub fn subscribe(
    cache: Arc<Cache>,
    subscribe: Subscribe,
    limits: &StreamLimits,
    shutdown: CancellationToken,
) -> Result<impl Stream<Item = Result<Frame, Status>> + Send + use<>, Status> {
    let subscription = Subscription::new(cache, subscribe, limits, shutdown)?;
    Ok(futures::stream::unfold(subscription, |mut subscription| async move {
        let message = subscription.next().await?;
        Some((message, subscription))
    }))
}

struct Subscription {
    cache: Arc<Cache>,
    filter: WorkloadFilter,
    phase: Phase,
    bookmarks: Option<Bookmarks>,
    /// Everything up to and with it was sent.
    position: Position,
    /// Where the index was last read to its end. A plain subscriber has seen every status of up to here.
    floor: Revision,
    era: u64,
    ready: VecDeque<Frame>,
    signal: Signal,
    shutdown: Pin<Box<WaitForCancellationFutureOwned>>,
    stopping: CancellationToken,
    ended: bool,
    read_messages_max: usize,
    read_scan_max: usize,
    _permit: OwnedSemaphorePermit,
}

/// What an extended subscriber has beyond a plain one.
struct Bookmarks {
    interval: Duration,
    timer: Pin<Box<Sleep>>,
    due: bool,
}

#[derive(Clone)]
enum Phase {
    Opening(Token),
    Snapshot { next: Serial, end: Serial, at: Revision },
    Following { synced_at: Option<Revision> },
}

/// How far a read got.
enum Read {
    /// There is more.
    More,
    /// Everything up to the revision was read.
    All(Revision),
    /// The position is worthless.
    Behind(&'static str),
}

impl Subscription {
    fn new(
        cache: Arc<Cache>,
        subscribe: Subscribe,
        limits: &StreamLimits,
        shutdown: CancellationToken,
    ) -> Result<Self, Status> {
        let permit = limits.permit()?;
        let filter = subscribe.filter;
        let signal = cache.signals().subscribe(filter.app.as_ref());
        let (now, era) = {
            let state = cache.read();
            (state.revision, state.era)
        };
        let mut subscription = Self {
            cache,
            filter,
            phase: Phase::Following { synced_at: None },
            bookmarks: None,
            position: Position::after(now),
            floor: now,
            era,
            ready: VecDeque::new(),
            signal,
            shutdown: Box::pin(shutdown.clone().cancelled_owned()),
            stopping: shutdown,
            ended: false,
            read_messages_max: limits.read_messages_max,
            read_scan_max: limits.read_scan_max,
            _permit: permit,
        };
        if let Some(extended) = subscribe.extended {
            subscription.extend(extended, now);
        }
        Ok(subscription)
    }

    fn extend(&mut self, extended: Extended, now: Revision) {
        let interval = extended.bookmark_interval;
        self.bookmarks = Some(Bookmarks { interval, timer: Box::pin(tokio::time::sleep(interval)), due: false });
        match extended.resume {
            Some(token) => self.phase = Phase::Opening(token),
            None if extended.snapshot => self.begin_snapshot(),
            None => self.phase = Phase::Following { synced_at: Some(now) },
        }
    }

    /// The next message; `None` after the last one.
    async fn next(&mut self) -> Option<Result<Frame, Status>> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(Ok(frame));
            }
            if self.ended {
                return None;
            }
            if self.stopping.is_cancelled() {
                return Some(self.stop());
            }
            match self.phase.clone() {
                Phase::Opening(token) => self.open(token).await,
                Phase::Snapshot { next, end, at } => self.read_snapshot(next, end, at),
                Phase::Following { synced_at } => {
                    // Marked before the read: what changes during it wakes again.
                    self.signal.mark_unchanged();
                    let read = self.read_changes();
                    self.mark(&read, synced_at);
                    match read {
                        Read::Behind(reason) => self.resync(reason),
                        Read::All(_) if self.ready.is_empty() => {
                            if !self.wait().await {
                                return Some(self.stop());
                            }
                        }
                        Read::All(_) | Read::More => {}
                    }
                }
            }
            tokio::task::consume_budget().await;
        }
    }

    fn stop(&mut self) -> Result<Frame, Status> {
        self.ended = true;
        Err(Status::unavailable("core is stopping"))
    }

    /// Waits for something to do; false when there will be nothing any more.
    async fn wait(&mut self) -> bool {
        let Self { bookmarks, signal, shutdown, .. } = self;
        let due = async {
            match bookmarks {
                Some(bookmarks) => {
                    bookmarks.timer.as_mut().await;
                    bookmarks.due = true;
                }
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = shutdown.as_mut() => false,
            () = due => true,
            changed = signal.changed() => changed,
        }
    }

    async fn open(&mut self, token: Token) {
        let Token::Known { store, revision } = token else {
            return self.resync("the token was made by another version of core");
        };
        let here = self.cache.identity();
        if store.id != here.id {
            return self.resync("the token is of another store");
        }
        if store.epoch != here.epoch {
            return self.resync("the token is of before an unclean stop of the store");
        }
        if revision > self.cache.revision() {
            // Perhaps another core was ahead of this one. Whether that was so is seen below.
            let _ = tokio::time::timeout(AHEAD_TIMEOUT, self.cache.linearizable()).await;
        }
        let (now, oldest) = {
            let state = self.cache.read();
            self.era = state.era;
            (state.revision, state.index.oldest_resume())
        };
        if revision > now {
            return self.resync("the token is ahead of the store");
        }
        if revision < oldest {
            return self.resync("the token is older than what is kept of removals");
        }
        self.position = Position::after(revision);
        self.phase = Phase::Following { synced_at: Some(now) };
    }

    fn resync(&mut self, reason: &str) {
        if self.bookmarks.is_some() {
            self.ready.push_back(Frame::resync(&self.cache, reason));
            return self.begin_snapshot();
        }
        let state = self.cache.read();
        self.era = state.era;
        self.position = Position::after(state.revision);
        self.floor = state.revision;
    }

    fn begin_snapshot(&mut self) {
        let state = self.cache.read();
        self.era = state.era;
        self.phase = Phase::Snapshot { next: 0, end: state.next_serial(), at: state.revision };
    }

    /// Sends what lives, by serial. Serials only grow, so the snapshot ends however much changes meanwhile: what it does
    /// not hold is what began after it, and that follows as changes.
    fn read_snapshot(&mut self, mut next: Serial, end: Serial, at: Revision) {
        let mut found = Vec::with_capacity(self.read_messages_max);
        let read = {
            let state = self.cache.read();
            if state.era != self.era {
                Read::Behind("the store went back in time")
            } else {
                let mut read = Read::All(at);
                let from = next;
                let live = lane(&state, &self.filter).into_iter().flat_map(|lane| lane.live(from, end)).enumerate();
                for (scanned, view) in live {
                    if found.len() == self.read_messages_max || scanned == self.read_scan_max {
                        read = Read::More;
                        break;
                    }
                    next = view.serial + 1;
                    if self.filter.matches(view) {
                        found.push(view.clone());
                    }
                }
                read
            }
        };
        self.ready.extend(found.iter().map(|view| Frame::snapshot(view)));
        match read {
            Read::Behind(reason) => self.resync(reason),
            Read::More => self.phase = Phase::Snapshot { next, end, at },
            Read::All(_) => {
                self.position = Position::after(at);
                self.phase = Phase::Following { synced_at: None };
                self.push_mark(Kind::Synced, at);
            }
        }
    }

    /// Reads what changed after the position, and moves it.
    fn read_changes(&mut self) -> Read {
        let mut found: Vec<Arc<WorkloadView>> = Vec::with_capacity(self.read_messages_max);
        let is_plain = self.bookmarks.is_none();
        let read = {
            let state = self.cache.read();
            if state.era != self.era {
                return Read::Behind("the store went back in time");
            }
            if !is_plain && self.position.sent_through() < state.index.oldest_resume() {
                return Read::Behind("the stream fell behind what is kept of removals");
            }
            let mut read = Read::All(state.revision);
            let changes = lane(&state, &self.filter).into_iter().flat_map(|lane| lane.changes_after(self.position));
            let mut position = self.position;
            for (scanned, (at, view)) in changes.enumerate() {
                if found.len() == self.read_messages_max || scanned == self.read_scan_max {
                    read = Read::More;
                    break;
                }
                position = at;
                if (!is_plain || view.status_changed > self.floor) && self.filter.matches(view) {
                    found.push(view.clone());
                }
            }
            self.position = position;
            if let Read::All(revision) = read {
                self.position = Position::after(revision);
                self.floor = revision;
            }
            read
        };
        let frame = if is_plain { Frame::plain } else { Frame::change };
        self.ready.extend(found.iter().map(|view| frame(view)));
        read
    }

    /// Says `SYNCED` or `BOOKMARK` behind what was read, if it is time.
    fn mark(&mut self, read: &Read, synced_at: Option<Revision>) {
        let sent = match read {
            Read::All(revision) => *revision,
            Read::More => self.position.sent_through(),
            Read::Behind(_) => return,
        };
        if synced_at.is_some_and(|revision| sent >= revision) {
            self.phase = Phase::Following { synced_at: None };
            return self.push_mark(Kind::Synced, sent);
        }
        if let Some(bookmarks) = &mut self.bookmarks
            && synced_at.is_none()
            && (bookmarks.due || bookmarks.timer.deadline() <= Instant::now())
        {
            self.push_mark(Kind::Bookmark, sent);
        }
    }

    fn push_mark(&mut self, kind: Kind, revision: Revision) {
        self.ready.push_back(Frame::mark(kind, &self.cache, revision));
        if let Some(bookmarks) = &mut self.bookmarks {
            bookmarks.due = false;
            bookmarks.timer.as_mut().reset(Instant::now() + bookmarks.interval);
        }
    }
}

/// The shortest part of the index that holds everything that the filter means.
fn lane<'a>(state: &'a State, filter: &WorkloadFilter) -> Option<&'a Lane> {
    state.index.lane(filter.app.as_ref())
}
