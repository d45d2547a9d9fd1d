//! The whole command line, as clap sees it. Each noun brings its own part.

use crate::{
    cluster, completion, exit, image, lambda, network, node, output, pod, replicaset, status, version, workload,
};
use clap::{CommandFactory, Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(
    name = "eru-cli",
    about = "Places workloads on nodes, and tells how they are",
    version = version::VERSION,
    after_help = format!("\
Examples:
  eru-cli pod list
  eru-cli workload deploy --pod local --entry http web.yaml
  eru-cli workload list web
  eru-cli status
  eru-cli replicaset apply web.yaml

{}", exit::HELP),
    disable_help_flag = true,
    disable_help_subcommand = true,
    arg_required_else_help = true,
    subcommand_required = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub globals: Globals,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command; they may stand anywhere.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Globals {
    /// Address of core
    #[arg(
        long,
        short = 'e',
        global = true,
        env = "ERU",
        hide_env_values = true,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:5001"
    )]
    pub eru: String,
    /// Address of the controller, for replicaset
    #[arg(
        long,
        global = true,
        env = "ERU_CONTROLLER",
        hide_env_values = true,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:5002"
    )]
    pub controller: String,
    /// Name that core asks for
    #[arg(
        long,
        short = 'u',
        global = true,
        env = "ERU_USERNAME",
        hide_env_values = true,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub username: String,
    /// Password that core asks for
    #[arg(
        long,
        short = 'p',
        global = true,
        env = "ERU_PASSWORD",
        value_name = "PASSWORD",
        default_value = "",
        hide_default_value = true,
        hide_env_values = true
    )]
    pub password: String,
    /// Print json or yaml instead of tables
    #[arg(
        long,
        short = 'o',
        global = true,
        env = "ERU_OUTPUT_FORMAT",
        hide_env_values = true,
        value_name = "FORMAT",
        default_value = "table",
        hide_default_value = true
    )]
    pub output: output::Format,
    /// Log what is asked of core, and how long it takes
    #[arg(long, short = 'd', global = true)]
    pub debug: bool,
    /// Print help
    #[arg(long, short = 'h', global = true, action = clap::ArgAction::HelpShort)]
    help: Option<bool>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Core itself
    #[command(subcommand)]
    Core(cluster::Command),
    /// Pods: named groups of nodes
    #[command(subcommand)]
    Pod(pod::Command),
    /// Nodes: where workloads run
    #[command(subcommand)]
    Node(node::Command),
    /// Workloads: instances of apps
    #[command(subcommand, visible_alias = "container")]
    Workload(workload::Command),
    /// Images that nodes have
    #[command(subcommand)]
    Image(image::Command),
    /// Networks of workloads
    #[command(subcommand)]
    Network(network::Command),
    /// Run a command in workloads of its own, to its end
    Lambda(Box<lambda::Args>),
    /// Watch how workloads are, as it changes
    Status(status::Args),
    /// ReplicaSets: so many instances, kept alive
    #[command(subcommand, visible_alias = "rs")]
    Replicaset(replicaset::Command),
    /// Print a script that completes this command line in a shell
    Completion(completion::Args),
}

/// A part of the name of a global option that a command needs for an option of its own, as the original has it.
#[derive(Debug, Clone, Copy)]
enum Name {
    Long,
    Short,
}

/// Where a command's own option has a name of a global one: the command, the global option, and the name that it gives up.
const GIVEN_UP: [(&[&str], &str, Name); 5] = [
    (&["workload", "deploy"], "debug", Name::Long),
    (&["workload", "replace"], "debug", Name::Long),
    (&["workload", "exec"], "eru", Name::Short),
    (&["workload", "copy"], "debug", Name::Short),
    (&["lambda"], "password", Name::Short),
];

/// The command line as a clap command, for help pages, completions and tests.
pub fn command() -> clap::Command {
    GIVEN_UP.into_iter().fold(Cli::command(), |command, (path, id, name)| {
        let global = command.get_arguments().find(|arg| arg.get_id() == id).expect("a global option").clone();
        let local = match name {
            Name::Long => global.long(None),
            Name::Short => global.short(None),
        };
        with_argument(command, path, local)
    })
}

/// `command` with one more argument of the subcommand at `path`.
fn with_argument(command: clap::Command, path: &[&str], argument: clap::Arg) -> clap::Command {
    match path {
        [] => command.arg(argument),
        [first, rest @ ..] => command.mut_subcommand(first, |sub| with_argument(sub, rest, argument)),
    }
}
