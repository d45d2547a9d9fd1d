//! What is sent: bodies of requests, with those of the engine's fields that are used. What is empty is left out, which the engine
//! takes for its own default.

use super::raw::Ulimit;
use serde::Serialize;
use std::collections::BTreeMap;

/// A container to be made.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ContainerBody {
    pub(super) image: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) cmd: Vec<String>,
    pub(super) env: Vec<String>,
    pub(super) labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) working_dir: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) user: String,
    pub(super) tty: bool,
    pub(super) open_stdin: bool,
    /// The input ends with what was attached to it.
    pub(super) stdin_once: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) exposed_ports: BTreeMap<String, Nothing>,
    pub(super) host_config: HostConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) networking_config: Option<NetworkingConfig>,
}

/// What the engine wants where it knows no lists: `{}`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Nothing {}

/// What concerns the machine that it runs on.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct HostConfig {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) binds: Vec<String>,
    pub(super) network_mode: String,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) port_bindings: BTreeMap<String, Vec<PortBinding>>,
    pub(super) restart_policy: RestartPolicyBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) log_config: Option<LogConfig>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) dns: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) extra_hosts: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) sysctls: BTreeMap<String, String>,
    pub(super) privileged: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pid_mode: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) cap_add: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) cap_drop: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) runtime: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memory: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memory_swap: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) memory_reservation: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu_period: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu_quota: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpu_shares: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpuset_cpus: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) cpuset_mems: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) storage_opt: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ulimits: Vec<Ulimit>,
}

/// Where a port of a container is found on the machine.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct PortBinding {
    pub(super) host_port: String,
}

/// When the engine starts it again by itself.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RestartPolicyBody {
    pub(super) name: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) maximum_retry_count: Option<u32>,
}

/// Where its output goes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct LogConfig {
    #[serde(rename = "Type")]
    pub(super) driver: String,
    #[serde(rename = "Config")]
    pub(super) options: BTreeMap<String, String>,
}

/// The settings of the network that it is made on.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct NetworkingConfig {
    pub(super) endpoints_config: BTreeMap<String, EndpointSettings>,
}

/// How it is on a network.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct EndpointSettings {
    #[serde(rename = "IPAMConfig", skip_serializing_if = "Option::is_none")]
    pub(super) addresses: Option<Addresses>,
}

/// The addresses that it wants there.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Addresses {
    #[serde(rename = "IPv4Address", skip_serializing_if = "Option::is_none")]
    pub(super) ipv4: Option<String>,
    #[serde(rename = "IPv6Address", skip_serializing_if = "Option::is_none")]
    pub(super) ipv6: Option<String>,
}

/// A container that joins a network.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ConnectBody<'a> {
    pub(super) container: &'a str,
    pub(super) endpoint_config: &'a EndpointSettings,
}

/// A container that leaves a network.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct DisconnectBody<'a> {
    pub(super) container: &'a str,
    pub(super) force: bool,
}

/// A command to be run inside of a container.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ExecBody<'a> {
    pub(super) attach_stdin: bool,
    pub(super) attach_stdout: bool,
    pub(super) attach_stderr: bool,
    pub(super) tty: bool,
    pub(super) env: &'a [String],
    pub(super) cmd: &'a [String],
    pub(super) privileged: bool,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) user: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub(super) working_dir: &'a str,
}
