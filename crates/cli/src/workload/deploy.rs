//! `workload deploy`.

use super::{files, summary};
use crate::context::Context;
use crate::deploy_options::{DeployFlags, deploy_options};
use crate::error::{CliError, in_words};
use crate::{op_id, render, source, values};
use eru_api::pb;
use eru_api::pb::deploy_options::Strategy;
use eru_types::name::excerpt;
use eru_types::{EntrypointName, NodeName, PodName};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Say how many would fit and where, and deploy nothing
    #[arg(long)]
    dry_run: bool,
    /// Pod to deploy to
    #[arg(long, value_name = "POD")]
    pod: PodName,
    /// Entrypoint of the spec that runs
    #[arg(long, value_name = "NAME", value_parser = entry)]
    entry: EntrypointName,
    /// Image to run
    #[arg(long, value_name = "IMAGE", value_parser = image, default_value = "", hide_default_value = true)]
    image: String,
    /// Number of instances; for EACH and FILL a node
    #[arg(long, value_name = "N", value_parser = values::count, default_value = "1", allow_hyphen_values = true)]
    count: i32,
    /// Only this node; repeatable
    #[arg(long, value_name = "NODE")]
    node: Vec<NodeName>,
    /// Only nodes with this label; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    nodelabel: Vec<String>,
    /// Network to join, with an address if one is wanted
    #[arg(long, value_name = "NAME[=ADDRESS]", default_value = "host")]
    network: String,
    #[command(flatten)]
    resources: Resources,
    /// A variable of the environment; repeatable
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<String>,
    /// How instances are spread over nodes: auto, fill, each, global or drained
    #[arg(long, value_name = "STRATEGY", value_parser = strategy, default_value = "auto")]
    deploy_strategy: Strategy,
    /// AUTO: most instances a node; FILL and EACH: number of nodes; 0 = no limit
    #[arg(long, value_name = "N", value_parser = values::limit, default_value = "0", allow_hyphen_values = true)]
    nodes_limit: i32,
    /// User to run as
    #[arg(long, value_name = "USER", default_value = "root")]
    user: String,
    /// A file to put into each instance; repeatable
    #[arg(long, value_name = "SOURCE:TARGET[:MODE[:UID:GID]]")]
    file: Vec<String>,
    /// A command to run inside an instance when it has been created; repeatable
    #[arg(long, value_name = "COMMAND")]
    after_create: Vec<String>,
    /// Send logs where core's configuration says for debugging
    #[arg(long)]
    debug_log: bool,
    /// Deploy only what is not there yet: refuse when the app has workloads
    #[arg(long)]
    auto_replace: bool,
    /// Do not run hooks
    #[arg(long)]
    ignore_hook: bool,
    /// Settings that only the engine knows
    #[arg(long, value_name = "JSON", default_value = "", hide_default_value = true)]
    raw_args: String,
    /// Name of the deploy; a repeat under the same name finds its own instances
    #[arg(long, value_name = "ID")]
    op_id: Option<String>,
    /// The spec
    #[arg(value_name = "SPEC")]
    spec: String,
}

/// What each instance asks for.
#[derive(Debug, clap::Args)]
struct Resources {
    /// Cores to set aside; 0 = as the limit
    #[arg(long, value_name = "CORES", value_parser = values::cores, default_value = "0", allow_hyphen_values = true)]
    cpu_request: f64,
    /// Most cores to use; 0 = no limit
    #[arg(long, value_name = "CORES", value_parser = values::cores, default_value = "1.0", allow_hyphen_values = true)]
    cpu_limit: f64,
    /// Sets --cpu-request and --cpu-limit
    #[arg(long, value_name = "CORES", value_parser = values::cores, allow_hyphen_values = true)]
    cpu: Option<f64>,
    /// Memory to set aside; 0 = as the limit
    #[arg(long, value_name = "SIZE", value_parser = values::bytes, default_value = "0", allow_hyphen_values = true)]
    memory_request: i64,
    /// Most memory to use; 0 = no limit
    #[arg(long, value_name = "SIZE", value_parser = values::bytes, default_value = "512M", allow_hyphen_values = true)]
    memory_limit: i64,
    /// Sets --memory-request and --memory-limit
    #[arg(long, value_name = "SIZE", value_parser = values::bytes, allow_hyphen_values = true)]
    memory: Option<i64>,
    /// Storage to set aside; 0 = as the limit
    #[arg(long, value_name = "SIZE", value_parser = values::bytes, default_value = "0", allow_hyphen_values = true)]
    storage_request: i64,
    /// Most storage to use; 0 = no limit
    #[arg(long, value_name = "SIZE", value_parser = values::bytes, default_value = "0", allow_hyphen_values = true)]
    storage_limit: i64,
    /// Sets --storage-request and --storage-limit
    #[arg(long, value_name = "SIZE", value_parser = values::bytes, allow_hyphen_values = true)]
    storage: Option<i64>,
    /// Bind each instance to cores of its own
    #[arg(long)]
    cpu_bind: bool,
}

