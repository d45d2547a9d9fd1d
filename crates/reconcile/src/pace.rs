//! Slow start: a mistake that hits every create should cost one call, not hundreds.

/// How many creates may be under way at once: one at first, twice as many after each batch that succeeded as a whole, and
/// one again after a failure.
#[derive(Debug, Clone)]
pub struct SlowStart {
    width: usize,
    width_max: usize,
}

impl SlowStart {
    /// A start with one create; never more than `width_max` at once.
    pub fn new(width_max: usize) -> Self {
        Self { width: 1, width_max: width_max.max(1) }
    }

    /// How many more may be sent while so many are under way.
    pub fn room(&self, under_way: usize) -> usize {
        self.width.saturating_sub(under_way)
    }

    /// A create succeeded: a batch of them doubles the width.
    pub fn succeeded(&mut self) {
        self.width = (self.width + 1).min(self.width_max);
    }

    /// A create failed.
    pub fn failed(&mut self) {
        self.width = 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends a count in rounds until one fails, with a server that refuses after so many; returns (calls, successes).
    fn run(count: usize, accepted: usize) -> (usize, usize) {
        let (mut pace, mut calls, mut done) = (SlowStart::new(500), 0, 0);
        while calls < count {
            let len = pace.room(0).min(count - calls);
            let ok = len.min(accepted - done);
            calls += len;
            done += ok;
            (0..ok).for_each(|_| pace.succeeded());
            if ok < len {
                break;
            }
        }
        (calls, done)
    }

    #[test]
    fn vectors_a4_and_a5() {
        assert_eq!(run(10, 0), (1, 0));
        assert_eq!(run(10, 5), (7, 5));
        assert_eq!(run(10, 10), (10, 10));
        assert_eq!(run(100, 10), (15, 10));
    }

    #[test]
    fn never_wider_than_allowed_and_one_again_after_a_failure() {
        let mut pace = SlowStart::new(3);
        (0..9).for_each(|_| pace.succeeded());
        assert_eq!((pace.room(0), pace.room(2), pace.room(7)), (3, 1, 0));
        pace.failed();
        assert_eq!(pace.room(0), 1);
    }
}
