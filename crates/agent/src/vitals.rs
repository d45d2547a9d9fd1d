//! How the agent itself is: what `/healthz` and `/metrics` tell. Written by the rooms, read by whoever asks.

use eru_runtime::Action;
use parking_lot::Mutex;
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};
use tokio::time::Instant;

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// One more.
    pub fn up(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// The number.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Whether somebody that the agent depends on answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The last that was asked was answered.
    pub answers: bool,
    /// When that last changed.
    pub since: Instant,
    /// When it last answered.
    pub last_answer: Option<Instant>,
    /// Why it does not answer, one line; empty when it does.
    pub complaint: String,
}

impl Standing {
    fn unknown() -> Self {
        Self { answers: false, since: Instant::now(), last_answer: None, complaint: "not asked yet".into() }
    }

    fn answered(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.answers, true) {
            self.since = now;
        }
        self.last_answer = Some(now);
        self.complaint.clear();
    }

    fn failed(&mut self, now: Instant, complaint: String) {
        if std::mem::replace(&mut self.answers, false) {
            self.since = now;
        }
        self.complaint = complaint;
    }
}

/// See the module.
#[derive(Debug)]
pub struct Vitals {
    core: Mutex<Standing>,
    runtime: Mutex<Standing>,
    /// Events of the runtime, in the order of [`Vitals::ACTIONS`].
    events: [Counter; Vitals::ACTIONS.len()],
    /// Subscriptions to the events of the runtime.
    pub subscriptions: Counter,
    /// Lists that were made.
    pub lists: Counter,
    /// Lists that failed.
    pub lists_failed: Counter,
    /// Reports that core answered.
    pub reports_sent: Counter,
    /// Reports that core refused.
    pub reports_refused: Counter,
    /// Calls with reports that core answered.
    pub calls: Counter,
    /// Microseconds that those took.
    pub calls_us: Counter,
    /// Calls with reports that failed.
    pub calls_failed: Counter,
    /// Beats that core answered.
    pub beats: Counter,
    /// Beats that failed.
    pub beats_failed: Counter,
    /// Health checks that passed.
    pub probes_passed: Counter,
    /// Health checks that did not.
    pub probes_failed: Counter,
}

impl Vitals {
    /// What can happen to a workload, with the words for it.
    pub const ACTIONS: [(Action, &'static str); 5] = [
        (Action::Created, "created"),
        (Action::Started, "started"),
        (Action::Died, "died"),
        (Action::Changed, "changed"),
        (Action::Removed, "removed"),
    ];

    pub(crate) fn new() -> Self {
        Self {
            core: Mutex::new(Standing::unknown()),
            runtime: Mutex::new(Standing::unknown()),
            events: Default::default(),
            subscriptions: Counter::default(),
            lists: Counter::default(),
            lists_failed: Counter::default(),
            reports_sent: Counter::default(),
            reports_refused: Counter::default(),
            calls: Counter::default(),
            calls_us: Counter::default(),
            calls_failed: Counter::default(),
            beats: Counter::default(),
            beats_failed: Counter::default(),
            probes_passed: Counter::default(),
            probes_failed: Counter::default(),
        }
    }

    /// Whether core answers.
    pub fn core(&self) -> Standing {
        self.core.lock().clone()
    }

    /// Whether the runtime answers.
    pub fn runtime(&self) -> Standing {
        self.runtime.lock().clone()
    }

    /// How many events of this kind came.
    pub fn events(&self, action: Action) -> u64 {
        self.counter(action).get()
    }

    pub(crate) fn happened(&self, action: Action) {
        self.counter(action).up();
    }

    fn counter(&self, action: Action) -> &Counter {
        let place = Self::ACTIONS.iter().position(|(known, _)| *known == action);
        &self.events[place.expect("every action is in the list")]
    }

    pub(crate) fn core_answered(&self) {
        self.core.lock().answered(Instant::now());
    }

    pub(crate) fn core_failed(&self, complaint: String) {
        self.core.lock().failed(Instant::now(), complaint);
    }

    pub(crate) fn runtime_answered(&self) {
        self.runtime.lock().answered(Instant::now());
    }

    pub(crate) fn runtime_failed(&self, complaint: String) {
        self.runtime.lock().failed(Instant::now(), complaint);
    }

    pub(crate) fn probed(&self, passed: bool) {
        if passed { self.probes_passed.up() } else { self.probes_failed.up() }
    }

    pub(crate) fn called(&self, reports: usize, took: Duration) {
        self.reports_sent.add(reports as u64);
        self.calls.up();
        self.calls_us.add(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_standing_remembers_since_when() {
        let vitals = Vitals::new();
        assert!(!vitals.core().answers && vitals.core().last_answer.is_none());
        vitals.core_answered();
        let first = vitals.core();
        vitals.core_answered();
        assert!(vitals.core().answers && vitals.core().since == first.since && vitals.core().complaint.is_empty());
        vitals.core_failed("refused".into());
        let silent = vitals.core();
        vitals.core_failed("gone".into());
        let still = vitals.core();
        assert!(!still.answers && still.since == silent.since && still.complaint == "gone");
        assert!(still.last_answer.is_some());
    }

    #[test]
    fn every_action_is_counted_for_itself() {
        let vitals = Vitals::new();
        vitals.happened(Action::Died);
        vitals.happened(Action::Died);
        vitals.happened(Action::Removed);
        let counted = Vitals::ACTIONS.map(|(action, _)| vitals.events(action));
        assert_eq!(counted, [0, 0, 2, 0, 1]);
    }
}