impl Resources {
    fn options(&self) -> pb::ResourceOptions {
        pb::ResourceOptions {
            cpu_quota_request: self.cpu.unwrap_or(self.cpu_request),
            cpu_quota_limit: self.cpu.unwrap_or(self.cpu_limit),
            cpu_bind: self.cpu_bind,
            memory_request: self.memory.unwrap_or(self.memory_request),
            memory_limit: self.memory.unwrap_or(self.memory_limit),
            storage_request: self.storage.unwrap_or(self.storage_request),
            storage_limit: self.storage.unwrap_or(self.storage_limit),
            ..Default::default()
        }
    }
}

fn entry(text: &str) -> Result<EntrypointName, String> {
    if text.contains('_') {
        return Err(format!("entry can not contain _, got \"{}\"", excerpt(text)));
    }
    text.parse().map_err(|error: eru_types::NameError| error.to_string())
}

fn image(text: &str) -> Result<String, String> {
    let bad = text.chars().any(|c| c.is_whitespace() || c.is_control());
    if bad { Err(format!("must be an image name, got \"{}\"", excerpt(text))) } else { Ok(text.to_owned()) }
}

fn strategy(text: &str) -> Result<Strategy, String> {
    match text.to_ascii_lowercase().as_str() {
        "auto" => Ok(Strategy::Auto),
        "fill" => Ok(Strategy::Fill),
        "each" => Ok(Strategy::Each),
        "global" => Ok(Strategy::Global),
        "drained" => Ok(Strategy::Drained),
        _ => Err(format!("unknown strategy \"{}\" (auto, fill, each, global, drained)", excerpt(text))),
    }
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let (dry_run, auto_replace) = (args.dry_run, args.auto_replace);
    let options = options(context, args).await?;
    if dry_run {
        return capacity(context, options).await;
    }
    if auto_replace {
        refuse_if_there(context, &options).await?;
    }
    create(context, options).await
}

async fn options(context: &Context, args: Args) -> Result<pb::DeployOptions, CliError> {
    if !args.raw_args.is_empty() {
        serde_json::from_str::<serde::de::IgnoredAny>(&args.raw_args)
            .map_err(|error| CliError::Usage(format!("--raw-args: not JSON: {error}")))?;
    }
    let flags = DeployFlags {
        podname: args.pod.to_string(),
        image: args.image,
        count: args.count,
        nodenames: args.node.iter().map(ToString::to_string).collect(),
        nodelabels: values::pairs("--nodelabel", &args.nodelabel)?,
        networks: values::network("--network", &args.network)?,
        resources: args.resources.options(),
        env: values::env("--env", &args.env)?.iter().map(ToString::to_string).collect(),
        strategy: args.deploy_strategy,
        nodes_limit: args.nodes_limit,
        user: args.user,
        files: files::read("--file", &args.file)?,
        after_create: args.after_create,
        debug: args.debug_log,
        ignore_hook: args.ignore_hook,
        raw_args: args.raw_args.into_bytes(),
        op_id: args.op_id.unwrap_or_else(op_id::fresh),
    };
    let source = source::read(context, &args.spec).await?;
    deploy_options(&source.spec, &args.entry, flags).map_err(|error| CliError::Usage(format!("--entry: {error}")))
}

