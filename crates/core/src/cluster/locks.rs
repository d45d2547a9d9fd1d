//! One lock per key, for operations on one workload (or one owner) that must come one after the other.
//!
//! # Invariants
//! - A key that nobody holds or waits for takes no memory.
//! - Locks order the operations of this core only; those of other cores are met by guards in the store.

use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

type Entries = Arc<Mutex<HashMap<String, Arc<AsyncMutex<()>>>>>;

/// Locks by key.
#[derive(Clone, Default)]
pub(crate) struct Locks {
    entries: Entries,
}

/// A lock that is held; dropping it lets the next one in.
pub(crate) struct Held {
    entries: Entries,
    key: String,
    lock: Option<Arc<AsyncMutex<()>>>,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Locks {
    /// Waits for the lock of `key`.
    ///
    /// # Cancel safety
    /// Safe: who stops waiting leaves nothing behind.
    pub(crate) async fn acquire(&self, key: impl Into<String>) -> Held {
        let (lock, mut held) = self.enter(key.into());
        held.guard = Some(lock.lock_owned().await);
        held
    }

    /// The lock of `key`, if nobody holds it.
    pub(crate) fn try_acquire(&self, key: impl Into<String>) -> Option<Held> {
        let (lock, mut held) = self.enter(key.into());
        held.guard = Some(lock.try_lock_owned().ok()?);
        Some(held)
    }

    fn enter(&self, key: String) -> (Arc<AsyncMutex<()>>, Held) {
        let lock = self.entries.lock().entry(key.clone()).or_default().clone();
        (lock.clone(), Held { entries: self.entries.clone(), key, lock: Some(lock), guard: None })
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.entries.lock().len()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut entries = self.entries.lock();
        self.guard = None;
        self.lock = None;
        // Whoever holds or waits has a reference of their own; new ones are handed out under the lock held here.
        if entries.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            entries.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_at_a_time_by_key_and_nothing_stays() {
        let locks = Locks::default();
        let first = locks.acquire("a").await;
        assert!(locks.try_acquire("a").is_none());
        assert!(locks.try_acquire("b").is_some());
        let waiting = tokio::spawn({
            let locks = locks.clone();
            async move { drop(locks.acquire("a").await) }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        drop(first);
        waiting.await.unwrap();
        let held = locks.acquire("a").await;
        let gives_up = tokio::time::timeout(std::time::Duration::from_millis(1), locks.acquire("a")).await;
        assert!(gives_up.is_err());
        drop(held);
        assert_eq!(locks.len(), 0);
    }
}
