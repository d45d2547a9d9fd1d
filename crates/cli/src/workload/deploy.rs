//! `workload deploy`.

use super::instances::Instances;
use super::{dry_run, replace, summary};
use crate::context::Context;
use crate::deploy_options::{DeployFlags, deploy_options};
use crate::error::{CliError, in_words};
use crate::{hook, op_id, render, source, values};
use eru_api::pb;
use eru_api::pb::deploy_options::Strategy;
use eru_types::{EntrypointName, NodeName, PodName};
use std::collections::BTreeSet;
use tonic::Code;

/// The network when none is named.
const NETWORK: &str = "host";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Say how many would fit and where, and deploy nothing
    #[arg(long)]
    dry_run: bool,
    /// Pod to deploy to
    #[arg(long, value_name = "POD")]
    pod: PodName,
    /// Entrypoint of the spec that runs
    #[arg(long, value_name = "NAME", value_parser = values::entry)]
    entry: EntrypointName,
    /// Image to run
    #[arg(long, value_name = "IMAGE", value_parser = values::image, default_value = "", hide_default_value = true)]
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
    /// Network to join, with an address if one is wanted; repeatable [default: host]
    #[arg(long, value_name = "NAME[=ADDRESS]")]
    network: Vec<String>,
    #[command(flatten)]
    resources: Resources,
    /// How instances are spread over nodes: auto, fill, each, global or drained
    #[arg(long, value_name = "STRATEGY", value_parser = values::strategy, default_value = "auto")]
    deploy_strategy: Strategy,
    /// AUTO: most instances a node; FILL and EACH: number of nodes; 0 = no limit
    #[arg(long, value_name = "N", value_parser = values::limit, default_value = "0", allow_hyphen_values = true)]
    nodes_limit: i32,
    /// Most instances of the app's entrypoint on one node, old and new; 0 = no limit
    #[arg(long, value_name = "N", value_parser = values::limit, default_value = "0", allow_hyphen_values = true)]
    max_per_node: i32,
    /// Spread evenly over the values of this label of the nodes first, such as zone
    #[arg(long, value_name = "LABEL", value_parser = values::label_key, default_value = "", hide_default_value = true)]
    spread_label: String,
    #[command(flatten)]
    instances: Instances,
    /// Replace the workloads of the app and entrypoint, if there are any
    #[arg(long)]
    auto_replace: bool,
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

pub(super) async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let (dry_run, auto_replace, network_given) = (args.dry_run, args.auto_replace, !args.network.is_empty());
    let options = options(context, args).await?;
    if dry_run {
        return dry_run::run(context, options).await;
    }
    if auto_replace {
        if is_there(context, &options).await? {
            return replace::replace(context, replacement(options, network_given)).await;
        }
        context.log.warn("[Deploy] there is no Workloads for replace");
    }
    create(context, options).await
}

async fn options(context: &Context, args: Args) -> Result<pb::DeployOptions, CliError> {
    let network = if args.network.is_empty() { vec![NETWORK.to_owned()] } else { args.network };
    let flags = DeployFlags {
        podname: args.pod.to_string(),
        image: args.image,
        count: args.count,
        nodenames: args.node.iter().map(ToString::to_string).collect(),
        nodelabels: values::pairs("--nodelabel", &args.nodelabel)?,
        networks: values::networks("--network", &network)?,
        resources: args.resources.options(),
        strategy: args.deploy_strategy,
        nodes_limit: args.nodes_limit,
        max_per_node: args.max_per_node,
        spread_label: args.spread_label,
        op_id: args.op_id.unwrap_or_else(op_id::fresh),
        ..args.instances.flags()?
    };
    let source = source::read(context, &args.spec).await?;
    deploy_options(&source.spec, &args.entry, flags).map_err(|error| CliError::Usage(format!("--entry: {error}")))
}

/// Whether the app has workloads of the entrypoint.
async fn is_there(context: &Context, options: &pb::DeployOptions) -> Result<bool, CliError> {
    let entrypoint = options.entrypoint.as_ref().map(|entrypoint| entrypoint.name.clone()).unwrap_or_default();
    let list = pb::ListWorkloadsOptions { appname: options.name.clone(), entrypoint, limit: 1, ..Default::default() };
    let mut stream =
        context.read_stream("ListWorkloads", list, async |mut core, o| core.list_workloads(o).await).await?;
    Ok(stream.next().await?.is_some())
}

