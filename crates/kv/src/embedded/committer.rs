//! The thread that owns the database: it commits, flushes observed writes, and ends leases.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use tracing::{debug, error, warn};

use super::disk::{Changes, Disk, Failure};
use super::store::Shared;

/// From the publication of an observed write until it is on disk: the 100 ms that the port allows, less a margin for the
/// thread's waking. It is used up, because a commit costs by the pages it changes: the longer the pause, the more of the
/// writes share one.
const FLUSH_BUDGET: Duration = Duration::from_millis(90);
/// The pause before a flush where commits are so slow that the budget is no help: at most every other moment is spent on
/// flushing.
const FLUSH_DELAY_MIN: Duration = Duration::from_millis(25);
/// Quiet time after which the disk is told that nothing observed is ahead of it, so that an unclean stop costs no epoch.
const SETTLE_DELAY: Duration = Duration::from_secs(2);
/// Pause before a failed flush, or the end of a lease, is tried again.
const RETRY_DELAY: Duration = Duration::from_millis(250);
/// While there are leases the thread wakes this often, to notice that the process stood still.
const TICK: Duration = Duration::from_millis(500);
/// An unexpected pause longer than this is a stall, and moves all deadlines of leases.
const STALL_MIN: Duration = Duration::from_secs(1);

#[derive(Debug, Default, Clone, Copy)]
struct Signal {
    commit: bool,
    flush: bool,
    stop: bool,
}

/// Wakes the committer.
#[derive(Debug, Default)]
pub(super) struct Wake {
    signal: Mutex<Signal>,
    changed: Condvar,
}

impl Wake {
    pub(super) fn commit(&self) {
        self.signal.lock().commit = true;
        self.changed.notify_one();
    }

    pub(super) fn flush(&self) {
        self.signal.lock().flush = true;
        self.changed.notify_one();
    }

    pub(super) fn stop(&self) {
        self.signal.lock().stop = true;
        self.changed.notify_one();
    }

    fn wait_until(&self, at: Option<Instant>) -> (Signal, bool) {
        let mut signal = self.signal.lock();
        let mut timed_out = false;
        while !(signal.commit || signal.flush || signal.stop || timed_out) {
            match at {
                Some(at) => timed_out = self.changed.wait_until(&mut signal, at).timed_out(),
                None => self.changed.wait(&mut signal),
            }
        }
        (std::mem::take(&mut *signal), timed_out)
    }
}

pub(super) struct Committer {
    shared: Arc<Shared>,
    disk: Disk,
    last_commit: Duration,
    flush_at: Option<Instant>,
    settle_at: Option<Instant>,
    retry_at: Option<Instant>,
    /// Said once per trouble, not once per attempt.
    complained: bool,
}

impl Committer {
    pub(super) fn new(shared: Arc<Shared>, disk: Disk) -> Self {
        Self {
            shared,
            disk,
            last_commit: Duration::ZERO,
            flush_at: None,
            settle_at: None,
            retry_at: None,
            complained: false,
        }
    }

    /// Runs until it is told to stop; the last commit's result is the store's.
    pub(super) fn run(mut self) -> Result<(), Failure> {
        loop {
            let planned = self.next_wake();
            let (signal, timed_out) = self.shared.wake.wait_until(planned);
            let now = Instant::now();
            if let Some(planned) = planned.filter(|_| timed_out) {
                self.forgive_stall(now.saturating_duration_since(planned));
            }
            if signal.stop {
                // Twice: the first may only have made the database usable again after an earlier failure.
                return self.commit(true).or_else(|_| self.commit(true));
            }
            if signal.flush {
                self.flush_at.get_or_insert(now + flush_delay(self.last_commit));
                self.settle_at = Some(now + SETTLE_DELAY);
            }
            self.end_leases(now);
            let commit = self.is_commit_due(now);
            let settle = self.settle_at.is_some_and(|at| at <= now);
            for alarm in [&mut self.flush_at, &mut self.settle_at, &mut self.retry_at] {
                alarm.take_if(|at| *at <= now);
            }
            if commit || settle {
                // Those who wait hear of a failure, and a flush is tried again.
                let _ = self.commit(!commit);
            }
        }
    }

    fn next_wake(&self) -> Option<Instant> {
        let lease = {
            let state = self.shared.state.read();
            let tick = (!state.leases.is_empty()).then(|| Instant::now() + TICK);
            state.leases.next_due().map(|due| due.max(self.retry_at.unwrap_or(due))).into_iter().chain(tick).min()
        };
        [lease, self.flush_at, self.settle_at, self.retry_at].into_iter().flatten().min()
    }

    fn forgive_stall(&self, stall: Duration) {
        if stall > STALL_MIN {
            warn!(stall_ms = stall.as_millis(), "the store stood still; all leases get that time back");
            self.shared.state.write().leases.shift(stall);
        }
    }

    fn end_leases(&mut self, now: Instant) {
        if self.retry_at.is_some_and(|at| now < at) {
            return;
        }
        let mut state = self.shared.state.write();
        for lease in state.leases.due(now) {
            debug!(lease = lease.0, "lease expired");
            state.end_lease(lease);
        }
    }

    fn is_commit_due(&self, now: Instant) -> bool {
        let state = self.shared.state.read();
        !state.settled()
            || !state.waiters.is_empty()
            || state.is_much_dirty()
            || (state.dirty() && [self.flush_at, self.retry_at].into_iter().flatten().any(|at| at <= now))
    }

    /// One commit of everything that the disk does not have. `settling` as for the state's changes.
    fn commit(&mut self, settling: bool) -> Result<(), Failure> {
        let begun = Instant::now();
        let mut changes = {
            let mut state = self.shared.state.write();
            let settling = settling && (state.closed || !state.dirty() && state.settled());
            state.changes(settling)
        };
        (self.flush_at, self.retry_at) = (None, None);
        let result = self.disk.commit(&mut changes);
        match &result {
            Ok(()) => self.committed(&changes),
            Err(failure) => self.failed(changes, failure),
        }
        self.last_commit = begun.elapsed();
        self.forgive_stall(self.last_commit);
        result
    }

    fn committed(&mut self, changes: &Changes) {
        let (done, published, again) = {
            let mut state = self.shared.state.write();
            let done = state.committed(changes);
            (done, state.published, !state.waiters.is_empty())
        };
        self.shared.announce(published);
        if changes.exposed {
            self.settle_at.get_or_insert(Instant::now() + SETTLE_DELAY);
        }
        for waiter in done {
            // Who does not wait any more does not want to know.
            let _ = waiter.done.send(Ok(()));
        }
        if again {
            self.shared.wake.commit();
        }
        if std::mem::take(&mut self.complained) {
            warn!("the store's disk takes writes again");
        }
    }

    fn failed(&mut self, changes: Changes, failure: &Failure) {
        let waiters = self.shared.state.write().failed(changes);
        for waiter in waiters {
            let _ = waiter.done.send(Err(failure.clone()));
        }
        self.retry_at = Some(Instant::now() + RETRY_DELAY);
        if !std::mem::replace(&mut self.complained, true) {
            error!(error = ?failure, "the store cannot write to its disk");
        }
    }
}

/// A write may have come just after a commit began, so two commits are within the budget: that one, and its own.
fn flush_delay(last_commit: Duration) -> Duration {
    FLUSH_BUDGET.saturating_sub(2 * last_commit).max(FLUSH_DELAY_MIN)
}
