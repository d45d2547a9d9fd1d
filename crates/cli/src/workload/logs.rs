//! `workload logs`.

use crate::context::Context;
use crate::error::{CliError, in_words};
use crate::{ids, output};
use eru_api::pb;
use eru_types::name::excerpt;
use std::io::Write as _;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Number of last lines, or all
    #[arg(long, value_name = "N", value_parser = tail, default_value = "all", allow_hyphen_values = true)]
    tail: String,
    /// Not before this time: RFC 3339, Unix seconds, or a duration ago as 10m
    #[arg(long, value_name = "TIME", default_value = "", hide_default_value = true)]
    since: String,
    /// Not after this time
    #[arg(long, value_name = "TIME", default_value = "", hide_default_value = true)]
    until: String,
    /// Go on with new lines, until Ctrl-C
    #[arg(long, short = 'f')]
    follow: bool,
    /// Id of the workload: whole, a unique prefix, or the workload's name
    #[arg(value_name = "ID")]
    id: String,
}

fn tail(text: &str) -> Result<String, String> {
    let digits = !text.is_empty() && text.len() < 10 && text.bytes().all(|b| b.is_ascii_digit());
    let good = digits || text == "all";
    if good { Ok(text.to_owned()) } else { Err(format!("must be a whole number or all, got \"{}\"", excerpt(text))) }
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let id = ids::resolve(context, std::slice::from_ref(&args.id)).await?.remove(0);
    let options =
        pb::LogStreamOptions { id, tail: args.tail, since: args.since, until: args.until, follow: args.follow };
    let mut stream = context.read_stream("LogStream", options, async |mut core, o| core.log_stream(o).await).await?;
    while let Some(message) = stream.next().await? {
        if !message.error.is_empty() {
            context.log.error(format!("[GetWorkloadLog] Failed {} {}", message.id, in_words(&message.error)));
            return Err(CliError::Items(format!("no logs of {}", ids::short(&message.id))));
        }
        write(&message)?;
    }
    Ok(())
}

/// As the workload wrote it, and nothing else.
fn write(message: &pb::LogStreamMessage) -> Result<(), CliError> {
    if message.std_stream_type == pb::StdStreamType::Stderr as i32 {
        // When nobody reads standard error, the lines are for nobody.
        let _ = std::io::stderr().write_all(&message.data);
        return Ok(());
    }
    output::print_bytes(&message.data)
}