/// The same instances in the place of those that are there: with their resources, and their addresses unless a network
/// was named.
fn replacement(deploy: pb::DeployOptions, network_given: bool) -> pb::ReplaceOptions {
    let volumes = deploy.resource_opts.unwrap_or_default();
    let deploy = pb::DeployOptions {
        count: 1,
        networks: if network_given { deploy.networks } else { Default::default() },
        resource_opts: Some(pb::ResourceOptions {
            volumes_limit: volumes.volumes_limit,
            volumes_request: volumes.volumes_request,
            ..Default::default()
        }),
        op_id: String::new(),
        ..deploy
    };
    pb::ReplaceOptions { deploy_opt: Some(deploy), networkinherit: !network_given, ..Default::default() }
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
    let mut codes = BTreeSet::new();
    let mut stream =
        context.write_stream("CreateWorkload", options, async |mut core, o| core.create_workload(o).await).await?;
    loop {
        match stream.next().await {
            Ok(Some(message)) => {
                seen += 1;
                good += usize::from(message.success);
                codes.insert(message.code);
                context.output.print_message(&message)?;
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
    ended(good, total, &codes)
}

/// How a deploy ended whose messages had these codes. Where the request itself is to blame for all of it, the exit code is
/// that of a refused call.
fn ended(good: usize, total: usize, codes: &BTreeSet<i32>) -> Result<(), CliError> {
    match summary(good, total, "created") {
        Err(CliError::Items(text)) if good == 0 && codes.len() == 1 && !codes.contains(&0) => {
            Err(CliError::AllRefused {
                code: codes.iter().copied().map(Code::from).next().expect("there is one"),
                text,
            })
        }
        outcome => outcome,
    }
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
    hook::report(log, "[Deploy] Hook output\n", &message.name, &message.hook);
    for (network, addresses) in &message.publish {
        log.info(format!("[Deploy] Bound {network} ip {addresses}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_that_is_refused_as_a_whole_ends_with_its_code() {
        use crate::exit::Exit;
        let exit = |good, codes: &[Code]| {
            let codes = codes.iter().map(|code| *code as i32).collect();
            ended(good, 2, &codes).map_err(|error| (error.to_string(), error.exit()))
        };
        assert_eq!(exit(2, &[Code::Ok]), Ok(()));
        for (code, want) in [
            (Code::InvalidArgument, Exit::Usage),
            (Code::NotFound, Exit::Missing),
            (Code::FailedPrecondition, Exit::Precondition),
            (Code::ResourceExhausted, Exit::Exhausted),
        ] {
            assert_eq!(exit(0, &[code]), Err(("0 of 2 created".to_owned(), want)));
            assert_eq!(exit(1, &[Code::Ok, code]), Err(("1 of 2 created".to_owned(), Exit::Failed)), "some were made");
        }
        for codes in [&[Code::Ok][..], &[Code::Ok, Code::NotFound], &[Code::InvalidArgument, Code::NotFound], &[]] {
            assert_eq!(exit(0, codes), Err(("0 of 2 created".to_owned(), Exit::Failed)), "{codes:?}");
        }
    }

    #[test]
    fn what_is_deployed_over_what_is_there() {
        let deploy = pb::DeployOptions {
            name: "web".into(),
            count: 9,
            op_id: "op".into(),
            networks: [("host".into(), String::new())].into(),
            resource_opts: Some(pb::ResourceOptions {
                memory_limit: 1,
                volumes_limit: vec!["/a:/b".into()],
                ..Default::default()
            }),
            ..Default::default()
        };
        let inherits = replacement(deploy.clone(), false);
        assert!(inherits.networkinherit);
        let new = inherits.deploy_opt.unwrap();
        assert_eq!((new.count, new.networks.len(), new.name.as_str(), new.op_id.as_str()), (1, 0, "web", ""));
        let resources = new.resource_opts.unwrap();
        assert_eq!((resources.memory_limit, resources.volumes_limit.len()), (0, 1));
        let named = replacement(deploy, true);
        assert!(!named.networkinherit);
        assert_eq!(named.deploy_opt.unwrap().networks.len(), 1);
    }
}
