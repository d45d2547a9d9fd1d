//! `image remove`.

use super::{OnNodes, summary};
use crate::context::Context;
use crate::error::{CliError, in_words};
use eru_api::pb;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Remove what no image needs as well
    #[arg(long)]
    prune: bool,
    #[command(flatten)]
    on_nodes: OnNodes,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let (podname, nodenames) = args.on_nodes.nodes.wire()?;
    let OnNodes { images, concurrent, .. } = args.on_nodes;
    let options = pb::RemoveImageOptions { podname, nodenames, images, step: concurrent, prune: args.prune };
    let mut stream =
        context.write_stream("RemoveImage", options, async |mut core, o| core.remove_image(o).await).await?;
    let (mut good, mut total) = (0, 0);
    while let Some(message) = stream.next().await? {
        total += 1;
        good += usize::from(message.success);
        context.output.print_message(&message)?;
        let on = if message.nodename.is_empty() { String::new() } else { format!(" on {}", message.nodename) };
        let image = &message.image;
        if message.success {
            context.log.info(format!("[CleanImage] Success remove {image}{on}"));
            message.messages.iter().for_each(|line| context.log.info(in_words(line)));
        } else {
            context.log.error(format!("[Cleanimage] Failed remove {image}{on}"));
            message.messages.iter().for_each(|line| context.log.error(in_words(line)));
        }
    }
    summary(good, total, "removed")
}
