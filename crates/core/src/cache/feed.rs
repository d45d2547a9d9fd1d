//! The feeder: a paged load at one revision, then every change after it, for as long as the core lives.

use super::{Cache, Parts, State};
use crate::{keys, watch::index::TombstoneLimits};
use bytes::{BufMut, Bytes, BytesMut};
use eru_kv::{Error, KeyRange, KeyValue, Kv, RangeOptions, Revision, WatchItem};
use futures::{FutureExt, StreamExt};
use std::{sync::Arc, time::Duration};
use tokio_util::sync::CancellationToken;

/// Most keys of one page of the load: a thousand placements are about 1 MB.
const PAGE_KEYS: usize = 1000;
/// How long to wait after a failure of the store, at first and at most. The store's client retries by itself; this is
/// for what it gives up on.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// How a cache is kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct CacheOptions {
    /// How much is kept of what was removed, so that streams can resume.
    pub tombstones: TombstoneLimits,
}

pub(super) async fn start(
    kv: Arc<dyn Kv>,
    options: CacheOptions,
    shutdown: CancellationToken,
) -> Result<Arc<Cache>, Error> {
    let (asking, nudging) = (kv.clone(), kv.clone());
    let cache = Cache::new(Parts {
        identity: kv.identity(),
        ask: Box::new(move || {
            let kv = asking.clone();
            async move { kv.revision().await }.boxed()
        }),
        nudge: Box::new(move || {
            let kv = nudging.clone();
            async move {
                if let Err(error) = kv.request_progress().await {
                    tracing::debug!(%error, "the store did not take a request for progress");
                }
            }
            .boxed()
        }),
        tombstones: options.tombstones,
    });
    let (revision, kvs) = load(kv.as_ref()).await?;
    take_load(&cache, revision, kvs);
    tokio::spawn(feed(cache.clone(), kv, shutdown));
    Ok(cache)
}

/// Reads everything at one revision.
async fn load(kv: &dyn Kv) -> Result<(Revision, Vec<KeyValue>), Error> {
    loop {
        match load_once(kv).await {
            // A load that took longer than history is kept begins again.
            Err(Error::Compacted(_)) => {}
            outcome => return outcome,
        }
    }
}

async fn load_once(kv: &dyn Kv) -> Result<(Revision, Vec<KeyValue>), Error> {
    let mut range = keys::all();
    let mut at: Option<Revision> = None;
    let mut kvs = Vec::new();
    loop {
        let page = kv.range(&range, RangeOptions { at, limit: PAGE_KEYS }).await?;
        let revision = *at.get_or_insert(page.revision);
        let last = page.kvs.last().map(|kv| kv.key.clone());
        kvs.extend(page.kvs);
        match last {
            Some(last) if page.more => range = KeyRange { start: after(&last), end: range.end },
            _ => return Ok((revision, kvs)),
        }
    }
}

/// The key right behind `key`.
fn after(key: &[u8]) -> Bytes {
    let mut next = BytesMut::with_capacity(key.len() + 1);
    next.extend_from_slice(key);
    next.put_u8(0);
    next.freeze()
}

/// Takes a load in place of what is there. What it does not tell (what was removed, and when) nobody can resume past.
pub(super) fn take_load(cache: &Cache, revision: Revision, kvs: Vec<KeyValue>) {
    cache.update(|state| {
        if revision < state.revision {
            // The store was put back to an earlier day. Cursors of the other history mean nothing in this one.
            tracing::error!(had = %state.revision, now = %revision, "the store went back in time; everybody lists again");
            let era = state.era + 1;
            *state = State::new(state.index.limits());
            state.era = era;
        }
        let touched = state.reload(revision, kvs, now_ms());
        if state.index.oldest_resume() == Revision(0) {
            state.index.raise_horizon(revision);
        }
        touched
    });
}

async fn feed(cache: Arc<Cache>, kv: Arc<dyn Kv>, shutdown: CancellationToken) {
    let mut retry = RETRY_FIRST;
    loop {
        let outcome = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            outcome = follow(&cache, kv.as_ref(), &mut retry) => outcome,
        };
        let outcome = match outcome {
            Err(Error::Compacted(first)) => {
                tracing::info!(have = %cache.revision(), %first, "the history that is missing is compacted; loading again");
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => break,
                    loaded = load(kv.as_ref()) => loaded.map(|(revision, kvs)| take_load(&cache, revision, kvs)),
                }
            }
            // A store that is behind us was replaced by an older one.
            Err(Error::Future(store)) => {
                tracing::warn!(have = %cache.revision(), %store, "the store is behind; loading again");
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => break,
                    loaded = load(kv.as_ref()) => loaded.map(|(revision, kvs)| take_load(&cache, revision, kvs)),
                }
            }
            outcome => outcome,
        };
        if let Err(error) = outcome {
            tracing::warn!(%error, retry_ms = retry.as_millis(), "the watch on the store ended; watching again");
            tokio::select! {
                biased;
                () = shutdown.cancelled() => break,
                () = tokio::time::sleep(retry) => {}
            }
            retry = (retry * 2).min(RETRY_MAX);
        }
    }
    cache.signals().close();
}

/// Watches from where the cache is until the watch ends.
async fn follow(cache: &Cache, kv: &dyn Kv, retry: &mut Duration) -> Result<(), Error> {
    let mut watch = kv.watch(keys::all(), cache.revision().next()).await?;
    while let Some(item) = watch.next().await {
        match item? {
            WatchItem::Events { revision, events } => cache.update(|state| state.apply(revision, events, now_ms())),
            WatchItem::Progress(revision) => cache.update(|state| state.apply(revision, Vec::new(), now_ms())),
            WatchItem::Compacted(first) => return Err(Error::Compacted(first)),
        }
        *retry = RETRY_FIRST;
    }
    Err(Error::Unavailable { endpoint: "watch".into(), cause: "it ended".into(), maybe_done: false })
}

/// The wall clock, for "since when" in what is shown. Nothing is decided by it.
fn now_ms() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
