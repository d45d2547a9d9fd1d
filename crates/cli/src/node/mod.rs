//! `node`: one function per verb.

mod add;
mod pem;
mod set;
mod status;

use crate::context::Context;
use crate::error::CliError;
use crate::{output, render, values};
use clap::Subcommand;
use eru_api::pb;
use eru_types::NodeName;
use std::time::Duration;

#[derive(Debug, Subcommand)]
#[command(arg_required_else_help = true)]
pub(crate) enum Command {
    /// Show one node
    #[command(after_help = "\
Examples:
  eru-cli node get node1
  eru-cli -o json node get node1")]
    Get {
        /// Name of the node
        #[arg(value_name = "NODE")]
        node: NodeName,
    },
    /// Register a node with a pod
    #[command(after_help = "\
Without --cpu, --memory and --storage the engine is asked what it has.

Examples:
  eru-cli node add --nodename node1 --endpoint unix:///var/run/docker.sock web
  eru-cli node add --nodename node2 --endpoint tcp://10.0.0.2:2376 --ca ca.pem --cert cert.pem --key key.pem web
  eru-cli node add --nodename sim1 --endpoint fake://sim1 --cpu 8 --memory 16G --label zone=a web")]
    Add(Box<add::Args>),
    /// Remove a node that has no workloads
    #[command(after_help = "\
Examples:
  eru-cli node remove node1")]
    Remove {
        /// Name of the node
        #[arg(value_name = "NODE")]
        node: NodeName,
    },
    /// List the workloads of a node
    #[command(
        visible_alias = "containers",
        after_help = "\
Examples:
  eru-cli node workloads --label team=web node1"
    )]
    Workloads {
        /// Only workloads with this label; repeatable
        #[arg(long, value_name = "KEY=VALUE")]
        label: Vec<String>,
        /// Name of the node
        #[arg(value_name = "NODE")]
        node: NodeName,
    },
    /// Let a node take workloads again
    #[command(after_help = "\
Examples:
  eru-cli node up node1")]
    Up {
        /// Name of the node
        #[arg(value_name = "NODE")]
        node: NodeName,
    },
    /// Keep new workloads away from a node; what runs there goes on
    #[command(after_help = "\
Examples:
  eru-cli node down node1
  eru-cli node down --check node1  # only if its engine does not answer")]
    Down {
        /// Only if the engine does not answer
        #[arg(long)]
        check: bool,
        /// How long the engine may take, seconds
        #[arg(long, value_name = "SECONDS", value_parser = values::seconds, default_value = "20", allow_hyphen_values = true)]
        check_timeout: i64,
        /// Name of the node
        #[arg(value_name = "NODE")]
        node: NodeName,
    },
    /// Report that a node is alive, as its agent does
    #[command(after_help = "\
Examples:
  eru-cli node set-status --ttl 180 node1
  eru-cli node set-status --ttl 30 --interval 10 node1  # again and again, until Ctrl-C
  eru-cli node set-status --ttl=-1 node1  # the node says good-bye")]
    SetStatus {
        /// How long the report counts, seconds; negative: the node is gone
        #[arg(long, value_name = "SECONDS", default_value = "180", allow_hyphen_values = true, value_parser = values::node_ttl)]
        ttl: i64,
        /// Report again after so many seconds, until Ctrl-C; 0 = once
        #[arg(long, value_name = "SECONDS", value_parser = values::seconds, default_value = "0", allow_hyphen_values = true)]
        interval: i64,
        /// Name of the node
        #[arg(value_name = "NODE")]
        node: NodeName,
    },
    /// Watch which nodes are alive, as it changes
    #[command(after_help = "\
Examples:
  eru-cli node watch-status
  eru-cli -o json node watch-status  # a line of JSON a change")]
    WatchStatus,
    /// Show how much of a node has been given away
    #[command(after_help = "\
