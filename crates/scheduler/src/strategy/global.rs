//! GLOBAL: the node that is the least used after taking one more, again and again.

use super::{Slot, check_total};
use crate::Refusal;
use std::{cmp::Ordering, collections::BinaryHeap};

/// A node in the heap; the least used is the greatest, of equals the first.
struct Entry {
    usage: f64,
    index: usize,
    room: u64,
}

impl Ord for Entry {
    fn cmp(&self, other: &Self) -> Ordering {
        other.usage.total_cmp(&self.usage).then(other.index.cmp(&self.index))
    }
}
impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Entry {}

pub(super) fn spread(slots: &[Slot], need: u64) -> Result<Vec<u64>, Refusal> {
    check_total(slots, need)?;
    let entry = |(index, s): (usize, &Slot)| Entry { usage: s.usage + s.rate, index, room: s.capacity };
    let mut heap: BinaryHeap<Entry> = slots.iter().enumerate().map(entry).filter(|e| e.room > 0).collect();
    let mut added = vec![0; slots.len()];
    for _ in 0..need {
        let mut least = heap.pop().expect("the capacities were checked to hold `need`");
        added[least.index] += 1;
        least.room -= 1;
        if least.room > 0 {
            least.usage += slots[least.index].rate;
            heap.push(least);
        }
    }
    Ok(added)
}
