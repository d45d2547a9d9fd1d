//! `workload get` and `workload get-status`.

use crate::context::Context;
use crate::error::CliError;
use crate::{ids, render};
use eru_api::pb;

pub(super) async fn workloads(context: &Context, ids: &[String]) -> Result<(), CliError> {
    let ids = ids::resolve(context, ids).await?;
    let workloads = context
        .read("GetWorkloads", pb::WorkloadIDs { ids }, async |mut core, o| core.get_workloads(o).await)
        .await?
        .workloads;
    context.output.print(&workloads, || render::workload_details(&workloads))
}

pub(super) async fn statuses(context: &Context, ids: &[String]) -> Result<(), CliError> {
    let ids = ids::resolve(context, ids).await?;
    let statuses = context
        .read("GetWorkloadsStatus", pb::WorkloadIDs { ids }, async |mut core, o| core.get_workloads_status(o).await)
        .await?
        .status;
    context.output.print(&statuses, || render::statuses(&statuses))
}
