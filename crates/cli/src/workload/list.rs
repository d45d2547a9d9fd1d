//! `workload list`.

use crate::context::Context;
use crate::error::CliError;
use crate::render::Statistics;
use crate::{render, values};
use eru_api::pb;
use eru_types::name::excerpt;
use eru_types::{AppName, EntrypointName, NodeName, PodName};
use std::net::IpAddr;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only this entrypoint
    #[arg(long, value_name = "NAME")]
    entry: Option<EntrypointName>,
    /// Only workloads on this node
    #[arg(long, alias = "node", value_name = "NODE")]
    nodename: Option<NodeName>,
    /// Only workloads with this label; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// At most so many; 0 = all
    #[arg(long, value_name = "N", value_parser = values::limit, default_value = "0", allow_hyphen_values = true)]
    limit: i32,
    /// Only workloads with this address; repeatable
    #[arg(long, value_name = "IP", value_parser = values::ip)]
    match_ip: Vec<IpAddr>,
    /// Not workloads with this address; repeatable
    #[arg(long, value_name = "IP", value_parser = values::ip)]
    skip_ip: Vec<IpAddr>,
    /// Only workloads in this pod; repeatable
    #[arg(long, value_name = "POD")]
    pod: Vec<PodName>,
    /// Only what this deploy made
    #[arg(long, value_name = "ID")]
    op_id: Option<String>,
    /// Show sums instead of the workloads
    #[arg(long)]
    statistics: bool,
    /// Only this app
    #[arg(value_name = "APP")]
    app: Option<AppName>,
}

impl Args {
    /// Whether there are filters that core does not know, so that the limit is ours to keep.
    fn filters_here(&self) -> bool {
        !self.match_ip.is_empty() || !self.skip_ip.is_empty() || self.pod.len() > 1 || self.op_id.is_some()
    }

    fn keeps(&self, workload: &pb::Workload) -> bool {
        let has = |wanted: &[IpAddr]| {
            // An address may carry a prefix length.
            let addresses = workload.status.iter().flat_map(|status| status.networks.values());
            addresses.filter_map(|a| a.split('/').next()?.parse().ok()).any(|a: IpAddr| wanted.contains(&a))
        };
        let pod = self.pod.is_empty() || self.pod.iter().any(|pod| pod.as_str() == workload.podname);
        let op = self.op_id.as_ref().is_none_or(|op| *op == workload.op_id);
        pod && op && (self.match_ip.is_empty() || has(&self.match_ip)) && !has(&self.skip_ip)
    }

    /// Fails for a node or pod that is not there: as a filter core takes any name, as the original did.
    async fn must_exist(&self, context: &Context) -> Result<(), CliError> {
        if let Some(node) = &self.nodename {
            let options = pb::GetNodeOptions { nodename: node.to_string(), ..Default::default() };
            context.read("GetNode", options, async |mut core, o| core.get_node(o).await).await?;
        }
        for pod in &self.pod {
            let options = pb::GetPodOptions { name: pod.to_string() };
            context.read("GetPod", options, async |mut core, o| core.get_pod(o).await).await?;
        }
        Ok(())
    }

    fn options(&self) -> Result<pb::ListWorkloadsOptions, CliError> {
        if let Some(op) = self.op_id.as_ref().filter(|op| op.is_empty()) {
            return Err(CliError::Usage(format!("--op-id: must not be empty, got \"{}\"", excerpt(op))));
        }
        Ok(pb::ListWorkloadsOptions {
            appname: self.app.as_ref().map(ToString::to_string).unwrap_or_default(),
            entrypoint: self.entry.as_ref().map(ToString::to_string).unwrap_or_default(),
            nodename: self.nodename.as_ref().map(ToString::to_string).unwrap_or_default(),
            labels: values::pairs("--label", &self.label)?,
            limit: if self.filters_here() { 0 } else { i64::from(self.limit) },
            podname: if let [pod] = &self.pod[..] { pod.to_string() } else { String::new() },
            ..Default::default()
        })
    }
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let options = args.options()?;
    let mut stream =
        context.read_stream("ListWorkloads", options, async |mut core, o| core.list_workloads(o).await).await?;
    let limit = if args.limit == 0 { usize::MAX } else { args.limit as usize };
    let mut workloads = Vec::new();
    while workloads.len() < limit {
        let Some(workload) = stream.next().await? else { break };
        if args.keeps(&workload) {
            workloads.push(workload);
        }
    }
    if workloads.is_empty() {
        args.must_exist(context).await?;
    }
    if args.statistics {
        let sums = Statistics::of(&workloads);
        return context.output.print(&sums, || render::statistics(&sums));
    }
    context.output.print(&workloads, || render::workloads(&workloads))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    #[test]
    fn filters_of_ours() {
        let workload = pb::Workload {
            podname: "p".into(),
            op_id: "o".into(),
            status: Some(pb::WorkloadStatus {
                networks: [("bridge".into(), "10.0.0.1/24".into())].into(),
                ..Default::default()
            }),
            ..Default::default()
        };
        let keeps = |words: &[&str]| Line::parse_from([&["x"], words].concat()).args.keeps(&workload);
        assert!(keeps(&[]));
        assert!(keeps(&["--match-ip", "10.0.0.1", "--pod", "q", "--pod", "p", "--op-id", "o"]));
        assert!(!keeps(&["--match-ip", "10.0.0.2"]));
        assert!(!keeps(&["--skip-ip", "10.0.0.1"]));
        assert!(!keeps(&["--pod", "q"]));
        assert!(!keeps(&["--op-id", "x"]));
    }
}
