//! Slow start: a mistake that hits every create should cost one call, not hundreds.

/// Sizes of the batches in which creates are sent: 1, 2, 4 and so on. The next batch is sent only when every create of
/// the batch before succeeded.
#[derive(Debug, Clone)]
pub struct SlowStart {
    left: usize,
    next: usize,
    batch_len_max: usize,
}

impl SlowStart {
    /// Batches for `total` creates, none larger than `batch_len_max`.
    pub fn new(total: usize, batch_len_max: usize) -> Self {
        Self { left: total, next: 1, batch_len_max: batch_len_max.max(1) }
    }
}

impl Iterator for SlowStart {
    type Item = usize;
    fn next(&mut self) -> Option<usize> {
        let len = self.next.min(self.left).min(self.batch_len_max);
        self.left -= len;
        self.next = self.next.saturating_mul(2);
        (len > 0).then_some(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends batches of a count, with a server that refuses after so many; returns (calls, successes).
    fn run(count: usize, accepted: usize) -> (usize, usize) {
        let (mut calls, mut done) = (0, 0);
        for len in SlowStart::new(count, 500) {
            calls += len;
            let ok = len.min(accepted - done);
            done += ok;
            if ok < len {
                break;
            }
        }
        (calls, done)
    }

    #[test]
    fn vector_a5_and_a4() {
        assert_eq!(run(10, 0), (1, 0));
        assert_eq!(run(10, 5), (7, 5));
        assert_eq!(run(10, 10), (10, 10));
        assert_eq!(run(100, 10), (15, 10));
        assert_eq!(SlowStart::new(20, 4).collect::<Vec<_>>(), [1, 2, 4, 4, 4, 4, 1]);
        assert_eq!(SlowStart::new(0, 4).count(), 0);
    }
}
