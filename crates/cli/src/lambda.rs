//! `lambda`.

use crate::context::Context;
use crate::error::CliError;
use crate::session::{Expect, Input, Session, Stdin, converse};
use crate::{exit, values, workload};
use eru_api::pb;
use eru_api::pb::deploy_options::Strategy;
use eru_types::volume::Volume;
use eru_types::{EntrypointName, NodeName, PodName};

/// The app that lambdas belong to.
const APP: &str = "lambda";

/// Run a command in workloads of its own, to its end
#[derive(Debug, clap::Args)]
#[command(after_help = format!("\
The workloads are removed when the command has ended. With several, the exit code is that of the first that failed.

Examples:
  eru-cli lambda --name date --pod web --image alpine:3 date
  eru-cli lambda --name sum --pod web --image alpine:3 --stdin md5sum < file
  eru-cli lambda --name job --pod web --image alpine:3 --count 3 --workload-id -- sh -c 'echo hi; exit 2'
  eru-cli lambda --name job --pod web --image alpine:3 --async --async-timeout 600 sleep 500

{}", exit::HELP_OF_COMMAND))]
pub(crate) struct Args {
    /// Name of the entrypoint that the workloads get
    #[arg(long, value_name = "NAME", value_parser = values::entry)]
    name: EntrypointName,
    /// Pod to run in
    #[arg(long, value_name = "POD")]
    pod: PodName,
    /// Image to run
    #[arg(long, value_name = "IMAGE", value_parser = values::image, default_value = "alpine:latest")]
    image: String,
    /// Only this node; repeatable
    #[arg(long, value_name = "NODE")]
    node: Vec<NodeName>,
    /// Network to join, with an address if one is wanted; repeatable
    #[arg(long, value_name = "NAME[=ADDRESS]")]
    network: Vec<String>,
    /// A variable of the environment; repeatable
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// Working folder
    #[arg(long, alias = "working_dir", value_name = "PATH", value_parser = values::absolute, default_value = "/")]
    working_dir: String,
    #[command(flatten)]
    resources: Resources,
    /// Number of instances; for EACH and FILL a node
    #[arg(long, value_name = "N", value_parser = values::count, default_value = "1", allow_hyphen_values = true)]
    count: i32,
    /// How instances are spread over nodes: auto, fill, each, global or drained
    #[arg(long, value_name = "STRATEGY", value_parser = values::strategy, default_value = "auto")]
    deploy_strategy: Strategy,
    /// User to run as
    #[arg(long, value_name = "USER", default_value = "root")]
    user: String,
    /// A file to put into each instance; repeatable
    #[arg(long, value_name = "SOURCE:TARGET[:MODE[:UID[:GID]]]")]
    file: Vec<String>,
    /// Our standard input is its input; with a terminal, if ours is one
    #[arg(long, short = 's')]
    stdin: bool,
    /// Return when the workloads run, and leave them to their end
    #[arg(long = "async", conflicts_with = "stdin")]
    asynchronous: bool,
    /// How long they may take then, seconds
    #[arg(long, value_name = "SECONDS", value_parser = values::limit, default_value = "30", allow_hyphen_values = true)]
    async_timeout: i32,
    /// Run with all privileges of the node
    #[arg(long, short = 'p')]
    privileged: bool,
    /// Begin each line of output with the workload's id
    #[arg(long)]
    workload_id: bool,
    /// The command and its arguments
    #[arg(value_name = "COMMAND", required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

/// What each instance asks for.
#[derive(Debug, clap::Args)]
struct Resources {
    /// Cores to set aside; 0 = as the limit
    #[arg(long, value_name = "CORES", value_parser = values::cores, default_value = "0", allow_hyphen_values = true)]
    cpu_request: f64,
    /// Most cores to use; 0 = no limit
    #[arg(long, value_name = "CORES", value_parser = values::cores, default_value = "1.0", allow_hyphen_values = true)]
    cpu: f64,
    /// Memory to set aside; 0 = as the limit
    #[arg(long, value_name = "SIZE", value_parser = values::bytes, default_value = "0", allow_hyphen_values = true)]
    memory_request: i64,
    /// Most memory to use; 0 = no limit
    #[arg(long, value_name = "SIZE", value_parser = values::bytes, default_value = "512M", allow_hyphen_values = true)]
    memory: i64,
    /// Storage to set aside; 0 = as the limit
    #[arg(long, value_name = "SIZE", value_parser = values::bytes, default_value = "0", allow_hyphen_values = true)]
    storage_request: i64,
    /// Most storage to use; 0 = no limit
    #[arg(long, value_name = "SIZE", value_parser = values::bytes, default_value = "0", allow_hyphen_values = true)]
    storage: i64,
    /// A volume to set aside; repeatable, as many as --volume
    #[arg(long, value_name = "SOURCE:TARGET[:FLAGS[:SIZE]]", value_parser = values::volume)]
    volume_request: Vec<Volume>,
    /// A volume; repeatable
    #[arg(long, value_name = "SOURCE:TARGET[:FLAGS[:SIZE]]", value_parser = values::volume)]
    volume: Vec<Volume>,
}

impl Resources {
    fn options(&self) -> Result<pb::ResourceOptions, CliError> {
        let (requests, limits) = (self.volume_request.len(), self.volume.len());
        if requests != 0 && requests != limits {
            let message = format!("--volume-request is given {requests} times, --volume {limits}; they must pair up");
            return Err(CliError::Usage(message));
        }
        Ok(pb::ResourceOptions {
            cpu_quota_request: self.cpu_request,
            cpu_quota_limit: self.cpu,
            memory_request: self.memory_request,
            memory_limit: self.memory,
            storage_request: self.storage_request,
            storage_limit: self.storage,
            volumes_request: self.volume_request.iter().map(ToString::to_string).collect(),
            volumes_limit: self.volume.iter().map(ToString::to_string).collect(),
            ..Default::default()
        })
    }
}

/// Runs a command in workloads of its own. Returns its exit code.
pub(crate) async fn run(context: &Context, args: Args) -> Result<u8, CliError> {
    lambda(context, args).await.map_err(CliError::not_the_command)
}

async fn lambda(context: &Context, args: Args) -> Result<u8, CliError> {
    let stdin = Stdin::of(args.stdin);
    if stdin != Stdin::None && (args.count != 1 || args.deploy_strategy != Strategy::Auto) {
        return Err(CliError::Usage("--stdin goes to one workload: it needs --count 1 and strategy auto".into()));
    }
    let expect = match (args.asynchronous, args.deploy_strategy) {
        (true, _) => Expect::Workloads,
        // How many these are, only core knows.
        (false, Strategy::Each | Strategy::Fill) => Expect::Ends(1),
        (false, _) => Expect::Ends(args.count.max(0) as usize),
    };
    let (asynchronous, async_timeout, prefix) = (args.asynchronous, args.async_timeout, args.workload_id);
    let first = pb::RunAndWaitOptions {
        deploy_options: Some(options(args, stdin != Stdin::None)?),
        r#async: asynchronous,
        async_timeout,
        no_terminal: stdin == Stdin::Pipe,
        ..Default::default()
    };
    let session = Session { name: "RunAndWait", first, wrap, stdin, expect, prefix };
    converse(context, session, async |mut core, messages| core.run_and_wait(messages).await).await
}

fn options(args: Args, open_stdin: bool) -> Result<pb::DeployOptions, CliError> {
    workload::check_command(&args.command)?;
    let resources = args.resources.options()?;
    let networks = values::networks("--network", &args.network)?;
    let env = values::env("--env", &args.env)?.iter().map(ToString::to_string).collect();
    let workload::Wire { data, modes, owners } = workload::wire(workload::read("--file", &args.file)?);
    let includes = args.node.iter().map(ToString::to_string).collect();
    Ok(pb::DeployOptions {
        name: APP.into(),
        entrypoint: Some(pb::EntrypointOptions {
            name: args.name.to_string(),
            commands: args.command,
            privileged: args.privileged,
            dir: args.working_dir,
            ..Default::default()
        }),
        podname: args.pod.to_string(),
        image: args.image,
        count: args.count,
        env,
        networks,
        user: args.user,
        open_stdin,
        deploy_strategy: args.deploy_strategy as i32,
        data,
        modes,
        owners,
        resource_opts: Some(resources),
        node_filter: Some(pb::NodeFilter { includes, ..Default::default() }),
        ..Default::default()
    })
}

fn wrap(input: Input) -> pb::RunAndWaitOptions {
    pb::RunAndWaitOptions { cmd: input.special, input: input.plain, close_input: input.end, ..Default::default() }
}
