//! `image list`.

use super::Where;
use crate::context::Context;
use crate::error::{CliError, in_words};
use crate::render;
use eru_api::pb;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    nodes: Where,
    /// Only images whose name fits, as nginx or 'nginx*'
    #[arg(long, value_name = "PATTERN", default_value = "", hide_default_value = true)]
    filter: String,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let (podname, nodenames) = args.nodes.wire()?;
    let options = pb::ListImageOptions { podname, nodenames, filter: args.filter };
    let stream = context.read_stream("ListImage", options, async |mut core, o| core.list_image(o).await).await?;
    let mut nodes = stream.collect().await?;
    nodes.sort_by(|a, b| a.nodename.cmp(&b.nodename));
    context.output.print(&nodes, || render::images(&nodes))?;
    let failed: Vec<_> = nodes.iter().filter(|node| !node.err.is_empty()).collect();
    for node in &failed {
        context.log.error(format!("[ListImage] Failed {}: {}", node.nodename, in_words(&node.err)));
    }
    match failed.len() {
        0 => Ok(()),
        count => Err(CliError::Items(format!("{} of {} nodes answered", nodes.len() - count, nodes.len()))),
    }
}
