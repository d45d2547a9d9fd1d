//! AUTO: the node with the fewest instances first, of those the one with the most room.
//!
//! Giving one instance after another to the lowest node raises all low nodes to a common level, like water in a basin
//! with an uneven floor. So the level is searched for, and only its last, partial layer is dealt out singly: the work is
//! n log(level), whatever the number of instances.

use super::{Slot, check_total};
use crate::Refusal;

pub(super) fn spread(slots: &[Slot], need: u64, limit: u64) -> Result<Vec<u64>, Refusal> {
    check_total(slots, need)?;
    let ceiling = |s: &Slot| {
        let full = s.count.saturating_add(s.capacity);
        if limit > 0 { full.min(limit) } else { full }
    };
    let raised = |s: &Slot, level: u64| level.min(ceiling(s)).saturating_sub(s.count);
    let volume = |level: u64| slots.iter().fold(0u64, |sum, s| sum.saturating_add(raised(s, level)));

    let top = slots.iter().map(ceiling).max().unwrap_or(0);
    if volume(top) < need {
        return Err(Refusal::not_enough(format!(
            "reached nodelimit, a node can host at most {limit} instances: not enough resource"
        )));
    }
    // The highest level that takes at most `need`: `low` always does, `high` never.
    let (mut low, mut high) = (0, top.saturating_add(1));
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if volume(middle) <= need { low = middle } else { high = middle }
    }
    let level = low;
    let mut added: Vec<u64> = slots.iter().map(|s| raised(s, level)).collect();
    let left = (need - added.iter().sum::<u64>()) as usize;
    if left > 0 {
        let mut open: Vec<usize> =
            (0..slots.len()).filter(|i| slots[*i].count <= level && ceiling(&slots[*i]) > level).collect();
        let room = |i: &usize| (std::cmp::Reverse(slots[*i].capacity - added[*i]), *i);
        if left < open.len() {
            open.select_nth_unstable_by_key(left, room);
            open.truncate(left);
        }
        open.into_iter().for_each(|i| added[i] += 1);
    }
    Ok(added)
}
