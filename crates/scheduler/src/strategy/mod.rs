//! How instances are spread over nodes, one file a strategy.
//!
//! A strategy sees only [`Slot`]s: capacity, instances and use of each node. Equal slots are told apart by their order,
//! which is that of the nodes' names.

mod auto;
mod drained;
mod each;
mod fill;
mod global;
mod zones;

use crate::{Refusal, RefusalKind};
use std::str::FromStr;

pub(crate) use zones::{Zones, spread_over_zones};

/// How instances are spread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Evenly by the number of instances.
    #[default]
    Auto,
    /// Until each of the chosen nodes has `count` of them.
    Fill,
    /// `count` on each of the chosen nodes.
    Each,
    /// Evenly by the use of the nodes.
    Global,
    /// Node after node, the one with the least room first.
    Drained,
}

impl FromStr for Strategy {
    type Err = Refusal;

    /// Reads the name of a strategy that can deploy. DUMMY cannot: [`capacities`](crate::capacities) is what it stands for.
    fn from_str(name: &str) -> Result<Self, Refusal> {
        Ok(match name {
            "AUTO" => Self::Auto,
            "FILL" => Self::Fill,
            "EACH" => Self::Each,
            "GLOBAL" => Self::Global,
            "DRAINED" => Self::Drained,
            _ => return Err(Refusal::new(RefusalKind::Invalid, "deploy method not support yet")),
        })
    }
}

/// What a strategy knows of a node.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Slot {
    /// Instances that it can take; 0 only for FILL, where it has enough of them.
    pub capacity: u64,
    /// Instances of the same entrypoint that it has.
    pub count: u64,
    /// Which part of it is used.
    pub usage: f64,
    /// Which part of it one instance takes.
    pub rate: f64,
}

/// Number of new instances of each slot, in order.
///
/// # Errors
/// Why they cannot be placed, in the original's words.
///
/// # Cost
/// n log n in the number of slots, whatever `need` is.
pub fn spread(strategy: Strategy, slots: &[Slot], need: u32, nodes_limit: u32) -> Result<Vec<u64>, Refusal> {
    if need == 0 {
        return Err(Refusal::new(RefusalKind::Invalid, "bad `Count` value: 0"));
    }
    let need = u64::from(need);
    match strategy {
        Strategy::Auto => auto::spread(slots, need, u64::from(nodes_limit)),
        Strategy::Fill => fill::spread(slots, need, nodes_limit as usize),
        Strategy::Each => each::spread(slots, need, nodes_limit as usize),
        Strategy::Global => global::spread(slots, need),
        Strategy::Drained => drained::spread(slots, need),
    }
}

/// Refuses when all slots together hold fewer than `need`.
fn check_total(slots: &[Slot], need: u64) -> Result<(), Refusal> {
    let available = slots.iter().fold(0u64, |sum, s| sum.saturating_add(s.capacity));
    if available < need {
        return Err(Refusal::not_enough(format!("not enough resource: need: {need}, available: {available}")));
    }
    Ok(())
}
