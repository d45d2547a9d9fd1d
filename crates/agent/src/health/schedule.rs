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
}

impl Schedule {
    /// Of a workload that was seen running at `now`: due at once.
    pub fn new(interval: Duration, now: Instant) -> Self {
        Self { interval, due: now, wait: Some(FIRST) }
    }

    /// When the next probe is due.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// A probe ended at `now`.
    pub fn probed(&mut self, healthy: bool, now: Instant) {
        self.wait = self.wait.filter(|_| !healthy);
        let wait = self.wait.map_or(self.interval, |wait| wait.min(self.interval));
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
        let mut schedule = Schedule::new(Duration::from_secs(1), start);
        assert_eq!(schedule.due(), start);
        let mut waits = Vec::new();
        for healthy in [false, false, false, false, false, false, false, true, false, false] {
            schedule.probed(healthy, start);
            waits.push((schedule.due() - start).as_millis());
        }
        assert_eq!(waits, [50, 100, 200, 400, 800, 1000, 1000, 1000, 1000, 1000]);
    }
}
