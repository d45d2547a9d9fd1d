//! `workload replace`.

use super::instances::Instances;
use super::summary;
use crate::context::Context;
use crate::deploy_options::{DeployFlags, deploy_options};
use crate::error::{CliError, in_words};
use crate::{hook, ids, render, source, values};
use eru_api::pb;
use eru_types::name::excerpt;
use eru_types::{EntrypointName, NodeName, PodName};
use std::collections::BTreeMap;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only workloads in this pod
    #[arg(long, value_name = "POD")]
    pod: Option<PodName>,
    /// Entrypoint of the spec that runs, and whose workloads are replaced
    #[arg(long, value_name = "NAME", value_parser = values::entry)]
    entry: EntrypointName,
    /// Image to run
    #[arg(long, value_name = "IMAGE", value_parser = values::image, default_value = "", hide_default_value = true)]
    image: String,
    /// Only workloads on this node; repeatable
    #[arg(long, value_name = "NODE")]
    node: Vec<NodeName>,
    /// So many at a time
    #[arg(long, value_name = "N", value_parser = values::count, default_value = "1", allow_hyphen_values = true)]
    count: i32,
    /// Take over the networks of the old workload
    #[arg(long)]
    network_inherit: bool,
    /// Network to join instead, with an address if one is wanted; repeatable
    #[arg(long, value_name = "NAME[=ADDRESS]")]
    network: Vec<String>,
    #[command(flatten)]
    instances: Instances,
    /// Only workloads with this label; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// Only this workload, by id, prefix or name; repeatable
    #[arg(long, value_name = "ID")]
    workload: Vec<String>,
    /// A file to copy from the old workload to the new; repeatable
    #[arg(long, value_name = "OLD:NEW")]
    copy: Vec<String>,
    /// The spec
    #[arg(value_name = "SPEC")]
    spec: String,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let networks = values::networks("--network", &args.network)?;
    if !networks.is_empty() {
        context.log.warn("[Replace] Network is not empty, so network-inherit will set to false");
    }
    let networkinherit = args.network_inherit && networks.is_empty();
    let filter_labels = values::pairs("--label", &args.label)?;
    let copy = paths("--copy", &args.copy)?;
    let flags = DeployFlags {
        podname: args.pod.map(|pod| pod.to_string()).unwrap_or_default(),
        image: args.image,
        count: args.count,
        nodenames: args.node.iter().map(ToString::to_string).collect(),
        networks,
        ..args.instances.flags()?
    };
    let source = source::read(context, &args.spec).await?;
    let deploy = deploy_options(&source.spec, &args.entry, flags)
        .map_err(|error| CliError::Usage(format!("--entry: {error}")))?;
    let ids = ids::resolve(context, &args.workload).await?;
    let options = pb::ReplaceOptions { deploy_opt: Some(deploy), networkinherit, filter_labels, copy, ids };
    replace(context, options).await
}

/// Paths inside the new workload by paths inside the old one.
fn paths(option: &str, items: &[String]) -> Result<BTreeMap<String, String>, CliError> {
    let mut map = BTreeMap::new();
    for item in items {
        let refuse = |why: String| CliError::Usage(format!("{option}: {why}"));
        let pair = item.split_once(':').filter(|(_, new)| !new.contains(':'));
        let (old, new) = pair.ok_or_else(|| refuse(format!("expected OLD:NEW, got \"{}\"", excerpt(item))))?;
        let old = values::absolute(old).map_err(refuse)?;
        let new = values::absolute(new).map_err(refuse)?;
        if map.insert(old, new).is_some() {
            return Err(refuse(format!("\"{}\" is copied twice", excerpt(item))));
        }
    }
    Ok(map)
}

/// Replaces, and reports each.
pub(super) async fn replace(context: &Context, options: pb::ReplaceOptions) -> Result<(), CliError> {
    tokio::select! {
        result = follow(context, options) => result,
        _ = tokio::signal::ctrl_c() => {
            Err(CliError::Interrupted("interrupted; core finishes or undoes what it has begun".into()))
        }
    }
}

async fn follow(context: &Context, options: pb::ReplaceOptions) -> Result<(), CliError> {
    let deploy = options.deploy_opt.clone().unwrap_or_default();
    let mut stream =
        context.write_stream("ReplaceWorkload", options, async |mut core, o| core.replace_workload(o).await).await?;
    let (mut good, mut total) = (0, 0);
    while let Some(message) = stream.next().await? {
        total += 1;
        good += usize::from(message.error.is_empty());
        context.output.print_message(&message)?;
        show(context, &message);
    }
    if total == 0 {
        let entry = deploy.entrypoint.unwrap_or_default().name;
        return Err(CliError::Missing(format!("no workload of {}/{entry} to replace", deploy.name)));
    }
    summary(good, total, "replaced")
}

fn show(context: &Context, message: &pb::ReplaceWorkloadMessage) {
    let log = &context.log;
    let old = message.remove.clone().unwrap_or_default();
    log.info(format!("[Replace] Replace {}", old.id));
    let created = message.create.as_ref();
    if !message.error.is_empty() {
        log.error(format!("[Replace] Replace {} failed {}, hook {}", old.id, in_words(&message.error), old.hook));
        if let Some(new) = created.filter(|new| !new.id.is_empty()) {
            log.error(format!("[Replace] But create done id {} name {}", new.id, new.name));
        }
        return;
    }
    let new = created.cloned().unwrap_or_default();
    hook::report(log, "[Replace] Hook output\n", &new.name, &new.hook);
    log.info(format!("[Replace] Hook workload {} removed", old.id));
    if !old.hook.is_empty() {
        log.info(&old.hook);
    }
    let resource = new.resource.unwrap_or_default();
    log.info(format!(
        "[Replace] New workload {}, cpu {}, quotaRequest {}, quotaLimit {}, memRequest {}, memLimit {}",
        new.name,
        render::map(&resource.cpu),
        render::float(resource.cpu_quota_request),
        render::float(resource.cpu_quota_limit),
        resource.memory_request,
        resource.memory_limit,
    ));
    for (network, addresses) in &new.publish {
        log.info(format!("[Replace] Bound {network} ip {addresses}"));
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn copied_paths() {
        let paths = |item: &str| super::paths("--copy", &[item.to_owned()]).map_err(|error| error.to_string());
        assert_eq!(paths("/a:/b").unwrap()["/a"], "/b");
        assert_eq!(paths("/a").unwrap_err(), "--copy: expected OLD:NEW, got \"/a\"");
        assert_eq!(paths("/a:/b:/c").unwrap_err(), "--copy: expected OLD:NEW, got \"/a:/b:/c\"");
        assert_eq!(paths("a:/b").unwrap_err(), "--copy: must be an absolute path, got \"a\"");
    }
}
