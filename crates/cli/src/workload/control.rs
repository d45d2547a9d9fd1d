//! `workload start`, `stop` and `restart`.

use super::{Ids, interruptible, summary};
use crate::context::Context;
use crate::error::{CliError, in_words};
use crate::{hook, ids};
use eru_api::pb;

#[derive(Debug, Clone, Copy)]
pub(super) enum Verb {
    Start,
    Stop,
    Restart,
}

impl Verb {
    /// The word on the wire, and what it has done.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Start => ("start", "started"),
            Self::Stop => ("stop", "stopped"),
            Self::Restart => ("restart", "restarted"),
        }
    }
}

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// At once, whatever hooks say
    #[arg(long, short = 'f')]
    force: bool,
    #[command(flatten)]
    ids: Ids,
}

pub(super) async fn run(context: &Context, verb: Verb, args: Args) -> Result<(), CliError> {
    let ids = ids::resolve(context, &args.ids.ids).await?;
    let total = ids.len();
    let (word, done) = verb.words();
    let options = pb::ControlWorkloadOptions { ids, r#type: word.into(), force: args.force, ..Default::default() };
    let good = interruptible(follow(context, word, options)).await?;
    summary(good, total, done)
}

/// Reports each; says how many went well.
async fn follow(context: &Context, word: &str, options: pb::ControlWorkloadOptions) -> Result<usize, CliError> {
    let mut stream =
        context.write_stream("ControlWorkload", options, async |mut core, o| core.control_workload(o).await).await?;
    let mut good = 0;
    while let Some(message) = stream.next().await? {
        context.output.print_message(&message)?;
        context.log.info(format!("[ControlWorkload] {word} {}", ids::short(&message.id)));
        hook::report(&context.log, "[ControlWorkload] HookOutput ", &ids::short(&message.id), &message.hook);
        if message.error.is_empty() {
            good += 1;
        } else {
            context.log.error(format!("[ControlWorkload] Failed {}", in_words(&message.error)));
        }
    }
    Ok(good)
}
