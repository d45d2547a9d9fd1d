//! `image`: one function per verb.

mod cache;
mod list;
mod remove;

use crate::context::Context;
use crate::error::CliError;
use crate::values;
use clap::Subcommand;
use eru_types::{NodeName, PodName};

#[derive(Debug, Subcommand)]
#[command(arg_required_else_help = true)]
pub(crate) enum Command {
    /// Pull images to nodes, ahead of a deploy
    #[command(after_help = "\
Examples:
  eru-cli image cache --podname web nginx:1
  eru-cli image cache --nodename node1 --nodename node2 nginx:1 redis:7")]
    Cache(OnNodes),
    /// List the images that nodes have
    #[command(
        visible_alias = "ls",
        after_help = "\
Examples:
  eru-cli image list --podname web
  eru-cli image list --nodename node1 --filter 'nginx*'"
    )]
    List(list::Args),
    /// Remove images from nodes
    #[command(after_help = "\
Examples:
  eru-cli image remove --podname web nginx:1
  eru-cli image remove --nodename node1 --prune nginx:1  # and what no image needs")]
    Remove(remove::Args),
}

/// Which nodes.
#[derive(Debug, clap::Args)]
pub(crate) struct Where {
    /// Only this node; repeatable
    #[arg(long, alias = "node", value_name = "NODE")]
    nodename: Vec<NodeName>,
    /// The nodes of this pod
    #[arg(long, alias = "pod", value_name = "POD")]
    podname: Option<PodName>,
}

impl Where {
    /// The pod, or nothing, and the nodes.
    fn wire(&self) -> Result<(String, Vec<String>), CliError> {
        if self.podname.is_none() && self.nodename.is_empty() {
            return Err(CliError::Usage("give --podname or --nodename; see --help".into()));
        }
        let pod = self.podname.as_ref().map(ToString::to_string).unwrap_or_default();
        Ok((pod, self.nodename.iter().map(ToString::to_string).collect()))
    }
}

/// Which images, and on which nodes.
#[derive(Debug, clap::Args)]
pub(crate) struct OnNodes {
    #[command(flatten)]
    nodes: Where,
    /// So many nodes at a time
    #[arg(long, value_name = "N", value_parser = values::count, default_value = "10", allow_hyphen_values = true)]
    concurrent: i32,
    /// Images
    #[arg(value_name = "IMAGE", value_parser = values::some_image, required = true)]
    images: Vec<String>,
}

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), CliError> {
    match command {
        Command::Cache(args) => cache::run(context, args).await,
        Command::List(args) => list::run(context, args).await,
        Command::Remove(args) => remove::run(context, args).await,
    }
}

/// The end of a command over images: an error when some failed, or there was no node.
fn summary(good: usize, total: usize, done: &str) -> Result<(), CliError> {
    match total {
        0 => Err(CliError::Items("no node of those is there and up".into())),
        _ if good < total => Err(CliError::Items(format!("{good} of {total} {done}"))),
        _ => Ok(()),
    }
}
