//! Waits that grow from failure to failure.

use eru_client::Backoff;
use std::time::Duration;
use tokio::time::Instant;

/// First and longest wait after a failed act or a store that does not answer.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MOST: Duration = Duration::from_secs(5);

/// Waits that grow from failure to failure.
pub(super) struct Pause {
    backoff: Backoff,
    until: Option<Instant>,
}

impl Pause {
    pub(super) fn new() -> Self {
        Self { backoff: Backoff::new(RETRY_FIRST, RETRY_MOST), until: None }
    }

    pub(super) fn failed(&mut self) {
        self.until = Some(Instant::now() + self.backoff.next_bound());
    }

    pub(super) fn succeeded(&mut self) {
        self.backoff.reset();
        self.until = None;
    }

    /// The time that must pass yet.
    pub(super) fn pending(&self) -> Option<Instant> {
        self.until.filter(|until| *until > Instant::now())
    }
}
