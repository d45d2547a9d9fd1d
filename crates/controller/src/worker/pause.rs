//! Waits that grow from failure to failure, and what failed.

use crate::trouble::Trouble;
use eru_client::Backoff;
use eru_reconcile::Millis;
use std::time::Duration;
use tokio::time::Instant;

/// First and longest wait after a failed act or a store that does not answer.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MOST: Duration = Duration::from_secs(5);

/// Waits that grow from failure to failure.
pub(super) struct Pause {
    backoff: Backoff,
    until: Option<Instant>,
    trouble: Option<Trouble>,
}

impl Pause {
    pub(super) fn new() -> Self {
        Self { backoff: Backoff::new(RETRY_FIRST, RETRY_MOST), until: None, trouble: None }
    }

    /// Waits longer than before, because of this failure; whether it is another one than the last.
    pub(super) fn failed(&mut self, text: &str, now: Millis) -> bool {
        let before = self.trouble.take();
        let wait = self.wait();
        let trouble = Trouble::again(before.as_ref(), text, now, wait);
        let is_news = before.is_none_or(|before| before.text != trouble.text);
        self.trouble = Some(trouble);
        is_news
    }

    /// Waits longer than before although nothing failed here.
    pub(super) fn wait(&mut self) -> Duration {
        self.trouble = None;
        let wait = self.backoff.next_bound();
        self.until = Some(Instant::now() + wait);
        wait
    }

    pub(super) fn succeeded(&mut self) {
        self.backoff.reset();
        self.until = None;
        self.trouble = None;
    }

    /// What failed last, while it does.
    pub(super) fn trouble(&self) -> Option<&Trouble> {
        self.trouble.as_ref()
    }

    /// The time that must pass yet.
    pub(super) fn pending(&self) -> Option<Instant> {
        self.until.filter(|until| *until > Instant::now())
    }
}
