//! DRAINED: one node after the other, the one with the least room first, of those the most used.

use super::{Slot, check_total};
use crate::Refusal;

pub(super) fn spread(slots: &[Slot], need: u64) -> Result<Vec<u64>, Refusal> {
    check_total(slots, need)?;
    let mut order: Vec<usize> = (0..slots.len()).collect();
    order.sort_by(|a, b| slots[*a].capacity.cmp(&slots[*b].capacity).then(slots[*b].usage.total_cmp(&slots[*a].usage)));
    let mut added = vec![0; slots.len()];
    let mut left = need;
    for i in order {
        added[i] = slots[i].capacity.min(left);
        left -= added[i];
    }
    Ok(added)
}
