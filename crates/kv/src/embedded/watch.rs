//! A watch is a cursor into history: it is woken, and reads on from where it is.

use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use tokio::sync::watch;
use tokio::time::Instant;

use super::store::Shared;
use crate::port::{Error, Event, KeyRange, Result, Revision, Watch, WatchItem};

/// Longest silence of a watch.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(10);
/// Revisions looked at under one lock hold; they are filtered outside of it.
const SCAN_REVISIONS: usize = 256;
/// An item is full from this many events on; a revision is never split.
const ITEM_EVENTS: usize = 1024;

pub(super) struct Cursor {
    shared: Arc<Shared>,
    range: KeyRange,
    /// The first revision that was not looked at.
    next: i64,
    published: watch::Receiver<i64>,
    progress: watch::Receiver<u64>,
    silence_ends: Instant,
    ended: bool,
}

enum Scan {
    Found(WatchItem),
    /// There is more to look at.
    Nothing,
    /// Everything published was looked at; this is its revision.
    UpToDate(i64),
}

impl Cursor {
    pub(super) fn new(shared: Arc<Shared>, range: KeyRange, from: i64) -> Self {
        let published = shared.published.subscribe();
        let progress = shared.progress.subscribe();
        Self { shared, range, next: from, published, progress, silence_ends: Instant::now(), ended: false }
    }

    pub(super) fn into_watch(mut self) -> Watch {
        self.silence_ends = Instant::now() + PROGRESS_INTERVAL;
        Box::pin(stream::unfold(self, |mut cursor| async move {
            let item = cursor.next_item().await?;
            cursor.silence_ends = Instant::now() + PROGRESS_INTERVAL;
            Some((item, cursor))
        }))
    }

    async fn next_item(&mut self) -> Option<Result<WatchItem>> {
        if self.ended {
            return None;
        }
        loop {
            // Before the scan, or what is published during it would not wake us.
            self.published.mark_unchanged();
            let up_to = match self.scan() {
                Scan::Found(item) => return Some(Ok(item)),
                Scan::Nothing => {
                    tokio::task::yield_now().await;
                    continue;
                }
                Scan::UpToDate(up_to) => up_to,
            };
            let closed = self.shared.closed.clone();
            tokio::select! {
                biased;
                // The senders live in `shared`, which this cursor holds.
                _ = self.published.changed() => {}
                _ = self.progress.changed() => return Some(Ok(WatchItem::Progress(Revision(up_to)))),
                () = closed.cancelled() => {
                    self.ended = true;
                    return Some(Err::<_, Error>(self.shared.closed_error()));
                }
                () = tokio::time::sleep_until(self.silence_ends) => {
                    return Some(Ok(WatchItem::Progress(Revision(up_to))));
                }
            }
        }
    }

    fn scan(&mut self) -> Scan {
        let (entries, published) = {
            let state = self.shared.state.read();
            if self.next < state.history.horizon {
                self.ended = true;
                return Scan::Found(WatchItem::Compacted(Revision(state.history.horizon)));
            }
            (state.history.between(self.next, state.published, SCAN_REVISIONS), state.published)
        };
        let looked_at_all = entries.len() < SCAN_REVISIONS;
        let mut events: Vec<Event> = Vec::new();
        for entry in entries {
            if events.len() >= ITEM_EVENTS {
                return found(events);
            }
            self.next = entry.revision + 1;
            events.extend(entry.events.iter().filter(|event| self.range.contains(key(event))).cloned());
        }
        if looked_at_all {
            self.next = self.next.max(published + 1);
        }
        match (events.is_empty(), looked_at_all) {
            (false, _) => found(events),
            (true, false) => Scan::Nothing,
            (true, true) => Scan::UpToDate(published),
        }
    }
}

fn found(events: Vec<Event>) -> Scan {
    let revision = events.last().map_or(Revision(0), revision);
    Scan::Found(WatchItem::Events { revision, events })
}

fn key(event: &Event) -> &[u8] {
    match event {
        Event::Put(kv) => &kv.key,
        Event::Delete { key, .. } => key,
    }
}

fn revision(event: &Event) -> Revision {
    match event {
        Event::Put(kv) => kv.mod_revision,
        Event::Delete { revision, .. } => *revision,
    }
}
