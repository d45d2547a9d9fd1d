//! `node set`.

use super::{by_name, pem};
use crate::context::Context;
use crate::error::CliError;
use crate::values;
use eru_api::pb;
use eru_types::NodeName;
use std::collections::BTreeMap;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Declare every workload of the node down
    #[arg(long)]
    mark_workloads_down: bool,
    /// Take sizes as differences
    #[arg(long)]
    delta: bool,
    /// Memory
    #[arg(long, value_name = "SIZE", value_parser = values::signed_bytes, allow_hyphen_values = true)]
    memory: Option<i64>,
    /// Storage
    #[arg(long, value_name = "SIZE", value_parser = values::signed_bytes, allow_hyphen_values = true)]
    storage: Option<i64>,
    /// Pieces by core, as 0:100,1:200
    #[arg(long, value_name = "CORE:PIECES", default_value = "", hide_default_value = true)]
    cpu: String,
    /// The memory of NUMA node 0; repeat for the next one
    #[arg(long, value_name = "SIZE", value_parser = values::signed_bytes, allow_hyphen_values = true)]
    numa_memory: Vec<i64>,
    /// Volume devices and their sizes, as /d0:10G,/d1:10G
    #[arg(long, value_name = "DEVICE:SIZE", default_value = "", hide_default_value = true)]
    volume: String,
    /// The cores of NUMA node 0, as 0,1,2; repeat for the next one
    #[arg(long, value_name = "CORES")]
    numa_cpu: Vec<String>,
    /// A label; all labels are replaced by those given; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// Where its engine is reached
    #[arg(long, value_name = "URL", default_value = "", hide_default_value = true)]
    endpoint: String,
    #[command(flatten)]
    files: pem::Files,
    /// Name of the node
    #[arg(value_name = "NODE")]
    node: NodeName,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    if !args.delta {
        for (what, value) in [("memory", args.memory), ("storage", args.storage)] {
            if value.is_some_and(|value| value < 0) {
                let message =
                    format!("you can't set {what} to a negative number when using absolute value; see --delta");
                return Err(CliError::Usage(message));
            }
        }
    }
    let pems = args.files.read()?;
    let mut options = pb::SetNodeOptions {
        nodename: args.node.to_string(),
        delta_cpu: values::core_shares("--cpu", &args.cpu)?,
        delta_memory: args.memory.unwrap_or(0),
        delta_storage: args.storage.unwrap_or(0),
        delta_numa_memory: values::numa_memory(&args.numa_memory),
        numa: values::numa_cores("--numa-cpu", &args.numa_cpu)?,
        labels: values::pairs("--label", &args.label)?,
        delta_volume: values::devices("--volume", &args.volume)?,
        workloads_down: args.mark_workloads_down,
        endpoint: args.endpoint,
        bypass_opt: pb::TriOpt::Keep as i32,
        ca: pems.ca,
        cert: pems.cert,
        key: pems.key,
    };
    let nothing = pb::SetNodeOptions {
        nodename: args.node.to_string(),
        bypass_opt: pb::TriOpt::Keep as i32,
        ..Default::default()
    };
    if options == nothing && !has_sizes(&options, args.memory, args.storage) {
        return Err(CliError::Usage(format!("nothing to change of node \"{}\"; see --help", args.node)));
    }
    if !args.delta && has_sizes(&options, args.memory, args.storage) {
        let node = context.read("GetNode", by_name(&args.node), async |mut core, o| core.get_node(o).await).await?;
        make_deltas(&mut options, &node, args.memory, args.storage);
    }
    let node = context.write("SetNode", options, async |mut core, o| core.set_node(o).await).await?;
    context.output.print_message(&node)?;
    context.log.info(format!("[SetNode] set node {} success", args.node));
    Ok(())
}

fn has_sizes(options: &pb::SetNodeOptions, memory: Option<i64>, storage: Option<i64>) -> bool {
    memory.is_some()
        || storage.is_some()
        || !options.delta_cpu.is_empty()
        || !options.delta_numa_memory.is_empty()
        || !options.delta_volume.is_empty()
}

/// Turns what the node is to have into the difference to what it has.
fn make_deltas(options: &mut pb::SetNodeOptions, node: &pb::Node, memory: Option<i64>, storage: Option<i64>) {
    options.delta_memory = memory.map_or(0, |wanted| wanted.saturating_sub(node.init_memory));
    options.delta_storage = storage.map_or(0, |wanted| wanted.saturating_sub(node.init_storage));
    for (core, pieces) in &mut options.delta_cpu {
        *pieces = pieces.saturating_sub(node.init_cpu.get(core).copied().unwrap_or(0));
    }
    subtract(&mut options.delta_numa_memory, &node.init_numa_memory);
    subtract(&mut options.delta_volume, &node.init_volume);
}

fn subtract(wanted: &mut BTreeMap<String, i64>, has: &BTreeMap<String, i64>) {
    for (key, bytes) in wanted {
        *bytes = bytes.saturating_sub(has.get(key).copied().unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_sizes_become_differences() {
        let node = pb::Node {
            init_memory: 10,
            init_storage: 100,
            init_cpu: [("0".into(), 100)].into(),
            init_volume: [("/d0".into(), 5)].into(),
            ..Default::default()
        };
        let mut options = pb::SetNodeOptions {
            delta_cpu: [("0".into(), 50), ("1".into(), 100)].into(),
            delta_volume: [("/d0".into(), 7)].into(),
            ..Default::default()
        };
        make_deltas(&mut options, &node, Some(30), None);
        assert_eq!((options.delta_memory, options.delta_storage), (20, 0));
        assert_eq!(options.delta_cpu, [("0".into(), -50), ("1".into(), 100)].into());
        assert_eq!(options.delta_volume, [("/d0".into(), 2)].into());
    }
}
