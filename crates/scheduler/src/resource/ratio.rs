//! Which part of a node is used, for the strategies that go by it.
//!
//! What counts is what the request is about: bound cores if it binds, devices if it has volumes to be placed (both are
//! added up), and memory otherwise.

use super::Asker;
use crate::NodeSnapshot;

/// Which part of `node` is used, each kind at most wholly.
pub(crate) fn usage(node: &NodeSnapshot, asker: &Asker<'_>) -> f64 {
    let mut usage = 0.0;
    if asker.cut.is_some() {
        usage += ratio(node.used.cpu.0, node.total.cpu.0);
    }
    if asker.wanted.is_some() {
        let total = devices(node, |device, _| device);
        let free = devices(node, |_, free| free);
        usage += ratio(total.saturating_sub(free), total);
    }
    if asker.cut.is_none() && asker.wanted.is_none() {
        usage = ratio(node.used.memory.0, node.total.memory.0);
    }
    usage
}

/// Which part of `node` one instance takes.
pub(crate) fn rate(node: &NodeSnapshot, asker: &Asker<'_>) -> f64 {
    let demand = &asker.request.demand;
    let mut rate = 0.0;
    if asker.cut.is_some() {
        rate += ratio(demand.resources.cpu_request.0, node.total.cpu.0);
    }
    if asker.wanted.is_some() {
        let sizes = demand.scheduled().fold(0u64, |sum, (_, volume)| sum.saturating_add(volume.size()));
        rate += ratio(sizes, devices(node, |device, _| device));
    }
    if asker.cut.is_none() && asker.wanted.is_none() {
        rate = ratio(demand.resources.memory_request.0, node.total.memory.0);
    }
    rate
}

fn devices(node: &NodeSnapshot, of: impl Fn(u64, u64) -> u64) -> u64 {
    let both = node.parts.devices().iter().zip(&node.free.devices);
    both.fold(0, |sum, (device, free)| sum.saturating_add(of(device.bytes, u64::try_from(free.bytes).unwrap_or(0))))
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 / whole as f64).min(1.0) }
}
