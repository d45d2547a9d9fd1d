//! Spreading over the values of a node label first: the zones.
//!
//! AUTO, GLOBAL and DRAINED: the zones get instances as AUTO gives them to nodes, so that no zone has more than another by
//! more than one, as far as there is room; within a zone the strategy decides. EACH and FILL choose their nodes evenly from
//! the zones.

use super::{Slot, Strategy, auto, check_total, fill, spread};
use crate::{Refusal, Request};
use std::collections::BTreeMap;

/// The zones of a list of nodes.
#[derive(Default)]
pub(crate) struct Zones {
    /// By name: the numbers of its nodes, and the instances that are there.
    of: BTreeMap<String, (Vec<usize>, u64)>,
}

impl Zones {
    /// `names` has the zone of each node in order.
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut zones = Self::default();
        for (node, name) in names.enumerate() {
            match zones.of.get_mut(name) {
                Some((nodes, _)) => nodes.push(node),
                None => drop(zones.of.insert(name.to_owned(), (vec![node], 0))),
            }
        }
        zones
    }

    /// Counts instances that are in a zone already.
    pub(crate) fn count(&mut self, name: &str, instances: u64) {
        if let Some((_, count)) = self.of.get_mut(name) {
            *count = count.saturating_add(instances);
        }
    }
}

/// Number of new instances of each node, in order.
pub(crate) fn spread_over_zones(request: &Request, zones: &Zones, slots: &[Slot]) -> Result<Vec<u64>, Refusal> {
    // It says what is wrong with the request as a whole: then it is not the zones that stand in the way.
    spread(request.strategy, slots, request.count, request.nodes_limit)?;
    let nodes: Vec<&Vec<usize>> = zones.of.values().map(|(nodes, _)| nodes).collect();
    let chooses = matches!(request.strategy, Strategy::Each | Strategy::Fill);
    let zone_slots: Vec<Slot> = zones
        .of
        .values()
        .map(|(nodes, count)| {
            let room = |node: &usize| room(request, &slots[*node]);
            let capacity = nodes.iter().map(room).fold(0u64, u64::saturating_add);
            Slot { capacity, count: if chooses { 0 } else { *count }, ..Slot::default() }
        })
        .collect();
    let need = match (chooses, request.nodes_limit) {
        (false, _) => u64::from(request.count),
        (true, 0) => return spread(request.strategy, slots, request.count, 0),
        (true, limit) => u64::from(limit),
    };
    check_total(&zone_slots, need)?;
    let of_zones = auto::spread(&zone_slots, need, 0)?;
    let mut added = vec![0; slots.len()];
    for (nodes, share) in nodes.into_iter().zip(of_zones).filter(|(_, share)| *share > 0) {
        let share = u32::try_from(share).expect("a zone's share is at most the whole");
        let slots: Vec<Slot> = nodes.iter().map(|node| slots[*node]).collect();
        let within = match request.strategy {
            Strategy::Each => spread(Strategy::Each, &slots, request.count, share),
            // That a zone is full already is no obstacle: the others are not.
            Strategy::Fill => fill::choose(&slots, u64::from(request.count), share as usize),
            strategy => spread(strategy, &slots, share, request.nodes_limit),
        };
        nodes.iter().zip(within?).for_each(|(node, count)| added[*node] = count);
    }
    Ok(added)
}

/// What a node adds to the room of its zone: instances, or itself where nodes are chosen.
fn room(request: &Request, slot: &Slot) -> u64 {
    let need = u64::from(request.count);
    match (request.strategy, request.nodes_limit) {
        (Strategy::Each, _) => u64::from(slot.capacity >= need),
        (Strategy::Fill, _) => u64::from(slot.count.saturating_add(slot.capacity) >= need),
        (Strategy::Auto, limit) if limit > 0 => slot.capacity.min(u64::from(limit).saturating_sub(slot.count)),
        _ => slot.capacity,
    }
}
