//! The store's handle: opening, closing, and the port.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use super::committer::{Committer, Wake};
use super::disk::{Disk, Failure, Opener};
use super::state::{Flush, Settled, State};
use super::watch::Cursor;
use crate::check;
use crate::port::{
    Durability, Error, GuardedPut, KeyRange, Kv, LeaseId, Op, PutOutcome, RangeOptions, RangeReply, Result, Revision,
    StoreIdentity, Txn, TxnReply, Watch,
};

/// Writes that may wait for the disk at once; more wait in line. One commit takes all that are there.
const IN_FLIGHT_MAX: usize = 4096;
/// An observed list of at least so many puts gives way to other tasks once: it needs no waiting, so a caller in a loop
/// would keep the watches of its runtime thread from running.
const YIELD_PUTS: usize = 32;
/// Revisions forgotten under one lock hold, well below a millisecond.
const COMPACT_STEP: usize = 512;

/// How an embedded store behaves.
#[derive(Debug, Clone)]
pub struct EmbeddedOptions {
    /// Most bytes of all keys and values together; all of them are in memory. As etcd's default.
    pub quota_bytes: u64,
    /// Most bytes of history (events and what they overwrote) in memory. The oldest is forgotten beyond it, and a watch
    /// that is further behind ends with `Compacted`.
    pub history_bytes_max: usize,
}

impl Default for EmbeddedOptions {
    fn default() -> Self {
        Self { quota_bytes: 2 << 30, history_bytes_max: 64 << 20 }
    }
}

/// What the handle, the committer and the watches share.
pub(super) struct Shared {
    pub(super) state: RwLock<State>,
    pub(super) wake: Wake,
    /// The published revision; watches wake by it.
    pub(super) published: watch::Sender<i64>,
    /// Counts requests for progress.
    pub(super) progress: watch::Sender<u64>,
    /// Cancelled once the store takes no more requests.
    pub(super) closed: CancellationToken,
    folder: PathBuf,
}

impl Shared {
    /// Wakes the watches. Two callers may come in either order, so it never goes back.
    pub(super) fn announce(&self, revision: i64) {
        self.published.send_if_modified(|published| {
            let newer = revision > *published;
            *published = revision.max(*published);
            newer
        });
    }

    pub(super) fn closed_error(&self) -> Error {
        Error::Unavailable {
            endpoint: self.folder.display().to_string(),
            cause: "it is closed".into(),
            maybe_done: false,
        }
    }
}

/// The store of one machine: see the [module](super).
pub struct Embedded {
    shared: Arc<Shared>,
    identity: StoreIdentity,
    in_flight: Semaphore,
    committer: Mutex<Option<JoinHandle<()>>>,
    stopped: watch::Receiver<Option<Result<(), Failure>>>,
}

impl Embedded {
    /// Opens the store in `folder`, and makes it if there is none. Blocks for the time of reading the file.
    ///
    /// # Errors
    /// [`Error::Locked`] while somebody else holds it, [`Error::Storage`] for what is wrong with the folder or the file.
    pub fn open(folder: &Path, options: EmbeddedOptions) -> Result<Arc<Self>> {
        Self::open_with(folder, options, Disk::default_opener())
    }

    pub(super) fn open_with(folder: &Path, options: EmbeddedOptions, opener: Opener) -> Result<Arc<Self>> {
        let (disk, loaded) = Disk::open(folder, opener)?;
        let identity = loaded.identity.clone();
        let (published, _) = watch::channel(loaded.revision);
        let (progress, _) = watch::channel(0);
        let state = State::new(loaded, options.quota_bytes, options.history_bytes_max, Instant::now());
        let shared = Arc::new(Shared {
            state: RwLock::new(state),
            wake: Wake::default(),
            published,
            progress,
            closed: CancellationToken::new(),
            folder: folder.to_path_buf(),
        });
        let (stopped_sender, stopped) = watch::channel(None);
        let committer = Committer::new(shared.clone(), disk);
        let guarded = shared.clone();
        let thread = std::thread::Builder::new()
            .name("eru-store".into())
            .spawn(move || {
                let last = StopOnDrop { shared: guarded, stopped: stopped_sender };
                let result = committer.run();
                last.stopped.send_replace(Some(result));
            })
            .map_err(|cause| Error::Storage(format!("starting the store's thread failed: {cause}")))?;
        Ok(Arc::new(Self {
            shared,
            identity,
            in_flight: Semaphore::new(IN_FLIGHT_MAX),
            committer: Mutex::new(Some(thread)),
            stopped,
        }))
    }

