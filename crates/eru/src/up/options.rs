//! The command line of `eru up`.

use super::docker::Choice;
use clap::Parser;
use std::{net::SocketAddr, path::PathBuf};

/// Core, agent and controller in one process on this machine, with nothing else installed.
///
/// The machine becomes a node of plain commands, and its Docker engine, where there is one, a second node. Each SPEC is applied as a ReplicaSet: its instances are kept alive,
/// also across a restart of `eru up` itself. Ctrl-C stops watching and leaves the workloads running; `eru up` again
/// finds them; `eru down` removes them.
#[derive(Debug, Parser)]
#[command(
    name = "eru up",
    bin_name = "eru up",
    version,
    after_help = "\
Examples:
  eru up examples/hello.yaml          three HTTP servers that come back when killed
  eru up                              the machine alone; deploy with `eru workload deploy`
  eru workload list                   in another terminal: what runs
  eru down                            remove everything that runs

Files are kept in --data-dir: the store, the commands' folders and logs, and eru.log while a table is
shown."
)]
pub struct Options {
    /// App specs with a `replicaset:` section, applied at start.
    #[arg(value_name = "SPEC")]
    pub specs: Vec<PathBuf>,

    /// Where everything is kept [default: /var/lib/eru for root, else ~/.local/share/eru]
    #[arg(long, value_name = "DIR", env = "ERU_DATA_DIR")]
    pub data_dir: Option<PathBuf>,

    /// Core's address. Loopback only.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5001", value_parser = loopback)]
    pub listen: SocketAddr,

    /// The controller's address. Loopback only.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:5002", value_parser = loopback)]
    pub controller_listen: SocketAddr,

    /// The pod that this machine is in [default: the one of before, at first `local`]
    #[arg(long, value_name = "NAME")]
    pub pod: Option<String>,

    /// This machine's name as a node [default: the one of before, at first its host name]
    #[arg(long, value_name = "NAME")]
    pub node: Option<String>,

    /// The Docker engine that specs with an image run on: auto, off or an endpoint. auto = the one of DOCKER_HOST, else
    /// unix:///var/run/docker.sock; where none answers it is used as soon as one does
    #[arg(long, value_name = "ENDPOINT", default_value = "auto")]
    pub docker: Choice,

    /// Accept simulated nodes (`fake://NAME`), for trying things out and for measuring.
    #[arg(long)]
    pub allow_fake: bool,

    /// Log lines instead of the table, on a terminal too.
    #[arg(long)]
    pub plain: bool,
}

/// An address that only this machine reaches.
fn loopback(text: &str) -> Result<SocketAddr, String> {
    let address: SocketAddr = text.parse().map_err(|_| "expected HOST:PORT, as 127.0.0.1:5001".to_owned())?;
    if address.ip().is_loopback() {
        Ok(address)
    } else {
        Err("eru up listens on loopback only, as 127.0.0.1:5001; for other machines run eru core".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machine() {
        for good in ["127.0.0.1:5001", "127.1.2.3:0", "[::1]:5001"] {
            assert!(loopback(good).is_ok(), "{good}");
        }
        for bad in ["", "x", "127.0.0.1", ":5001", "0.0.0.0:5001", "10.0.0.1:5001", "127.0.0.1:99999", "[::]:1"] {
            assert!(loopback(bad).is_err(), "{bad}");
        }
    }
}