async fn capacity(context: &Context, options: pb::DeployOptions) -> Result<(), CliError> {
    let reply =
        context.read("CalculateCapacity", options, async |mut core, o| core.calculate_capacity(o).await).await?;
    context.log.info(format!("[Deploy] Capacity total {}", reply.total));
    for (node, capacity) in &reply.node_capacities {
        context.log.info(format!("[Deploy] Node {node} capacity {capacity}"));
    }
    Ok(())
}

async fn refuse_if_there(context: &Context, options: &pb::DeployOptions) -> Result<(), CliError> {
    let entrypoint = options.entrypoint.as_ref().map(|entrypoint| entrypoint.name.clone()).unwrap_or_default();
    let list = pb::ListWorkloadsOptions {
        appname: options.name.clone(),
        entrypoint: entrypoint.clone(),
        limit: 1,
        ..Default::default()
    };
    let mut stream =
        context.read_stream("ListWorkloads", list, async |mut core, o| core.list_workloads(o).await).await?;
    if stream.next().await?.is_some() {
        let app = &options.name;
        let hint = "replacing comes with a later version: remove them, or use a replicaset";
        return Err(CliError::Failed(format!("{app}/{entrypoint} has workloads already, and {hint}")));
    }
    context.log.warn("[Deploy] there is no Workloads for replace");
    Ok(())
}

async fn create(context: &Context, options: pb::DeployOptions) -> Result<(), CliError> {
    let op_id = options.op_id.clone();
    let deploy = deploy(context, options);
    tokio::select! {
        result = deploy => result,
        _ = tokio::signal::ctrl_c() => {
            context.log.end_progress();
            Err(CliError::Interrupted(format!(
                "interrupted; core goes on with what it has begun. This was deploy {op_id}: see what it made with\n  \
                 {} workload list --op-id {op_id}",
                context.called
            )))
        }
    }
}

async fn deploy(context: &Context, options: pb::DeployOptions) -> Result<(), CliError> {
    // FILL and EACH count by node, so that only core knows how many there will be.
    let by_node = [Strategy::Fill as i32, Strategy::Each as i32].contains(&options.deploy_strategy);
    let wanted = if by_node { 0 } else { options.count.max(0) as usize };
    let (mut good, mut seen) = (0, 0);
    let mut stream =
        context.write_stream("CreateWorkload", options, async |mut core, o| core.create_workload(o).await).await?;
    loop {
        match stream.next().await {
            Ok(Some(message)) => {
                seen += 1;
                good += usize::from(message.success);
                show(context, &message);
                if wanted > 1 {
                    context.log.progress(&format!("{good} of {wanted} created"));
                }
            }
            Ok(None) => break,
            Err(error) => {
                context.log.end_progress();
                context.log.error(format!("[Deploy] {good} of {} created before the stream broke", wanted.max(seen)));
                return Err(error);
            }
        }
    }
    context.log.end_progress();
    let total = if seen > wanted || by_node { seen } else { wanted };
    if total == 0 {
        return Err(CliError::Items("0 created: core deployed nothing".into()));
    }
    summary(good, total, "created")
}

fn show(context: &Context, message: &pb::CreateWorkloadMessage) {
    let log = &context.log;
    if !message.success {
        log.error(format!("[Deploy] Failed {}", in_words(&message.error)));
        return;
    }
    let none = pb::Resource::default();
    let resource = message.resource.as_ref().unwrap_or(&none);
    log.info(format!(
        "[Deploy] Success {} {} {} {} {} {} {} {} {} {}",
        message.id,
        message.name,
        message.nodename,
        render::float(resource.cpu_quota_request),
        render::float(resource.cpu_quota_limit),
        render::map(&resource.cpu),
        resource.memory_request,
        resource.memory_limit,
        render::volume_plan(&resource.volume_plan_request),
        render::volume_plan(&resource.volume_plan_limit),
    ));
    if !message.hook.is_empty() {
        log.info(format!("[Deploy] Hook output\n{}", String::from_utf8_lossy(&message.hook)));
    }
    for (network, addresses) in &message.publish {
        log.info(format!("[Deploy] Bound {network} ip {addresses}"));
    }
}
