//! FILL: brings `limit` nodes to `need` instances each; the fullest first, of those the one with the most room.

use super::Slot;
use crate::Refusal;
use std::cmp::Reverse;

pub(super) fn spread(slots: &[Slot], need: u64, limit: usize) -> Result<Vec<u64>, Refusal> {
    let added = choose(slots, need, limit)?;
    if added.iter().all(|n| *n == 0) {
        return Err(Refusal::not_enough("Cannot alloc a fill node plan, each node has enough workloads"));
    }
    Ok(added)
}

/// The same, where nothing to add is right as well.
pub(super) fn choose(slots: &[Slot], need: u64, limit: usize) -> Result<Vec<u64>, Refusal> {
    if slots.len() < limit {
        let text = format!("not enough resource: node len {} cannot alloc a fill node plan", slots.len());
        return Err(Refusal::not_enough(text));
    }
    let wanted = if limit == 0 { slots.len() } else { limit };
    let mut order: Vec<usize> =
        (0..slots.len()).filter(|i| slots[*i].count.saturating_add(slots[*i].capacity) >= need).collect();
    order.sort_by_key(|i| (Reverse(slots[*i].count), Reverse(slots[*i].capacity)));
    if order.len() < wanted {
        return Err(Refusal::not_enough(format!(
            "not enough resource: not enough nodes that can fill up to {need} instances, require {} nodes",
            wanted - order.len()
        )));
    }
    let mut added = vec![0; slots.len()];
    order[..wanted].iter().for_each(|i| added[*i] = need.saturating_sub(slots[*i].count));
    Ok(added)
}
