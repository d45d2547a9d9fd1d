//! `pod nodes`.

use super::must_exist;
use crate::context::Context;
use crate::error::CliError;
use crate::{render, values};
use clap::ValueEnum;
use eru_api::pb;
use eru_types::PodName;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Which nodes
    #[arg(long, short = 'f', value_name = "WHICH", value_enum, default_value = "all")]
    filter: Which,
    /// Only nodes with this label; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// How long core waits for engines, seconds
    #[arg(long, value_name = "SECONDS", value_parser = values::limit, default_value = "10", allow_hyphen_values = true)]
    timeout: i32,
    /// Ask the engines, and show what they say
    #[arg(long)]
    show_info: bool,
    /// Show each node as it answers
    #[arg(long)]
    stream: bool,
    /// All nodes, as without a filter
    #[arg(long, hide = true)]
    all: bool,
    /// Name of the pod; all pods without it
    #[arg(value_name = "POD")]
    pod: Option<PodName>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Which {
    /// Nodes that take workloads
    Up,
    /// Nodes that do not
    Down,
    /// Every node
    All,
}

impl Which {
    fn keeps(self, node: &pb::Node) -> bool {
        match self {
            Self::All => true,
            Self::Up => node.available && !node.bypass,
            Self::Down => !node.available || node.bypass,
        }
    }
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let which = if args.all { Which::All } else { args.filter };
    let options = pb::ListNodesOptions {
        podname: args.pod.as_ref().map(ToString::to_string).unwrap_or_default(),
        all: which != Which::Up,
        labels: values::pairs("--label", &args.label)?,
        timeout_in_second: args.timeout,
        skip_info: !args.show_info,
    };
    if args.stream {
        let mut nodes =
            context.read_stream("PodNodesStream", options, async |mut core, o| core.pod_nodes_stream(o).await).await?;
        let mut empty = true;
        while let Some(node) = nodes.next().await? {
            if which.keeps(&node) {
                context.output.print_one(&node, || render::nodes(std::slice::from_ref(&node), args.show_info))?;
            }
            empty = false;
        }
        return match &args.pod {
            Some(pod) if empty => must_exist(context, pod).await,
            _ => Ok(()),
        };
    }
    let mut nodes =
        context.read("ListPodNodes", options, async |mut core, o| core.list_pod_nodes(o).await).await?.nodes;
    if let Some(pod) = args.pod.as_ref().filter(|_| nodes.is_empty()) {
        must_exist(context, pod).await?;
    }
    nodes.retain(|node| which.keeps(node));
    context.output.print(&nodes, || render::nodes(&nodes, args.show_info))
}
