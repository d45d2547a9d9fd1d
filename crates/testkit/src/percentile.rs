//! Percentiles of measured times.

use std::{fmt, time::Duration};

/// A sorted set of samples.
#[derive(Debug, Clone)]
pub struct Percentiles(Vec<Duration>);

impl Percentiles {
    /// Takes the samples in any order.
    ///
    /// # Panics
    /// When there are none.
    pub fn new(mut samples: Vec<Duration>) -> Self {
        assert!(!samples.is_empty(), "percentiles of nothing");
        samples.sort_unstable();
        Self(samples)
    }

    /// The sample that `percent` of all are not above.
    pub fn at(&self, percent: f64) -> Duration {
        let rank = (percent / 100.0 * self.0.len() as f64).ceil() as usize;
        self.0[rank.clamp(1, self.0.len()) - 1]
    }

    /// The largest sample.
    pub fn max(&self) -> Duration {
        self.at(100.0)
    }

    /// Number of samples.
    pub fn count(&self) -> usize {
        self.0.len()
    }
}

impl fmt::Display for Percentiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |d: Duration| d.as_secs_f64() * 1e3;
        write!(f, "p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms", ms(self.at(50.0)), ms(self.at(99.0)), ms(self.max()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_nearest_rank() {
        let p = Percentiles::new((1..=100).rev().map(Duration::from_millis).collect());
        assert_eq!(p.at(50.0), Duration::from_millis(50));
        assert_eq!(p.at(99.0), Duration::from_millis(99));
        assert_eq!(p.max(), Duration::from_millis(100));
        assert_eq!(Percentiles::new(vec![Duration::from_millis(7)]).at(1.0), Duration::from_millis(7));
    }
}
