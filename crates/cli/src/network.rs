//! `network`: one function per verb.

use crate::context::Context;
use crate::error::CliError;
use crate::workload::Ids;
use crate::{ids, values};
use clap::Subcommand;
use eru_api::pb;
use std::net::{Ipv4Addr, Ipv6Addr};

#[derive(Debug, Subcommand)]
#[command(arg_required_else_help = true)]
pub(crate) enum Command {
    /// Connect workloads to a network
    #[command(after_help = "\
Examples:
  eru-cli network connect --network net1 76bc45a2
  eru-cli network connect --network net1 --ipv4 172.30.0.9 web_http_JFfwYY")]
    Connect {
        /// Name of the network; pod networks lists them
        #[arg(long, value_name = "NETWORK", value_parser = values::word)]
        network: String,
        /// Wanted IPv4 address
        #[arg(long, value_name = "ADDRESS")]
        ipv4: Option<Ipv4Addr>,
        /// Wanted IPv6 address
        #[arg(long, value_name = "ADDRESS")]
        ipv6: Option<Ipv6Addr>,
        #[command(flatten)]
        ids: Ids,
    },
    /// Take workloads off a network
    #[command(after_help = "\
Examples:
  eru-cli network disconnect --network net1 76bc45a2")]
    Disconnect {
        /// Name of the network
        #[arg(long, value_name = "NETWORK", value_parser = values::word)]
        network: String,
        /// Even if the engine thinks that it is in use
        #[arg(long, short = 'f')]
        force: bool,
        #[command(flatten)]
        ids: Ids,
    },
}

pub(crate) async fn run(context: &Context, command: Command) -> Result<(), CliError> {
    match command {
        Command::Connect { network, ipv4, ipv6, ids } => {
            let options = pb::ConnectNetworkOptions {
                network,
                ipv4: ipv4.map(|address| address.to_string()).unwrap_or_default(),
                ipv6: ipv6.map(|address| address.to_string()).unwrap_or_default(),
                ..Default::default()
            };
            connect(context, options, &ids).await
        }
        Command::Disconnect { network, force, ids } => disconnect(context, &network, force, &ids).await,
    }
}

async fn connect(context: &Context, options: pb::ConnectNetworkOptions, ids: &Ids) -> Result<(), CliError> {
    let ids = ids::resolve(context, ids.as_slice()).await?;
    if ids.len() > 1 && !(options.ipv4.is_empty() && options.ipv6.is_empty()) {
        return Err(CliError::Usage(format!("one address cannot be that of {} workloads", ids.len())));
    }
    let network = options.network.clone();
    let mut failures = Failures::default();
    for id in &ids {
        let options = pb::ConnectNetworkOptions { target: id.clone(), ..options.clone() };
        match context.write("ConnectNetwork", options, async |mut core, o| core.connect_network(o).await).await {
            Ok(connected) => {
                context.output.print_message(&connected)?;
                let addresses = connected.subnets.join(" ");
                context.log.info(format!("[connectToNetwork] Connect {id} at [{addresses}]"));
            }
            Err(error) => {
                failures.note(context, format!("[connectToNetwork] Connect {id} to network {network} failed"), error);
            }
        }
    }
    failures.summary(ids.len(), "connected")
}

async fn disconnect(context: &Context, network: &str, force: bool, ids: &Ids) -> Result<(), CliError> {
    let ids = ids::resolve(context, ids.as_slice()).await?;
    let mut failures = Failures::default();
    for id in &ids {
        let options = pb::DisconnectNetworkOptions { network: network.to_owned(), target: id.clone(), force };
        let done =
            context.write("DisconnectNetwork", options, async |mut core, o| core.disconnect_network(o).await).await;
        match done {
            Ok(_) => context.log.info(format!("[disConnectToNetwork] Disconnect {id} success")),
            Err(error) => {
                failures.note(
                    context,
                    format!("[disConnectToNetwork] Disconnect {id} to network {network} failed"),
                    error,
                );
            }
        }
    }
    failures.summary(ids.len(), "disconnected")
}

/// The calls that failed. Each is told, with why.
#[derive(Debug, Default)]
struct Failures {
    count: usize,
}

impl Failures {
    fn note(&mut self, context: &Context, what: String, error: CliError) {
        self.count += 1;
        context.log.warn(format!("{what}: {error}"));
    }

    fn summary(&self, total: usize, done: &str) -> Result<(), CliError> {
        match self.count {
            0 => Ok(()),
            count => Err(CliError::Items(format!("{} of {total} {done}", total - count))),
        }
    }
}
