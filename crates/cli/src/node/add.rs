//! `node add`.

use super::pem;
use crate::context::Context;
use crate::error::CliError;
use crate::{render, values};
use eru_api::pb;
use eru_types::{NodeName, PodName};
use std::net::{IpAddr, UdpSocket};

/// Where Docker listens by custom: without and with TLS.
const PLAIN_PORT: u16 = 2375;
const TLS_PORT: u16 = 2376;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Name of the node [default: the machine's host name]
    #[arg(long, value_name = "NODE", env = "HOSTNAME", hide_env_values = true)]
    nodename: Option<NodeName>,
    /// Where its engine is reached [default: tcp://ADDRESS OF THIS MACHINE:2376, 2375 without certificates]
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,
    #[command(flatten)]
    files: pem::Files,
    /// Number of cores; 0 = ask the engine
    #[arg(long, value_name = "CORES", value_parser = values::limit, default_value = "0", allow_hyphen_values = true)]
    cpu: i32,
    /// Pieces a core; 0 = 100
    #[arg(long, value_name = "PIECES", value_parser = values::limit, default_value = "0", allow_hyphen_values = true)]
    share: i32,
    /// Memory; 0 = ask the engine
    #[arg(long, value_name = "SIZE", value_parser = values::bytes, default_value = "0", allow_hyphen_values = true)]
    memory: i64,
    /// Storage; 0 = ask the engine
    #[arg(long, value_name = "SIZE", value_parser = values::bytes, default_value = "0", allow_hyphen_values = true)]
    storage: i64,
    /// A label; repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    label: Vec<String>,
    /// The cores of NUMA node 0, as 0,1,2; repeat for the next one
    #[arg(long, value_name = "CORES")]
    numa_cpu: Vec<String>,
    /// The memory of NUMA node 0; repeat for the next one
    #[arg(long, value_name = "SIZE", value_parser = values::bytes)]
    numa_memory: Vec<i64>,
    /// A volume device and its size, as /data:100G; repeatable
    #[arg(long, value_name = "DEVICE:SIZE")]
    volumes: Vec<String>,
    /// Name of the pod
    #[arg(value_name = "POD")]
    pod: PodName,
}

pub(super) async fn run(context: &Context, args: Args) -> Result<(), CliError> {
    let (endpoint, pems) = match args.endpoint {
        Some(endpoint) if takes_default_files(&endpoint) => (endpoint, args.files.read_or_default(&context.log)?),
        Some(endpoint) => (endpoint, args.files.read()?),
        None => {
            let pems = args.files.read_or_default(&context.log)?;
            let port = if pems.ca.is_empty() { PLAIN_PORT } else { TLS_PORT };
            (format!("tcp://{}:{port}", own_address()?), pems)
        }
    };
    let options = pb::AddNodeOptions {
        nodename: args.nodename.map_or_else(own_name, |name| Ok(name.to_string()))?,
        endpoint,
        podname: args.pod.to_string(),
        ca: pems.ca,
        cert: pems.cert,
        key: pems.key,
        cpu: args.cpu,
        share: args.share,
        memory: args.memory,
        labels: values::pairs("--label", &args.label)?,
        numa: values::numa_cores("--numa-cpu", &args.numa_cpu)?,
        numa_memory: values::numa_memory(&args.numa_memory),
        storage: args.storage,
        volume_map: values::devices("--volumes", &args.volumes.join(","))?,
    };
    let name = options.nodename.clone();
    let added = context.write("AddNode", options, async |mut core, o| core.add_node(o).await).await;
    let node = added.map_err(|error| error.names("node", &name))?;
    context.output.print(&node, || render::nodes(std::slice::from_ref(&node), false))
}

/// Whether an endpoint may want the certificates that this machine has: Docker over TCP, but not on its plain port.
fn takes_default_files(endpoint: &str) -> bool {
    endpoint.strip_prefix("tcp://").is_some_and(|address| !address.ends_with(&format!(":{PLAIN_PORT}")))
}

fn own_name() -> Result<String, CliError> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let checked = NodeName::new(&name).map_err(|error| CliError::Usage(format!("--nodename: {error}; give one")))?;
    Ok(checked.to_string())
}

/// The address that this machine would reach others from. Nothing is sent.
fn own_address() -> Result<IpAddr, CliError> {
    let route = || {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        // An address that documentation is written with: any that is not on this machine will do.
        socket.connect("192.0.2.1:9")?;
        socket.local_addr()
    };
    match route() {
        Ok(address) if !address.ip().is_loopback() => Ok(address.ip()),
        _ => Err(CliError::Usage("--endpoint: this machine has no address to reach it by; give one".into())),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn which_endpoints_may_want_certificates() {
        assert!(super::takes_default_files("tcp://10.0.0.1:2376"));
        for no in ["tcp://10.0.0.1:2375", "unix:///var/run/docker.sock", "fake://a", "process://local"] {
            assert!(!super::takes_default_files(no), "{no}");
        }
    }
}
