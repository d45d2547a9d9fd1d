//! `core`.

use crate::context::Context;
use crate::error::CliError;
use crate::render;
use clap::Subcommand;
use eru_api::pb;

#[derive(Debug, Subcommand)]
#[command(arg_required_else_help = true)]
pub(crate) enum Command {
    /// Say which build of core answers and which store it serves
    #[command(after_help = "\
Examples:
  eru-cli core info
  eru-cli -e 10.0.0.1:5001 -o json core info")]
    Info,
}

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), CliError> {
    match command {
        Command::Info => info(context).await,
    }
}

async fn info(context: &Context) -> Result<(), CliError> {
    let info = context.read("Info", pb::Empty {}, async |mut core, o| core.info(o).await).await?;
    context.output.print(&info, || render::core_info(&info))
}
