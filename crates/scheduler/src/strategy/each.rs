//! EACH: `need` instances on each of `limit` nodes, those with the most room first.

use super::Slot;
use crate::Refusal;
use std::cmp::Reverse;

pub(super) fn spread(slots: &[Slot], need: u64, limit: usize) -> Result<Vec<u64>, Refusal> {
    if slots.len() < limit {
        return Err(Refusal::not_enough(format!(
            "not enough resource: node len {} < {limit}, cannot alloc an average node plan",
            slots.len()
        )));
    }
    let wanted = if limit == 0 { slots.len() } else { limit };
    let mut order: Vec<usize> = (0..slots.len()).filter(|i| slots[*i].capacity >= need).collect();
    order.sort_by_key(|i| Reverse(slots[*i].capacity));
    if order.is_empty() {
        return Err(Refusal::not_enough(
            "cannot alloc a each node plan, not enough capacity: insufficient nodes, at least 1 needed",
        ));
    }
    if order.len() < wanted {
        return Err(Refusal::not_enough(format!(
            "not enough resource: not enough nodes with capacity of {need}, require {wanted} nodes"
        )));
    }
    let mut added = vec![0; slots.len()];
    order[..wanted].iter().for_each(|i| added[*i] = need);
    Ok(added)
}
