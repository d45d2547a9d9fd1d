//! `workload`: one file per verb, or per pair of verbs that differ in a word.

mod control;
mod deploy;
mod dissociate;
mod files;
mod get;
mod list;
mod logs;
mod remove;
mod set_status;

pub use files::File;

use crate::context::Context;
use crate::error::CliError;
use crate::output;
use clap::Subcommand;

/// Ids of workloads, as most verbs take them.
#[derive(Debug, clap::Args)]
pub(crate) struct Ids {
    /// Ids of workloads: whole, a unique prefix, or the workload's name
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

#[derive(Debug, Subcommand)]
#[command(arg_required_else_help = true)]
pub(crate) enum Command {
    /// Deploy instances of an app
    #[command(after_help = "\
SPEC is a file, - for standard input, or an http:// URL. Without --image the pod must have nodes for plain commands.

Examples:
  eru-cli workload deploy --pod local --entry http web.yaml
  eru-cli workload deploy --pod web --entry http --image nginx:1 --count 3 --network bridge web.yaml
  eru-cli workload deploy --pod web --entry http --image nginx:1 --cpu 0.5 --memory 64M --env A=b web.yaml
  eru-cli workload deploy --pod web --entry http --image nginx:1 --count 9 --dry-run web.yaml")]
    Deploy(Box<deploy::Args>),
    /// Show workloads and what they have been given
    #[command(after_help = "\
Of a workload that ended it shows how, and its last lines.

Examples:
  eru-cli workload get 76bc45a2
  eru-cli -o json workload get web_http_JFfwYY")]
    Get(Ids),
    /// List workloads
    #[command(after_help = "\
Examples:
  eru-cli workload list
  eru-cli workload list web --entry http --nodename node1
  eru-cli workload list --label team=web --limit 10
  eru-cli workload list --statistics web")]
    List(list::Args),
    /// Show how workloads are: running, healthy, addresses
    #[command(after_help = "\
The ID cell is empty while nobody has reported the workload.

Examples:
  eru-cli workload get-status 76bc45a2")]
    GetStatus(Ids),
    /// Report how workloads are, as an agent does
    #[command(after_help = "\
Examples:
  eru-cli workload set-status --running --healthy --network bridge=172.17.0.2 76bc45a2
  eru-cli workload set-status --running --ttl 30 76bc45a2")]
    SetStatus(set_status::Args),
    /// Print what a workload wrote
    #[command(after_help = "\
Its standard output goes to ours, its standard error to ours, as they are.

Examples:
  eru-cli workload logs 76bc45a2
  eru-cli workload logs --follow --tail 10 76bc45a2
  eru-cli workload logs --since 10m 76bc45a2")]
    Logs(logs::Args),
    /// Start workloads that are stopped
    #[command(after_help = "\
Examples:
  eru-cli workload start 76bc45a2 8543b40a")]
    Start(control::Args),
    /// Stop workloads; they stay on their nodes
    #[command(after_help = "\
Examples:
  eru-cli workload stop 76bc45a2
  eru-cli workload stop --force 76bc45a2  # at once, whatever its hooks say")]
    Stop(control::Args),
    /// Stop workloads and start them again
    #[command(after_help = "\
Examples:
  eru-cli workload restart 76bc45a2")]
    Restart(control::Args),
    /// Remove workloads from their nodes
    #[command(after_help = "\
Examples:
  eru-cli workload remove 76bc45a2
  eru-cli workload remove --force 76bc45a2 8543b40a  # running ones as well")]
    Remove(remove::Args),
    /// Forget workloads, and leave them running on their nodes
    #[command(after_help = "\
Examples:
  eru-cli workload dissociate 76bc45a2")]
    Dissociate(Ids),
}

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), CliError> {
    match command {
        Command::Deploy(args) => deploy::run(context, *args).await,
        Command::Get(ids) => get::workloads(context, &ids.ids).await,
        Command::List(args) => list::run(context, args).await,
        Command::GetStatus(ids) => get::statuses(context, &ids.ids).await,
        Command::SetStatus(args) => set_status::run(context, args).await,
        Command::Logs(args) => output::while_read(logs::run(context, args)).await,
        Command::Start(args) => control::run(context, control::Verb::Start, args).await,
        Command::Stop(args) => control::run(context, control::Verb::Stop, args).await,
        Command::Restart(args) => control::run(context, control::Verb::Restart, args).await,
        Command::Remove(args) => remove::run(context, args).await,
        Command::Dissociate(ids) => dissociate::run(context, &ids.ids).await,
    }
}

/// The end of a command over several items: an error when some failed, which says how many did not.
fn summary(good: usize, total: usize, done: &str) -> Result<(), CliError> {
    if good == total { Ok(()) } else { Err(CliError::Items(format!("{good} of {total} {done}"))) }
}
