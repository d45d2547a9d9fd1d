//! When a workload is probed next: fast until it is healthy for the first time, then by the interval. Pure.

use std::time::Duration;
use tokio::time::Instant;

/// The wait after the first failed probe; it doubles.
const FIRST: Duration = Duration::from_millis(50);

/// When the next probe is due.
#[derive(Debug, Clone)]
pub struct Schedule {
    interval: Duration,
    due: Instant,
    /// The next wait while it has never been healthy.
    wait: Option<Duration>,
    /// The part of the interval that passes before the first probe after it became healthy.
    phase: f64,
}

impl Schedule {
    /// Of a workload that was seen running at `now`: due at once. `phase`, above 0 and up to 1, spreads those that were seen
    /// together over the interval: it is the part of it that passes after the first probe that succeeded.
    pub fn new(interval: Duration, phase: f64, now: Instant) -> Self {
        Self { interval, due: now, wait: Some(FIRST), phase: phase.clamp(f64::EPSILON, 1.0) }
    }

    /// When the next probe is due.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// A probe ended at `now`.
    pub fn probed(&mut self, healthy: bool, now: Instant) {
        let is_first = healthy && self.wait.is_some();
        self.wait = self.wait.filter(|_| !healthy);
        let regular = if is_first { self.interval.mul_f64(self.phase) } else { self.interval };
        let wait = self.wait.map_or(regular, |wait| wait.min(self.interval));
        self.wait = self.wait.map(|wait| wait * 2).map(|wait| wait.min(self.interval.max(FIRST)));
        self.due = now + wait;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_until_first_healthy_then_by_the_interval() {
        let start = Instant::now();
        let mut schedule = Schedule::new(Duration::from_secs(1), 0.7, start);
        assert_eq!(schedule.due(), start);
        let mut waits = Vec::new();
        for healthy in [false, false, false, false, false, false, false, true, false, false] {
            schedule.probed(healthy, start);
            waits.push((schedule.due() - start).as_millis());
        }
        assert_eq!(waits, [50, 100, 200, 400, 800, 1000, 1000, 700, 1000, 1000]);
    }
}
