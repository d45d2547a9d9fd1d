//! `replicaset`: one function per verb.

use crate::apply::{ApplyDefaults, replicaset_spec};
use crate::context::Context;
use crate::error::CliError;
use crate::{render, source, values};
use clap::Subcommand;
use eru_api::controller;
use eru_types::PodName;
use eru_types::name::SetName;
use std::convert::Infallible;
use std::time::Duration;

/// A removal that takes longer than this says what it waits for, and again so often when that has changed.
const TELL_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Subcommand)]
#[command(arg_required_else_help = true)]
pub(crate) enum Command {
    /// Create a set, or change it to what the spec says
    #[command(after_help = "\
The spec is an app spec with one more section:

  replicaset:
    count: 3
    pod: local

SPEC is a file, - for standard input, or an http:// URL.

Examples:
  eru-cli replicaset apply web.yaml
  eru-cli replicaset apply --pod local --count 5 web.yaml")]
    Apply {
        /// Pod to deploy to, when the spec names none
        #[arg(long, value_name = "POD")]
        pod: Option<PodName>,
        /// Number of instances instead of the spec's
        #[arg(long, value_name = "N", value_parser = values::set_count, allow_hyphen_values = true)]
        count: Option<i32>,
        /// The spec
        #[arg(value_name = "SPEC")]
        spec: String,
    },
    /// Show a set and its instances
    #[command(after_help = "\
Examples:
  eru-cli replicaset get web-http
  eru-cli -o json replicaset get web-http")]
    Get {
        /// Name of the set
        #[arg(value_name = "NAME")]
        name: SetName,
    },
    /// List all sets
    #[command(after_help = "\
Examples:
  eru-cli replicaset list")]
    List,
    /// Change the number of instances
    #[command(after_help = "\
Examples:
  eru-cli replicaset scale web-http 5
  eru-cli replicaset scale web-http --count 0")]
    Scale {
        /// Name of the set
        #[arg(value_name = "NAME")]
        name: SetName,
        /// Number of instances
        #[arg(value_name = "N", value_parser = values::set_count, allow_hyphen_values = true, required_unless_present = "count", conflicts_with = "count")]
        wanted: Option<i32>,
        /// Number of instances
        #[arg(long, value_name = "N", value_parser = values::set_count, allow_hyphen_values = true)]
        count: Option<i32>,
    },
    /// Remove a set and its instances
    #[command(after_help = "\
Examples:
  eru-cli replicaset remove web-http
  eru-cli replicaset remove --keep-workloads web-http  # the instances go on, on their own")]
    Remove {
        /// Leave its instances running
        #[arg(long)]
        keep_workloads: bool,
        /// Name of the set
        #[arg(value_name = "NAME")]
        name: SetName,
    },
}

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), CliError> {
    match command {
        Command::Apply { pod, count, spec } => apply(context, pod, count, &spec).await,
        Command::Get { name } => get(context, &name).await,
        Command::List => list(context).await,
        Command::Scale { name, wanted, count } => {
            let count = wanted.or(count).expect("clap requires one of them");
            scale(context, &name, count).await
        }
        Command::Remove { keep_workloads, name } => remove(context, &name, keep_workloads).await,
    }
}

async fn apply(context: &Context, pod: Option<PodName>, count: Option<i32>, spec: &str) -> Result<(), CliError> {
    let source = source::read(context, spec).await?;
    let defaults = ApplyDefaults { podname: pod.map(String::from).unwrap_or_default() };
    let mut spec =
        replicaset_spec(&source.spec, &source.text, &defaults).map_err(|error| CliError::Usage(error.to_string()))?;
    spec.count = count.unwrap_or(spec.count);
    let request = controller::ApplyRequest { spec: Some(spec), expect_generation: 0 };
    let set = context.write_controller("Apply", request, async |mut controller, r| controller.apply(r).await).await?;
    show(context, &set)
}

async fn get(context: &Context, name: &SetName) -> Result<(), CliError> {
    let request = controller::GetRequest { name: name.to_string() };
    let set = context.read_controller("Get", request, async |mut controller, r| controller.get(r).await).await?;
    show(context, &set)
}

async fn list(context: &Context) -> Result<(), CliError> {
    let request = controller::ListRequest {};
    let reply = context.read_controller("List", request, async |mut controller, r| controller.list(r).await).await?;
    let sets = reply.sets;
    context.output.print(&sets, || render::replicasets(&sets))
}

async fn scale(context: &Context, name: &SetName, count: i32) -> Result<(), CliError> {
    let request = controller::ScaleRequest { name: name.to_string(), count };
    let set = context.write_controller("Scale", request, async |mut controller, r| controller.scale(r).await).await?;
    show(context, &set)
}

async fn remove(context: &Context, name: &SetName, keep_workloads: bool) -> Result<(), CliError> {
    let request = controller::RemoveRequest { name: name.to_string(), keep_workloads };
    let removed = context.write_controller("Remove", request, async |mut controller, r| controller.remove(r).await);
    let reply = tokio::select! {
        biased;
        reply = removed => reply,
        never = tell_of_removal(context, name) => match never {},
    };
    context.log.end_progress();
    let reply = reply?;
    for id in reply.removed_ids {
        context.log.info(format!("[RemoveWorkload] {id} Success"));
    }
    context.log.info(format!("[RemoveReplicaSet] {name} success"));
    Ok(())
}

/// Tells what a removal that takes its time still waits for, as long as it is polled.
async fn tell_of_removal(context: &Context, name: &SetName) -> Infallible {
    let mut told = String::new();
    loop {
        tokio::time::sleep(TELL_EVERY).await;
        let request = controller::GetRequest { name: name.to_string() };
        let set = context.read_controller("Get", request, async |mut controller, r| controller.get(r).await).await;
        // What is wrong with the controller is the removal's to say.
        let Some(status) = set.ok().and_then(|set| set.status).filter(|status| status.message != told) else {
            continue;
        };
        let text = format!("[RemoveReplicaSet] {name} is being removed: {}", status.message);
        if context.log.is_terminal() {
            context.log.progress(&text);
        } else {
            context.log.info(&text);
        }
        told = status.message;
    }
}

fn show(context: &Context, set: &controller::ReplicaSet) -> Result<(), CliError> {
    context.output.print(set, || render::replicaset(set))
}
