//! GLOBAL: the node that is the least used after taking one more, again and again.
//!
//! The instances of a node have rising levels: its use with one more, with two more, and so on. Those with the lowest
//! levels of all are wanted, of equal ones those of the first node. So the level is searched for under which there are as
//! many as needed, and only what lies at that level is dealt out in order: the number of instances does not matter.

use super::{Slot, check_total};
use crate::Refusal;

pub(super) fn spread(slots: &[Slot], need: u64) -> Result<Vec<u64>, Refusal> {
    check_total(slots, need)?;
    let ladders: Vec<Ladder> = slots.iter().map(Ladder::new).collect();
    let reaches = |level: u64| {
        let mut sum = 0u64;
        ladders.iter().any(|ladder| {
            sum = sum.saturating_add(ladder.up_to(f64::from_bits(level)));
            sum >= need
        })
    };
    // Levels are not negative, so they are ordered as their bits are.
    let (mut low, mut high) = (0, f64::MAX.to_bits());
    while low < high {
        let middle = low + (high - low) / 2;
        if reaches(middle) { high = middle } else { low = middle + 1 }
    }
    let level = f64::from_bits(low);
    let below = |ladder: &Ladder| low.checked_sub(1).map_or(0, |bits| ladder.up_to(f64::from_bits(bits)));
    let mut added: Vec<u64> = ladders.iter().map(below).collect();
    let mut left = need - added.iter().sum::<u64>();
    for (added, ladder) in added.iter_mut().zip(&ladders) {
        let more = (ladder.up_to(level) - *added).min(left);
        *added += more;
        left -= more;
    }
    Ok(added)
}

/// The levels of one node.
struct Ladder {
    usage: f64,
    rate: f64,
    capacity: u64,
}

impl Ladder {
    /// Takes any numbers: what is no number, or negative, counts as nothing.
    fn new(slot: &Slot) -> Self {
        let sane = |x: f64| if x > 0.0 { x.min(1e300) } else { 0.0 };
        Self { usage: sane(slot.usage), rate: sane(slot.rate), capacity: slot.capacity }
    }

    /// The level after `times` more.
    fn level(&self, times: u64) -> f64 {
        (self.usage + self.rate * times as f64).min(f64::MAX)
    }

    /// How many instances are not above `level`.
    fn up_to(&self, level: f64) -> u64 {
        if self.level(self.capacity) <= level {
            return self.capacity;
        }
        if self.level(1) > level {
            return 0;
        }
        let is_last = |times: u64| self.level(times) <= level && level < self.level(times.saturating_add(1));
        // Most often the quotient is it, or one beside it; where rounding swallows the rate, it is searched for.
        let guess = (((level - self.usage) / self.rate) as u64).clamp(1, self.capacity - 1);
        if let Some(times) = [guess, guess - 1, guess + 1].into_iter().find(|times| is_last(*times)) {
            return times;
        }
        let (mut low, mut high) = (1, self.capacity);
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            if self.level(middle) <= level { low = middle } else { high = middle }
        }
        low
    }
}
