//! `workload send`.

use super::{Ids, files, summary};
use crate::context::Context;
use crate::error::{CliError, in_words};
use crate::ids;
use eru_api::pb;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// A file of ours, and where it goes; repeatable
    #[arg(long, value_name = "SOURCE:TARGET[:MODE[:UID[:GID]]]", required = true)]
    file: Vec<String>,
    #[command(flatten)]
    ids: Ids,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let files = files::read("--file", &args.file)?;
    let ids = ids::resolve(context, &args.ids.ids).await?;
    let total = ids.len() * files.len();
    let files::Wire { data, modes, owners } = files::wire(files);
    let options = pb::SendOptions { ids, data, modes, owners };
    let mut stream = context.write_stream("Send", options, async |mut core, o| core.send(o).await).await?;
    let mut good = 0;
    while let Some(message) = stream.next().await? {
        context.output.print_message(&message)?;
        let (path, id) = (&message.path, &message.id);
        if message.error.is_empty() {
            good += 1;
            context.log.info(format!("[Send] Send {path} to {id} success"));
        } else {
            context.log.error(format!("[Send] Failed send {path} to {id}: {}", in_words(&message.error)));
        }
    }
    summary(good, total, "sent")
}
