//! `workload deploy --dry-run`.

use crate::context::Context;
use crate::error::CliError;
use crate::render::{self, clean};
use eru_api::pb;

/// Says how many would fit and where.
pub(super) async fn run(context: &Context, options: pb::DeployOptions) -> Result<(), CliError> {
    let reply =
        context.read("CalculateCapacity", options, async |mut core, o| core.calculate_capacity(o).await).await?;
    context.output.print_message(&reply)?;
    context.log.info(format!("[Deploy] Capacity total {}", reply.total));
    let mut rooms = reply.rooms.iter().peekable();
    for (node, capacity) in &reply.node_capacities {
        while rooms.next_if(|room| room.nodename < *node).is_some() {}
        let why = rooms.next_if(|room| room.nodename == *node).map(why).unwrap_or_default();
        context.log.info(format!("[Deploy] Node {node} capacity {capacity}{why}"));
    }
    for reason in &reply.reasons {
        context.log.info(format!("[Deploy] {}", render::reason(reason)));
    }
    Ok(())
}

/// What the decision for a node went by.
fn why(room: &pb::NodeRoom) -> String {
    let zone = if room.zone.is_empty() { String::new() } else { format!(", in zone {}", clean(&room.zone)) };
    let usage = if room.usage > 0.0 { format!(", {:.1} % used", room.usage * 100.0) } else { String::new() };
    format!(" (has {}, room for {}{zone}{usage})", room.existing, room.capacity)
}
