//! `workload deploy --dry-run`.

use crate::context::Context;
use crate::error::CliError;
use eru_api::pb;

/// Says how many would fit and where.
pub(super) async fn run(context: &Context, options: pb::DeployOptions) -> Result<(), CliError> {
    let reply =
        context.read("CalculateCapacity", options, async |mut core, o| core.calculate_capacity(o).await).await?;
    context.output.print_message(&reply)?;
    context.log.info(format!("[Deploy] Capacity total {}", reply.total));
    for (node, capacity) in &reply.node_capacities {
        context.log.info(format!("[Deploy] Node {node} capacity {capacity}"));
    }
    Ok(())
}
