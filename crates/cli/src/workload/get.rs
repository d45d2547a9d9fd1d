//! `workload get` and `workload get-status`.

use crate::context::Context;
use crate::error::CliError;
use crate::{ids, render};
use eru_api::pb;

pub(super) async fn workloads(context: &Context, ids: &[String]) -> Result<(), CliError> {
    let ids = ids::resolve(context, ids).await?;
    let workloads =
        context.ask("GetWorkloads", context.core()?.get_workloads(pb::WorkloadIDs { ids })).await?.workloads;
    context.output.print(&workloads, || render::workload_details(&workloads))
}

pub(super) async fn statuses(context: &Context, ids: &[String]) -> Result<(), CliError> {
    let ids = ids::resolve(context, ids).await?;
    let mut core = context.core()?;
    let statuses = context.ask("GetWorkloadsStatus", core.get_workloads_status(pb::WorkloadIDs { ids })).await?.status;
    context.output.print(&statuses, || render::statuses(&statuses))
}
