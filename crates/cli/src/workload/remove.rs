//! `workload remove`.

use super::{Ids, interruptible, summary};
use crate::context::Context;
use crate::error::{CliError, in_words};
use crate::{ids, values};
use eru_api::pb;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Running ones as well
    #[arg(long, short = 'f')]
    force: bool,
    /// So many at a time; 0 = all at once
    #[arg(long, short = 's', value_name = "N", value_parser = values::limit, default_value = "0", allow_hyphen_values = true)]
    step: i32,
    #[command(flatten)]
    ids: Ids,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let ids = ids::resolve(context, &args.ids.ids).await?;
    if args.force {
        context
            .log
            .warn("[RemoveWorkload] If workload not stopped, force to remove will not trigger hook process if set");
    }
    let total = ids.len();
    let good = interruptible(follow(context, &args, &ids)).await?;
    summary(good, total, "removed")
}

/// Reports each; says how many went well.
async fn follow(context: &Context, args: &Args, ids: &[String]) -> Result<usize, CliError> {
    let step = if args.step == 0 { ids.len() } else { args.step as usize };
    let mut good = 0;
    for ids in ids.chunks(step) {
        let options = pb::RemoveWorkloadOptions { ids: ids.to_vec(), force: args.force, ..Default::default() };
        let mut stream =
            context.write_stream("RemoveWorkload", options, async |mut core, o| core.remove_workload(o).await).await?;
        while let Some(message) = stream.next().await? {
            good += usize::from(message.success);
            context.output.print_message(&message)?;
            show(context, &message);
        }
    }
    Ok(good)
}

fn show(context: &Context, message: &pb::RemoveWorkloadMessage) {
    // Of a failure the original's core puts the error here.
    let hook = (!message.hook.is_empty()).then(|| in_words(&message.hook));
    if message.success {
        context.log.info(format!("[RemoveWorkload] {} Success", message.id));
        hook.into_iter().for_each(|hook| context.log.info(hook));
    } else {
        context.log.error(format!("[RemoveWorkload] {} Failed", message.id));
        hook.into_iter().for_each(|hook| context.log.error(hook));
    }
    if !message.error.is_empty() && !message.hook.contains(&message.error) {
        context.log.error(in_words(&message.error));
    }
}
