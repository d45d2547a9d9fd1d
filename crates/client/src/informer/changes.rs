//! What changed, and what of it one reader has not seen yet.

use super::{
    entry::{Entry, Snapshot},
    handle::Shared,
};
use futures::Stream;
use parking_lot::Mutex;
use std::{
    collections::{HashMap, VecDeque},
    pin::Pin,
    sync::{Arc, Weak},
    task::{Context, Poll, Waker},
};

/// One change of the whole.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A workload is there that was not.
    Added(Arc<Entry>),
    /// A workload or its status is different.
    Updated {
        /// What the reader was told last.
        old: Arc<Entry>,
        /// What is now.
        new: Arc<Entry>,
    },
    /// A workload is gone; this is what was last known of it.
    Removed(Arc<Entry>),
    /// The status of a workload has outlived its time to live; the workload is still there.
    Expired(Arc<Entry>),
    /// Everything until now has been told: after the first snapshot, and each time the stream has caught up again.
    Synced,
}

impl Change {
    /// The workload that it is about; none for [`Change::Synced`].
    pub fn entry(&self) -> Option<&Arc<Entry>> {
        match self {
            Self::Added(entry) | Self::Removed(entry) | Self::Expired(entry) | Self::Updated { new: entry, .. } => {
                Some(entry)
            }
            Self::Synced => None,
        }
    }
}

/// The changes that a reader has not taken yet: one per workload at most, oldest workload first. A workload that came and
/// went between two reads leaves nothing, so the queue holds no more than what the reader knows and what is there.
#[derive(Debug, Default)]
pub struct Queue {
    order: VecDeque<Slot>,
    /// What waits for each workload in `order`; nothing, when it came and went.
    pending: HashMap<Arc<str>, Option<Change>>,
    /// How many of them wait for nothing.
    empty: usize,
    /// The last [`Change::Synced`] was taken; before the first one nothing was.
    caught_up: bool,
}

/// Slots of workloads that came and went are swept out when there are this many more of them than others: seldom, so that
/// a push costs the same whatever is waiting.
const EMPTY_SLOTS_MAX: usize = 1024;

#[derive(Debug, PartialEq)]
enum Slot {
    Workload(Arc<str>),
    Synced,
}

impl Queue {
    /// A queue that begins with everything in `store`.
    pub fn with_all(store: &Snapshot, synced: bool) -> Self {
        let mut queue = Self::default();
        store.values().for_each(|entry| queue.push(Change::Added(entry.clone())));
        if synced {
            queue.push(Change::Synced);
        }
        queue
    }

    /// Adds a change, merged with what is waiting for the same workload.
    pub fn push(&mut self, change: Change) {
        let Some(entry) = change.entry() else {
            self.order.retain(|slot| *slot != Slot::Synced);
            self.order.push_back(Slot::Synced);
            self.caught_up = false;
            return;
        };
        let id: Arc<str> = entry.id().into();
        match self.pending.get_mut(&id) {
            None => {
                self.order.push_back(Slot::Workload(id.clone()));
                self.pending.insert(id, Some(change));
            }
            Some(waiting) => match waiting.take() {
                None => {
                    *waiting = Some(change);
                    self.empty -= 1;
                }
                Some(earlier) => {
                    *waiting = merge(earlier, change);
                    self.empty += usize::from(waiting.is_none());
                }
            },
        }
        self.sweep();
    }

    /// Takes the oldest.
    pub fn pop(&mut self) -> Option<Change> {
        loop {
            match self.order.pop_front()? {
                Slot::Synced => {
                    self.caught_up = true;
                    return Some(Change::Synced);
                }
                Slot::Workload(id) => match self.pending.remove(&id).expect("every slot has its entry") {
                    Some(change) => return Some(change),
                    None => self.empty -= 1,
                },
            }
        }
    }

    fn sweep(&mut self) {
        if self.empty <= EMPTY_SLOTS_MAX || self.empty * 2 <= self.order.len() {
            return;
        }
        self.pending.retain(|_, change| change.is_some());
        let pending = &self.pending;
        self.order.retain(|slot| match slot {
            Slot::Synced => true,
            Slot::Workload(id) => pending.contains_key(id),
        });
        self.empty = 0;
    }

