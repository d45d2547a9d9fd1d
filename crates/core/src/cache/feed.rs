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
    let (cache, feed) = Cache::load(kv, options, shutdown).await?;
    tokio::spawn(feed);
    Ok(cache)
}

impl Cache {
    /// As [`Cache::start`], for a caller who sees to it that the feed is run, and learns when it fails.
    ///
    /// # Errors
    /// Whatever the store answers to the load.
    pub async fn load(
        kv: Arc<dyn Kv>,
        options: CacheOptions,
        shutdown: CancellationToken,
    ) -> Result<(Arc<Self>, impl Future<Output = ()> + Send + 'static), Error> {
        let cache = empty(&kv, options);
        let (revision, kvs) = load(kv.as_ref()).await?;
        take_load(&cache, revision, kvs);
        Ok((cache.clone(), feed(cache, kv, shutdown)))
    }
}

fn empty(kv: &Arc<dyn Kv>, options: CacheOptions) -> Arc<Cache> {
    let (asking, nudging) = (kv.clone(), kv.clone());
    Cache::new(Parts {
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
    })
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
            let (era, loads) = (state.era + 1, state.loads);
            *state = State::new(state.index.limits());
            (state.era, state.loads) = (era, loads);
        }
        let touched = state.reload(revision, kvs, now_ms());
        if state.index.oldest_resume() == Revision(0) {
            state.index.raise_horizon(revision);
        }
        touched
    });
}

async fn feed(cache: Arc<Cache>, kv: Arc<dyn Kv>, shutdown: CancellationToken) {
    // However it ends, streams must not wait for more.
    let feeding = Feeding(cache);
    let cache = &*feeding.0;
    let mut retry = RETRY_FIRST;
    loop {
        let outcome = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            outcome = follow(cache, kv.as_ref(), &mut retry) => outcome,
        };
        let outcome = match outcome {
            Err(Error::Compacted(first)) => {
                tracing::info!(have = %cache.revision(), %first, "the history that is missing is compacted; loading again");
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => break,
                    loaded = load(kv.as_ref()) => loaded.map(|(revision, kvs)| take_load(cache, revision, kvs)),
                }
            }
            // A store that is behind us was replaced by an older one.
            Err(Error::Future(store)) => {
                tracing::warn!(have = %cache.revision(), %store, "the store is behind; loading again");
                tokio::select! {
                    biased;
                    () = shutdown.cancelled() => break,
                    loaded = load(kv.as_ref()) => loaded.map(|(revision, kvs)| take_load(cache, revision, kvs)),
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
}

/// Ends the streams when the feed does.
struct Feeding(Arc<Cache>);

impl Drop for Feeding {
    fn drop(&mut self) {
        self.0.signals().close();
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cache::WorkloadFilter,
        cache::testing::World,
        record::PlacementState,
        watch::{StreamLimits, Subscribe, subscribe},
    };
    use eru_kv::{Durability, Embedded, EmbeddedOptions, GuardedPut};
    use std::sync::mpsc;

    const DEADLINE: Duration = Duration::from_secs(30);

    /// What a world holds, in a real store.
    async fn copy(world: &World, kv: &dyn Kv) {
        let put = |kv: &KeyValue| GuardedPut {
            guards: Vec::new(),
            key: kv.key.clone(),
            value: kv.value.clone(),
            lease: kv.lease,
        };
        let puts: Vec<_> = world.kvs.values().map(put).collect();
        kv.put_each(puts, Durability::Observed).await.unwrap();
    }

    fn world(workloads: usize) -> World {
        let mut world = World::new(TombstoneLimits::default());
        world.pod("p1").node("n1");
        for n in 0..workloads {
            let (name, id) = (format!("a_web_{n:06}"), format!("id{n:06}"));
            world.place("n1", &name, PlacementState::Running, Some(&id)).report("n1", &id, true, 0);
        }
        world.send();
        world
    }

    #[tokio::test]
    async fn everything_is_loaded_then_followed_and_streams_end_with_the_core() {
        // More than one page.
        const WORKLOADS: usize = PAGE_KEYS;
        let mut world = world(WORKLOADS);
        let folder = tempfile::tempdir().unwrap();
        let kv = Embedded::open(folder.path(), EmbeddedOptions::default()).unwrap();
        copy(&world, kv.as_ref()).await;
        let shutdown = CancellationToken::new();
        let cache = Cache::start(kv.clone(), CacheOptions::default(), shutdown.clone()).await.unwrap();
        assert_eq!(cache.workloads(&WorkloadFilter::default()).len(), WORKLOADS);

        let limits = StreamLimits::default();
        let plain = Subscribe::parse(Default::default(), &limits).unwrap();
        let mut stream = Box::pin(subscribe(cache.clone(), plain, &limits, CancellationToken::new()).unwrap());
        world.kvs.clear();
        world.place("n1", "b_web_AAAAAA", PlacementState::Running, Some("b1")).report("n1", "b1", true, 0);
        copy(&world, kv.as_ref()).await;
        cache.linearizable().await.unwrap();
        assert_eq!(cache.revision(), kv.revision().await.unwrap());
        assert!(cache.workload(&crate::cache::testing::id("b1")).is_some());
        let message = tokio::time::timeout(DEADLINE, stream.next()).await.unwrap().unwrap().unwrap();
        assert_eq!(message.decode().unwrap().id, "b1");

        shutdown.cancel();
        let end = tokio::time::timeout(DEADLINE, stream.next()).await.unwrap().unwrap().unwrap_err();
        assert_eq!((end.code(), end.message()), (tonic::Code::Unavailable, "core is stopping"));
        kv.close().await.unwrap();
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn history_that_is_gone_is_replaced_by_a_load() {
        let mut world = world(100);
        let folder = tempfile::tempdir().unwrap();
        let options = EmbeddedOptions { history_bytes_max: 16 * 1024, ..EmbeddedOptions::default() };
        let kv = Embedded::open(folder.path(), options).unwrap();
        let shutdown = CancellationToken::new();
        let cache = Cache::start(kv.clone(), CacheOptions::default(), shutdown.clone()).await.unwrap();
        copy(&world, kv.as_ref()).await;
        cache.linearizable().await.unwrap();
        let loads = cache.loads();

        // A reader that never lets go keeps the feeder from following.
        let (release, held) = mpsc::channel::<()>();
        let (taken, is_taken) = mpsc::channel();
        let reader = std::thread::spawn({
            let cache = cache.clone();
            move || {
                let _state = cache.read();
                taken.send(()).unwrap();
                let _ = held.recv();
            }
        });
        is_taken.recv().unwrap();
        let gone = world.kvs.keys().find(|key| key.starts_with(b"/placement/")).unwrap().clone();
        let delete = eru_kv::Txn { then: vec![eru_kv::Op::delete(gone)], ..Default::default() };
        kv.txn(delete, Durability::Durable).await.unwrap();
        for running in [false, true, false, true, false] {
            for n in 0..100 {
                world.report("n1", &format!("id{n:06}"), running, 0);
            }
            world.kvs.retain(|key, _| key.starts_with(b"/status/"));
            copy(&world, kv.as_ref()).await;
        }
        drop(release);
        reader.join().unwrap();

        let revision = kv.revision().await.unwrap();
        assert!(cache.wait_for(revision, DEADLINE).await);
        assert!(cache.loads() > loads, "the feeder was too far behind to follow");
        let views = cache.workloads(&WorkloadFilter::default());
        assert_eq!(views.len(), 99);
        assert!(views.iter().all(|view| !view.shown().running));
        shutdown.cancel();
        kv.close().await.unwrap();
    }
}
