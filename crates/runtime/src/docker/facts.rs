//! What must be known of a daemon before something is asked of it.

use super::{
    connect::Connector,
    options::{DockerOptions, Endpoint},
};
use serde::Deserialize;
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, UdpSocket},
};

/// An address of the documentation's network: nobody has it, so the way to it is the way out.
const SOMEWHERE_ELSE: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 9);
/// Bit of the capability that raises limits above their hard bound.
const CAP_SYS_RESOURCE: u32 = 24;

/// What `/info` says.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct DaemonInfo {
    #[serde(rename = "ID")]
    pub(super) id: String,
    #[serde(rename = "NCPU")]
    pub(super) cores: u32,
    pub(super) mem_total: i64,
    pub(super) driver: String,
    pub(super) driver_status: Option<Vec<Vec<String>>>,
    pub(super) logging_driver: String,
    pub(super) docker_root_dir: String,
    pub(super) swarm: Option<Swarm>,
}

/// The daemon's place in a swarm of Docker's own.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
pub(super) struct Swarm {
    local_node_state: String,
    control_available: bool,
}

impl Swarm {
    /// Whether others decide what networks there are.
    pub(super) fn is_worker(&self) -> bool {
        self.local_node_state == "active" && !self.control_available
    }
}

/// What the mapping of a request depends on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// The log driver of a container that names none.
    pub(super) logging_driver: String,
    /// Whether a container's storage can be limited.
    pub(super) limits_storage: bool,
    /// The highest open-files limit that a container can get; `None` = not known.
    pub(super) open_files_max: Option<u64>,
}

impl Facts {
    pub(super) fn new(info: &DaemonInfo, connector: &Connector) -> Self {
        let backing =
            info.driver_status.iter().flatten().find(|pair| pair.first().is_some_and(|k| k == "Backing Filesystem"));
        let on_xfs = backing.and_then(|pair| pair.get(1)).is_some_and(|fs| fs == "xfs");
        let limits_storage = match info.driver.as_str() {
            "btrfs" | "zfs" | "devicemapper" => true,
            // Only with project quotas; whether it has them only a create tells.
            "overlay2" => on_xfs,
            _ => false,
        };
        Self {
            logging_driver: info.logging_driver.clone(),
            limits_storage,
            open_files_max: open_files_max(connector.peer().pid),
        }
    }
}

/// What the process that listens on the socket can give: runc inherits it.
fn open_files_max(pid: Option<i32>) -> Option<u64> {
    let pid = pid?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    let capabilities = u64::from_str_radix(capabilities.trim(), 16).ok()?;
    if capabilities >> CAP_SYS_RESOURCE & 1 == 1 {
        return fs::read_to_string("/proc/sys/fs/nr_open").ok()?.trim().parse().ok();
    }
    hard_open_files(&fs::read_to_string(format!("/proc/{pid}/limits")).ok()?)
}

fn hard_open_files(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The address that workloads on the machine's own network are shown with. Not kept: a machine may get another one, or its
/// first one after us.
pub(super) fn host_address(options: &DockerOptions, connector: &Connector) -> IpAddr {
    let found = match (options.host_address, connector.endpoint()) {
        (Some(address), _) => Some(address),
        (None, Endpoint::Unix(_)) => primary_address(),
        (None, Endpoint::Tcp { .. }) => connector.peer().address,
    };
    found.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
}

/// The address that packets to elsewhere leave with; none are sent.
fn primary_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(SOMEWHERE_ELSE).ok()?;
    Some(socket.local_addr().ok()?.ip()).filter(|address| !address.is_unspecified())
}

/// The size of the file system that containers live on, where it is one of this machine; else 0.
pub(super) fn storage_bytes(info: &DaemonInfo, endpoint: &Endpoint) -> u64 {
    if !matches!(endpoint, Endpoint::Unix(_)) || info.docker_root_dir.is_empty() {
        return 0;
    }
    rustix::fs::statvfs(info.docker_root_dir.as_str()).map_or(0, |fs| fs.f_blocks.saturating_mul(fs.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read() {
        let text = "Limit      Soft Limit   Hard Limit   Units\nMax open files            1024                20000                files     \n";
        assert_eq!(hard_open_files(text), Some(20_000));
        assert_eq!(hard_open_files("Max open files  unlimited unlimited files"), None);
        assert_eq!(open_files_max(None), None);
        let ours = i32::try_from(std::process::id()).unwrap();
        assert!(open_files_max(Some(ours)).is_some_and(|max| max > 0));
    }

    #[test]
    fn storage_is_limited_where_the_driver_can() {
        let connector = Connector::new(Endpoint::Unix("/x".into()));
        let facts = |driver: &str, fs: &str| {
            let status = Some(vec![vec!["Backing Filesystem".into(), fs.into()]]);
            Facts::new(
                &DaemonInfo { driver: driver.into(), driver_status: status, ..DaemonInfo::default() },
                &connector,
            )
        };
        assert!(facts("overlay2", "xfs").limits_storage && facts("zfs", "").limits_storage);
        assert!(!facts("overlay2", "extfs").limits_storage && !facts("vfs", "xfs").limits_storage);
    }
}