    /// Whether the last [`Change::Synced`] was taken, and with it everything that came before it.
    pub fn is_caught_up(&self) -> bool {
        self.caught_up
    }

    /// How many are waiting.
    pub fn len(&self) -> usize {
        self.order.len() - self.empty
    }

    /// Whether none is waiting.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Two changes of one workload as one; nothing when they undo each other.
fn merge(waiting: Change, next: Change) -> Option<Change> {
    use Change::{Added, Expired, Removed, Synced, Updated};
    Some(match (waiting, next) {
        (Added(_), Removed(_)) => return None,
        (Added(_), Updated { new, .. } | Expired(new) | Added(new)) => Added(new),
        (Updated { old, .. } | Removed(old), Updated { new, .. } | Added(new)) => Updated { old, new },
        (_, next @ (Updated { .. } | Removed(_) | Expired(_) | Added(_) | Synced)) => next,
    })
}

/// A reader's own stream of changes: first everything that is there, then what changes. See [`super::Informer::changes`].
pub struct Changes {
    pub(super) reader: Arc<Reader>,
    /// Keeps the informer running while somebody reads.
    pub(super) shared: Arc<Shared>,
}

/// How far a reader is, for those who rely on what it makes of the changes. Cheap to clone.
#[derive(Clone)]
pub struct Progress(Weak<Reader>);

impl Progress {
    /// Whether the reader has taken everything up to the last [`Change::Synced`]. An informer that is live may have told
    /// its readers of a whole that they have not read through; what they have built by then is half of it.
    pub fn is_caught_up(&self) -> bool {
        self.0.upgrade().is_some_and(|reader| reader.0.lock().queue.is_caught_up())
    }
}

/// The informer's end of a [`Changes`].
#[derive(Default)]
pub(super) struct Reader(Mutex<ReaderState>);

#[derive(Default)]
struct ReaderState {
    queue: Queue,
    waker: Option<Waker>,
    stopped: bool,
}

impl Reader {
    pub(super) fn new(queue: Queue, stopped: bool) -> Arc<Self> {
        Arc::new(Self(Mutex::new(ReaderState { queue, waker: None, stopped })))
    }

    fn update(&self, f: impl FnOnce(&mut ReaderState)) {
        let waker = {
            let mut state = self.0.lock();
            f(&mut state);
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Tells every reader that still exists, and forgets the others.
    pub(super) fn tell(readers: &mut Vec<Weak<Reader>>, changes: &[Change]) {
        readers.retain(|reader| {
            let Some(reader) = reader.upgrade() else { return false };
            reader.update(|state| changes.iter().for_each(|c| state.queue.push(c.clone())));
            true
        });
    }

    pub(super) fn stop(readers: &mut Vec<Weak<Reader>>) {
        for reader in readers.drain(..).filter_map(|r| r.upgrade()) {
            reader.update(|state| state.stopped = true);
        }
    }
}

impl Changes {
    /// The next change; `None` when the informer has stopped and everything was read.
    ///
    /// # Cancel safety
    /// A change is taken only when it is returned.
    pub async fn next(&mut self) -> Option<Change> {
        std::future::poll_fn(|cx| self.poll(cx)).await
    }

    /// The next change if one is waiting.
    pub fn try_next(&mut self) -> Option<Change> {
        self.reader.0.lock().queue.pop()
    }

    /// How many changes are waiting.
    pub fn waiting(&self) -> usize {
        self.reader.0.lock().queue.len()
    }

    /// Everything, as in [`super::Informer::snapshot`].
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.shared.snapshot()
    }

    /// Tells others how far this reader is.
    pub fn progress(&self) -> Progress {
        Progress(Arc::downgrade(&self.reader))
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Change>> {
        let mut state = self.reader.0.lock();
        match state.queue.pop() {
            Some(change) => Poll::Ready(Some(change)),
            None if state.stopped => Poll::Ready(None),
            None => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Stream for Changes {
    type Item = Change;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Change>> {
        self.poll(cx)
    }
}
