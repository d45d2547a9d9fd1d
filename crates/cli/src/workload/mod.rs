//! `workload`: one file per verb, or per pair of verbs that differ in a word.

mod control;
mod copy;
mod deploy;
mod dissociate;
mod dry_run;
mod exec;
mod files;
mod get;
mod instances;
mod list;
mod logs;
mod remove;
mod replace;
mod send;
mod set_status;

pub(crate) use exec::{check_command, exec};
pub use files::File;
pub(crate) use files::{Wire, read, wire};

use crate::context::Context;
use crate::error::CliError;
use crate::{exit, output};
use clap::Subcommand;

/// Ids of workloads, as most verbs take them.
#[derive(Debug, clap::Args)]
pub(crate) struct Ids {
    /// Ids of workloads: whole, a unique prefix, or the workload's name
    #[arg(value_name = "ID", required = true)]
    ids: Vec<String>,
}

impl Ids {
    /// As they were given.
    pub fn as_slice(&self) -> &[String] {
        &self.ids
    }
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
  eru-cli workload deploy --pod web --entry http --image nginx:1 --file web.conf:/etc/web.conf:0644 web.yaml
  eru-cli workload deploy --pod web --entry http --image nginx:2 --auto-replace web.yaml
  eru-cli workload deploy --pod web --entry http --image nginx:1 --count 9 --dry-run web.yaml")]
    Deploy(Box<deploy::Args>),
    /// Replace workloads one for one on their nodes, with the resources that they have
    #[command(after_help = "\
Without --workload, all workloads of the spec's app and of the entrypoint are replaced.

Examples:
  eru-cli workload replace --entry http --image nginx:2 --network-inherit web.yaml
  eru-cli workload replace --pod web --entry http --image nginx:2 --network bridge --label team=web web.yaml
  eru-cli workload replace --entry http --image nginx:2 --workload 76bc45a2 --copy /data/a:/data/a web.yaml")]
    Replace(Box<replace::Args>),
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
    /// Run a command inside a workload
    #[command(after_help = format!("\
With -i on a terminal, the command has a terminal too; Ctrl-] ends its input, and a second one leaves. With -i and
standard input from elsewhere, it is passed on byte for byte to its end.

Examples:
  eru-cli workload exec 76bc45a2 ls -l /
  eru-cli workload exec -i web_http_JFfwYY sh
  eru-cli workload exec -i 76bc45a2 -- tar -xf - -C /data < data.tar
  eru-cli workload exec -e A=1 -w /srv 76bc45a2 -- sh -c 'echo $A'

{}", exit::HELP_OF_COMMAND))]
    Exec(exec::Args),
    /// Copy files out of workloads, as tar archives
    #[command(after_help = "\
Each path becomes FOLDER/ID-NAME-TIME.tar; nothing is overwritten, and what did not come whole is not left.

Examples:
  eru-cli workload copy --dir backup 76bc45a2:/etc/passwd,/var/log
  eru-cli -o json workload copy web_http_JFfwYY:/data  # where the archives are, as JSON")]
    Copy(copy::Args),
    /// Send files into workloads
    #[command(after_help = "\
MODE is octal, 0755 without one.

Examples:
  eru-cli workload send --file web.conf:/etc/web.conf 76bc45a2 8543b40a
  eru-cli workload send --file key.pem:/etc/key.pem:0600:1000:1000 web_http_JFfwYY")]
    Send(send::Args),
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
        Command::Replace(args) => replace::run(context, *args).await,
        Command::Exec(args) => exec(context, args).await.map(drop),
        Command::Copy(args) => copy::run(context, args).await,
        Command::Send(args) => send::run(context, args).await,
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

/// Runs it to its end or to Ctrl-C, of which it says what core does then: nothing of ours stops a removal in its middle.
async fn interruptible<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    tokio::select! {
        result = work => result,
        _ = tokio::signal::ctrl_c() => {
            Err(CliError::Interrupted("interrupted; core goes on with what it has begun".into()))
        }
    }
}