    fn open_state(&self) -> Result<parking_lot::RwLockReadGuard<'_, State>> {
        let state = self.shared.state.read();
        if state.closed { Err(self.shared.closed_error()) } else { Ok(state) }
    }

    /// Applies a write and waits until it is published.
    async fn write<T>(&self, durability: Durability, apply: impl FnOnce(&mut State) -> Result<T>) -> Result<T> {
        let _permit = self.in_flight.acquire().await.expect("the semaphore is never closed");
        let (value, settled, published) = {
            let mut state = self.shared.state.write();
            if state.closed {
                return Err(self.shared.closed_error());
            }
            let before = state.seq();
            let value = apply(&mut state)?;
            let settled = state.settle(before, durability == Durability::Durable);
            (value, settled, state.published)
        };
        match settled {
            Settled::Now(flush) => {
                self.shared.announce(published);
                match flush {
                    Flush::Known => {}
                    Flush::Soon => self.shared.wake.flush(),
                    Flush::Now => self.shared.wake.commit(),
                }
            }
            Settled::AfterCommit(done) => {
                self.shared.wake.commit();
                done.await.map_err(|_| Error::Storage("the store's thread has died".into()))??;
            }
        }
        Ok(value)
    }

    fn begin_close(&self) {
        self.shared.state.write().closed = true;
        self.shared.closed.cancel();
        self.shared.wake.stop();
    }
}

/// If the committer panics, nobody may wait for it for ever.
struct StopOnDrop {
    shared: Arc<Shared>,
    stopped: watch::Sender<Option<Result<(), Failure>>>,
}

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        let mut state = self.shared.state.write();
        state.closed = true;
        state.waiters.clear();
        self.shared.closed.cancel();
    }
}

/// As [`Kv::close`], for those who cannot wait; errors are lost.
impl Drop for Embedded {
    fn drop(&mut self) {
        self.begin_close();
        if let Some(thread) = self.committer.lock().take() {
            let _ = thread.join();
        }
    }
}

fn only_reads(txn: &Txn) -> bool {
    txn.then.iter().chain(&txn.or_else).all(|op| matches!(op, Op::Get(_)))
}

#[async_trait]
impl Kv for Embedded {
    fn identity(&self) -> StoreIdentity {
        self.identity.clone()
    }

    async fn revision(&self) -> Result<Revision> {
        Ok(Revision(self.open_state()?.published))
    }

    async fn range(&self, range: &KeyRange, options: RangeOptions) -> Result<RangeReply> {
        check::range(range)?;
        if let Some(at) = options.at {
            check::revision("a range", at)?;
        }
        self.open_state()?.read(range, &options)
    }

    async fn txn(&self, txn: Txn, durability: Durability) -> Result<TxnReply> {
        check::txn(&txn)?;
        if only_reads(&txn) {
            return Ok(self.open_state()?.read_txn(&txn));
        }
        self.write(durability, |state| state.apply_txn(&txn)).await
    }

    async fn put_each(&self, puts: Vec<GuardedPut>, durability: Durability) -> Result<Vec<PutOutcome>> {
        check::puts(&puts)?;
        let outcomes = self.write(durability, |state| state.apply_puts(&puts)).await?;
        if durability == Durability::Observed && puts.len() >= YIELD_PUTS {
            tokio::task::yield_now().await;
        }
        Ok(outcomes)
    }

    async fn lease_grant(&self, ttl: Duration) -> Result<LeaseId> {
        let ttl_s = check::ttl_s(ttl)?;
        self.write(Durability::Durable, |state| Ok(state.apply_grant(ttl_s, Instant::now()))).await
    }

    async fn lease_keep_alive(&self, lease: LeaseId) -> Result<Duration> {
        let mut state = self.shared.state.write();
        if state.closed {
            return Err(self.shared.closed_error());
        }
        state.leases.keep_alive(lease, Instant::now()).ok_or(Error::LeaseGone(lease))
    }

    async fn lease_time_to_live(&self, lease: LeaseId) -> Result<Option<(Duration, Duration)>> {
        let state = self.open_state()?;
        Ok(state.leases.get(lease).map(|found| {
            let left = found.deadline.saturating_duration_since(Instant::now());
            (left, Duration::from_secs(found.ttl_s))
        }))
    }

    async fn lease_revoke(&self, lease: LeaseId) -> Result<()> {
        self.write(Durability::Durable, |state| {
            state.end_lease(lease);
            Ok(())
        })
        .await
    }

    async fn watch(&self, range: KeyRange, from: Revision) -> Result<Watch> {
        check::range(&range)?;
        check::revision("a watch", from)?;
        drop(self.open_state()?);
        Ok(Cursor::new(self.shared.clone(), range, from.0).into_watch())
    }

    async fn request_progress(&self) -> Result<()> {
        self.shared.progress.send_modify(|count| *count += 1);
        Ok(())
    }

    async fn compact(&self, revision: Revision) -> Result<()> {
        loop {
            {
                let mut state = self.shared.state.write();
                if revision.0 > state.published {
                    return Err(Error::Future(Revision(state.published)));
                }
                if !state.compact(revision.0, COMPACT_STEP) {
                    return Ok(());
                }
            }
            tokio::task::yield_now().await;
        }
    }

    async fn close(&self) -> Result<()> {
        self.begin_close();
        let mut stopped = self.stopped.clone();
        let result = match stopped.wait_for(Option::is_some).await {
            Ok(result) => result.clone().unwrap_or(Ok(())),
            Err(_) => Err(Failure::Storage("the store's thread has died".into())),
        };
        if let Some(thread) = self.committer.lock().take() {
            // It has nothing left to do but return.
            let _ = thread.join();
        }
        result.map_err(Error::from)
    }
}
