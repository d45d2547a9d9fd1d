//! `workload set-status`.

use super::Ids;
use crate::context::Context;
use crate::error::CliError;
use crate::{ids, render, values};
use eru_api::pb;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// It runs
    #[arg(long)]
    running: bool,
    /// It runs and is healthy
    #[arg(long)]
    healthy: bool,
    /// How long the report counts, seconds; 0 = for ever
    #[arg(long, value_name = "SECONDS", value_parser = values::seconds, default_value = "0", allow_hyphen_values = true)]
    ttl: i64,
    /// Its address in a network; repeatable
    #[arg(long, value_name = "NAME=ADDRESS")]
    network: Vec<String>,
    /// What else is to be known of it, usually its labels as JSON
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    extension: String,
    #[command(flatten)]
    ids: Ids,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let networks = values::pairs("--network", &args.network)?;
    let ids = ids::resolve(context, &args.ids.ids).await?;
    let status = |id: String| pb::WorkloadStatus {
        id,
        running: args.running,
        healthy: args.healthy,
        ttl: args.ttl,
        networks: networks.clone(),
        extension: args.extension.clone().into(),
        ..Default::default()
    };
    let options = pb::SetWorkloadsStatusOptions { status: ids.into_iter().map(status).collect() };
    let statuses = context
        .write("SetWorkloadsStatus", options, async |mut core, o| core.set_workloads_status(o).await)
        .await?
        .status;
    context.output.print(&statuses, || render::statuses(&statuses))
}
