//! `pod`: one function per verb.

mod capacity;
mod filter;
mod nodes;

use crate::context::Context;
use crate::error::CliError;
use crate::render;
use clap::Subcommand;
use eru_api::pb;
use eru_types::PodName;
use filter::ResourceFilter;

#[derive(Debug, Subcommand)]
#[command(arg_required_else_help = true)]
pub(crate) enum Command {
    /// List all pods
    #[command(after_help = "\
Examples:
  eru-cli pod list")]
    List,
    /// Create a pod
    #[command(after_help = "\
Examples:
  eru-cli pod add web
  eru-cli pod add --desc 'for tests' testpod")]
    Add {
        /// What the pod is for
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        desc: String,
        /// Name of the pod
        #[arg(value_name = "POD")]
        pod: PodName,
    },
    /// Remove a pod that has no nodes
    #[command(after_help = "\
Examples:
  eru-cli pod remove testpod")]
    Remove {
        /// Name of the pod
        #[arg(value_name = "POD")]
        pod: PodName,
    },
    /// Show how much of each node has been given away
    #[command(after_help = "\
Examples:
  eru-cli pod resource web
  eru-cli pod resource --filter 'cpu > 40%' web")]
    Resource {
        /// Only nodes for which this holds: (cpu|memory|storage|volume) (>|>=|<|<=|==) NUMBER[%], or all
        #[arg(long, short = 'f', value_name = "EXPR", default_value = "all")]
        filter: ResourceFilter,
        /// Show each node as it answers
        #[arg(long)]
        stream: bool,
        /// Name of the pod
        #[arg(value_name = "POD")]
        pod: PodName,
    },
    /// Say how many instances would fit, and where
    #[command(after_help = "\
Examples:
  eru-cli pod capacity --cpu 1 --memory 1G --storage 0 web
  eru-cli pod capacity --cpu 1 --cpu-bind --memory 1G --storage 1G --node node1 web")]
    Capacity(capacity::Args),
    /// List the nodes of a pod, or of all pods
    #[command(after_help = "\
Examples:
  eru-cli pod nodes web
  eru-cli pod nodes --filter up --label zone=a
  eru-cli pod nodes --show-info web")]
    Nodes(nodes::Args),
    /// List the networks that the engines of a pod offer
    #[command(after_help = "\
Examples:
  eru-cli pod networks --driver bridge web")]
    Networks {
        /// Only networks of this driver
        #[arg(long, value_name = "DRIVER", default_value = "", hide_default_value = true)]
        driver: String,
        /// Name of the pod
        #[arg(value_name = "POD")]
        pod: PodName,
    },
}

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), CliError> {
    match command {
        Command::List => list(context).await,
        Command::Add { desc, pod } => add(context, &pod, desc).await,
        Command::Remove { pod } => remove(context, &pod).await,
        Command::Resource { filter, stream, pod } => resource(context, &pod, filter, stream).await,
        Command::Capacity(args) => capacity::run(context, args).await,
        Command::Nodes(args) => nodes::run(context, args).await,
        Command::Networks { driver, pod } => networks(context, &pod, driver).await,
    }
}

async fn list(context: &Context) -> Result<(), CliError> {
    let pods = context.read("ListPods", pb::Empty {}, async |mut core, o| core.list_pods(o).await).await?.pods;
    context.output.print(&pods, || render::pods(&pods))
}

async fn add(context: &Context, pod: &PodName, desc: String) -> Result<(), CliError> {
    let options = pb::AddPodOptions { name: pod.to_string(), desc };
    let added = context.write("AddPod", options, async |mut core, o| core.add_pod(o).await).await;
    let pods = [added.map_err(|error| error.names("pod", pod.as_str()))?];
    context.output.print(&pods, || render::pods(&pods))
}

/// Fails for a pod that is not there: to list what is in it, core takes any name.
async fn must_exist(context: &Context, pod: &PodName) -> Result<(), CliError> {
    let options = pb::GetPodOptions { name: pod.to_string() };
    context.read("GetPod", options, async |mut core, o| core.get_pod(o).await).await.map(drop)
}

async fn remove(context: &Context, pod: &PodName) -> Result<(), CliError> {
    let options = pb::RemovePodOptions { name: pod.to_string() };
    context.write("RemovePod", options, async |mut core, o| core.remove_pod(o).await).await?;
    context.log.info(format!("[RemovePod] success, name: {pod}"));
    Ok(())
}

async fn resource(context: &Context, pod: &PodName, filter: ResourceFilter, stream: bool) -> Result<(), CliError> {
    let options = pb::GetPodOptions { name: pod.to_string() };
    if stream {
        let mut nodes = context
            .read_stream("PodResourceStream", options, async |mut core, o| core.pod_resource_stream(o).await)
            .await?;
        let mut empty = true;
        while let Some(node) = nodes.next().await? {
            if filter.keeps(&node) {
                context.output.print_one(&node, || render::resources(std::slice::from_ref(&node)))?;
            }
            empty = false;
        }
        return if empty { must_exist(context, pod).await } else { Ok(()) };
    }
    let mut nodes = context
        .read("GetPodResource", options, async |mut core, o| core.get_pod_resource(o).await)
        .await?
        .nodes_resource;
    if nodes.is_empty() {
        must_exist(context, pod).await?;
    }
    nodes.retain(|node| filter.keeps(node));
    nodes.sort_by(|a, b| a.name.cmp(&b.name));
    context.output.print(&nodes, || render::resources(&nodes))
}

async fn networks(context: &Context, pod: &PodName, driver: String) -> Result<(), CliError> {
    let options = pb::ListNetworkOptions { podname: pod.to_string(), driver };
    let networks =
        context.read("ListNetworks", options, async |mut core, o| core.list_networks(o).await).await?.networks;
    context.output.print(&networks, || render::networks(&networks))
}
