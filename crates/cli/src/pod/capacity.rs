//! `pod capacity`.

use crate::context::Context;
use crate::error::CliError;
use crate::{render, values};
use eru_api::pb;
use eru_types::{NodeName, PodName};
use serde::Serialize;

/// The app and entrypoint that the question is asked for: no workload has them.
const NOBODY: &str = "capacity";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Cores of one instance
    #[arg(long, short = 'c', value_name = "CORES", value_parser = values::cores, allow_hyphen_values = true)]
    cpu: f64,
    /// Memory of one instance
    #[arg(long, short = 'm', alias = "mem", value_name = "SIZE", value_parser = values::bytes, allow_hyphen_values = true)]
    memory: i64,
    /// Storage of one instance
    #[arg(long, short = 's', value_name = "SIZE", value_parser = values::bytes, allow_hyphen_values = true)]
    storage: i64,
    /// Bind each instance to cores of its own
    #[arg(long)]
    cpu_bind: bool,
    /// Only this node; repeatable
    #[arg(long, short = 'n', alias = "nodename", value_name = "NODE")]
    node: Vec<NodeName>,
    /// Name of the pod
    #[arg(value_name = "POD")]
    pod: PodName,
}

#[derive(Serialize)]
struct Capacity {
    total: i64,
    nodes: Vec<NodeCapacity>,
    /// Why other nodes cannot take any.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    reasons: Vec<pb::PlacementReason>,
}

#[derive(Serialize)]
struct NodeCapacity {
    name: String,
    capacity: i64,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let options = pb::DeployOptions {
        name: NOBODY.into(),
        entrypoint: Some(pb::EntrypointOptions { name: NOBODY.into(), ..Default::default() }),
        podname: args.pod.to_string(),
        count: 1,
        deploy_strategy: pb::deploy_options::Strategy::Dummy as i32,
        resource_opts: Some(pb::ResourceOptions {
            cpu_quota_limit: args.cpu,
            cpu_quota_request: args.cpu,
            cpu_bind: args.cpu_bind,
            memory_limit: args.memory,
            memory_request: args.memory,
            storage_limit: args.storage,
            storage_request: args.storage,
            ..Default::default()
        }),
        node_filter: Some(pb::NodeFilter {
            includes: args.node.iter().map(ToString::to_string).collect(),
            ..Default::default()
        }),
        ..Default::default()
    };
    let reply =
        context.read("CalculateCapacity", options, async |mut core, o| core.calculate_capacity(o).await).await?;
    let mut nodes: Vec<(String, i64)> = reply.node_capacities.into_iter().collect();
    nodes.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    let capacity = Capacity {
        total: reply.total,
        nodes: nodes.iter().map(|(name, capacity)| NodeCapacity { name: name.clone(), capacity: *capacity }).collect(),
        reasons: reply.reasons.clone(),
    };
    context.output.print(&capacity, || {
        let reasons: String = reply.reasons.iter().map(|reason| render::reason(reason) + "\n").collect();
        render::capacity(reply.total, &nodes) + &reasons
    })
}
