//! The controller's clock: Unix time at the start, counted on monotonically, so that a jump of the system's clock moves
//! no deadline.

use eru_reconcile::Millis;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// A clock that never goes back. Cheap to copy.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    unix_ms: i64,
    started: Instant,
}

impl Clock {
    /// A clock that shows the system's time now.
    pub fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { unix_ms: i64::try_from(unix.as_millis()).unwrap_or(i64::MAX), started: Instant::now() }
    }

    /// The time.
    pub fn now(&self) -> Millis {
        Millis(self.unix_ms.saturating_add(i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long it is until `at`; nothing when it is past.
    pub fn until(&self, at: Millis) -> Duration {
        Duration::from_millis(u64::try_from((at - self.now()).0).unwrap_or(0))
    }
}
