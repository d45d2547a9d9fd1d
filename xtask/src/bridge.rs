//! The bridge of Docker's default network. A daemon makes it at its start and never again: where somebody removed the
//! interface since, every container on `bridge` fails to start. The tests use that network, as the page does.

use crate::steps::run;
use anyhow::{Context, Result, ensure};
use std::{path::Path, process::Command};

/// Makes the interface again where it is missing, with the address that the daemon gives to containers as their gateway.
///
/// # Errors
/// When the daemon has no such network, or the interface cannot be made.
pub fn ensure() -> Result<()> {
    let name = ask("{{index .Options \"com.docker.network.bridge.name\"}}")?;
    let name = if name.is_empty() { "docker0".to_owned() } else { name };
    if Path::new("/sys/class/net").join(&name).exists() {
        return Ok(());
    }
    let subnet = ask("{{(index .IPAM.Config 0).Subnet}}")?;
    let address = gateway(&subnet).with_context(|| format!("network bridge has the subnet {subnet:?}"))?;
    run("bridge", Command::new("ip").args(["link", "add", &name, "type", "bridge"]))?;
    run("bridge address", Command::new("ip").args(["address", "add", &address, "dev", &name]))?;
    run("bridge up", Command::new("ip").args(["link", "set", &name, "up"]))
}

fn ask(format: &str) -> Result<String> {
    let out = Command::new("docker").args(["network", "inspect", "bridge", "--format", format]).output()?;
    ensure!(out.status.success(), "docker network inspect bridge: {}", String::from_utf8_lossy(&out.stderr).trim());
    Ok(String::from_utf8(out.stdout)?.trim().to_owned())
}

/// The first address of a subnet, with its width: `172.17.0.1/16` of `172.17.0.0/16`.
fn gateway(subnet: &str) -> Option<String> {
    let (network, width) = subnet.split_once('/')?;
    let network: std::net::Ipv4Addr = network.parse().ok()?;
    width.parse::<u8>().ok().filter(|width| *width <= 30)?;
    Some(format!("{}/{width}", std::net::Ipv4Addr::from(u32::from(network) + 1)))
}

#[cfg(test)]
mod tests {
    use super::gateway;

    #[test]
    fn first_addresses() {
        assert_eq!(gateway("172.17.0.0/16").as_deref(), Some("172.17.0.1/16"));
        for bad in ["", "172.17.0.0", "172.17.0.0/31", "x/16", "fd00::/64"] {
            assert_eq!(gateway(bad), None, "{bad}");
        }
    }
}