Examples:
  eru-cli node resource node1
  eru-cli node resource --fix node1")]
    Resource {
        /// Correct the books where they disagree with the workloads
        #[arg(long)]
        fix: bool,
        /// Name of the node
        #[arg(value_name = "NODE")]
        node: NodeName,
    },
    /// Change a node
    #[command(
        visible_alias = "update",
        after_help = "\
Sizes are what the node is to have; with --delta, what it is to have more or (with a minus) less.

Examples:
  eru-cli node set --label zone=b --memory 20G node1
  eru-cli node set --delta --memory -1G node1
  eru-cli node set --mark-workloads-down node1"
    )]
    Set(Box<set::Args>),
}

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), CliError> {
    match command {
        Command::Get { node } => get(context, &node).await,
        Command::Add(args) => add::run(context, *args).await,
        Command::Remove { node } => remove(context, &node).await,
        Command::Workloads { label, node } => workloads(context, &node, &label).await,
        Command::Up { node } => up(context, &node).await,
        Command::Down { check, check_timeout, node } => {
            down(context, &node, check.then(|| Duration::from_secs(check_timeout as u64))).await
        }
        Command::SetStatus { ttl, interval, node } => status::set(context, &node, ttl, interval).await,
        Command::WatchStatus => output::while_read(status::watch(context)).await,
        Command::Resource { fix, node } => resource(context, &node, fix).await,
        Command::Set(args) => set::run(context, *args).await,
    }
}

fn by_name(node: &NodeName) -> pb::GetNodeOptions {
    pb::GetNodeOptions { nodename: node.to_string(), ..Default::default() }
}

async fn get(context: &Context, node: &NodeName) -> Result<(), CliError> {
    let node = context.read("GetNode", by_name(node), async |mut core, o| core.get_node(o).await).await?;
    context.output.print(&node, || render::nodes(std::slice::from_ref(&node), true))
}

async fn remove(context: &Context, node: &NodeName) -> Result<(), CliError> {
    let options = pb::RemoveNodeOptions { nodename: node.to_string() };
    context.write("RemoveNode", options, async |mut core, o| core.remove_node(o).await).await?;
    context.log.info("[RemoveNode] success");
    Ok(())
}

async fn workloads(context: &Context, node: &NodeName, labels: &[String]) -> Result<(), CliError> {
    let options = pb::GetNodeOptions { nodename: node.to_string(), labels: values::pairs("--label", labels)? };
    let workloads = context
        .read("ListNodeWorkloads", options, async |mut core, o| core.list_node_workloads(o).await)
        .await?
        .workloads;
    context.output.print(&workloads, || render::workloads(&workloads))
}

async fn up(context: &Context, node: &NodeName) -> Result<(), CliError> {
    bypass(context, node, pb::TriOpt::False).await?;
    context.log.info(format!("[SetNode] node {node} up"));
    Ok(())
}

/// `check`: how long the node's engine may take to show that it is not down after all.
async fn down(context: &Context, node: &NodeName, check: Option<Duration>) -> Result<(), CliError> {
    if let Some(timeout) = check {
        let answer = context.read("GetNodeEngine", by_name(node), async |mut core, o| core.get_node_engine(o).await);
        if let Ok(Ok(_)) = tokio::time::timeout(timeout, answer).await {
            context.log.warn("[SetNode] node is not down");
            return Ok(());
        }
    }
    bypass(context, node, pb::TriOpt::True).await?;
    context.log.info(format!("[SetNode] node {node} down"));
    Ok(())
}

async fn bypass(context: &Context, node: &NodeName, flag: pb::TriOpt) -> Result<(), CliError> {
    let options = pb::SetNodeOptions { nodename: node.to_string(), bypass_opt: flag as i32, ..Default::default() };
    let node = context.write("SetNode", options, async |mut core, o| core.set_node(o).await).await?;
    context.output.print_message(&node)
}

async fn resource(context: &Context, node: &NodeName, fix: bool) -> Result<(), CliError> {
    let options = pb::GetNodeResourceOptions { opts: Some(by_name(node)), fix };
    let resource =
        context.read("GetNodeResource", options, async |mut core, o| core.get_node_resource(o).await).await?;
    context.output.print(&resource, || render::resources(std::slice::from_ref(&resource)))
}
