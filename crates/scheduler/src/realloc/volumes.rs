//! Volumes, when their sizes change: their data is on a device, so that is where they stay.

use crate::{
    NodeSnapshot, Refusal,
    assignment::plan_volume,
    parts::signed,
    resource::volumes::{Wanted, nothing_left, plan, portion, spelled},
};
use eru_types::{Allotment, Demand, Volume};
use std::sync::Arc;

/// The devices of the new sizes.
pub(super) fn replan(node: &NodeSnapshot, held: &Allotment, demand: &Demand) -> Result<Allotment, Refusal> {
    let mut allotment = Allotment {
        volumes_request: demand.volumes_request.clone(),
        volumes_limit: demand.volumes_limit.clone(),
        ..Allotment::default()
    };
    // The node as if its volumes had left it; they come back one by one.
    let mut node = node.clone();
    let of_volumes = Allotment { cores: Default::default(), numa_node: String::new(), ..held.clone() };
    Arc::make_mut(&mut node.free).change(&node.parts, &of_volumes, 0, true);

    let mut afresh: Vec<(u32, &Volume)> = Vec::new();
    let mut monopoly: Vec<(u32, &Volume)> = Vec::new();
    let mut monopoly_device = None;
    for (number, volume) in demand.scheduled() {
        let device = device_of(&node, held, volume);
        let number = number as u32;
        if volume.is_monopoly() {
            monopoly_device = monopoly_device.or(device);
            monopoly.push((number, volume));
        } else if let Some(device) = device {
            stay(&mut node, &mut allotment, held, (number, volume), device)?;
        } else {
            afresh.push((number, volume));
        }
    }
    match monopoly_device {
        Some(device) => divide(&mut node, &mut allotment, &monopoly, device)?,
        None => afresh.append(&mut monopoly),
    }
    let Some(wanted) = Wanted::of_these(afresh.into_iter()) else { return Ok(allotment) };
    let (_, runs) = plan(&node, &wanted, 1);
    let Some(run) = runs.first() else {
        return Err(Refusal::not_enough(format!("failed to reschedule volume: {}", nothing_left(demand))));
    };
    for place in &*run.places {
        let device = node.parts.devices()[place.device as usize].name.to_string();
        plan_volume(&mut allotment, place.volume as usize, device, place.bytes);
    }
    Ok(allotment)
}

/// The device that a volume is on, if the node still has it.
fn device_of(node: &NodeSnapshot, held: &Allotment, volume: &Volume) -> Option<usize> {
    let before = held.volumes_request.iter().find(|held| held.is_same(volume))?;
    let devices = held.volume_plan_request.get(&before.to_string())?;
    devices.keys().find_map(|device| node.parts.device(device))
}

fn stay(
    node: &mut NodeSnapshot,
    allotment: &mut Allotment,
    held: &Allotment,
    (number, volume): (u32, &Volume),
    device: usize,
) -> Result<(), Refusal> {
    let free = &mut Arc::make_mut(&mut node.free).devices[device];
    let before = held.volumes_request.iter().find(|held| held.is_same(volume)).map_or(0, Volume::size);
    let name = node.parts.devices()[device].name.to_string();
    if volume.size() > before && free.bytes < signed(volume.size()) {
        let text = format!(
            "no space to expand: {} on {name}, where {} bytes are free for it",
            spelled(std::iter::once(volume)),
            free.bytes.max(0)
        );
        return Err(Refusal::not_enough(text));
    }
    free.bytes = free.bytes.saturating_sub(signed(volume.size()));
    free.users = free.users.saturating_add(1);
    plan_volume(allotment, number as usize, name, volume.size());
    Ok(())
}

/// Divides a device of one's own anew.
fn divide(
    node: &mut NodeSnapshot,
    allotment: &mut Allotment,
    monopoly: &[(u32, &Volume)],
    device: usize,
) -> Result<(), Refusal> {
    let all = monopoly.iter().fold(0u64, |sum, (_, volume)| sum.saturating_add(volume.size()));
    let of = node.parts.devices()[device].clone();
    if all > of.bytes {
        let volumes = spelled(monopoly.iter().map(|(_, volume)| *volume));
        let text = format!("no space to expand mono volumes: [{volumes}] on {} of {} bytes", of.name, of.bytes);
        return Err(Refusal::not_enough(text));
    }
    let free = &mut Arc::make_mut(&mut node.free).devices[device];
    free.bytes = 0;
    free.users = free.users.saturating_add(1);
    free.owners = free.owners.saturating_add(1);
    for (number, volume) in monopoly {
        plan_volume(allotment, *number as usize, of.name.to_string(), portion(volume.size(), all, of.bytes));
    }
    Ok(())
}
