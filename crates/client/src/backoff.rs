//! Waiting longer after each failure, by a random part of it.

use std::time::Duration;

/// Doubling waits from `first` to `most`, each cut by full jitter so that many clients do not come back at once.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    /// Begins at `first` and never waits longer than `most`.
    pub fn new(first: Duration, most: Duration) -> Self {
        Self { first, most, next: first }
    }

    /// The next wait: between nothing and the current bound, which then doubles.
    pub fn next_wait(&mut self) -> Duration {
        self.next_bound().mul_f64(rand::random::<f64>())
    }

    /// The next wait without jitter.
    pub fn next_bound(&mut self) -> Duration {
        let bound = self.next;
        self.next = (self.next * 2).min(self.most);
        bound
    }

    /// Begins again: the last attempt succeeded.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_most_and_begins_again() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(500));
        let bounds: Vec<_> = (0..5).map(|_| backoff.next_bound()).collect();
        assert_eq!(bounds, [ms(100), ms(200), ms(400), ms(500), ms(500)]);
        assert!((0..100).all(|_| backoff.next_wait() <= ms(500)));
        backoff.reset();
        assert_eq!(backoff.next_bound(), ms(100));
    }
}
