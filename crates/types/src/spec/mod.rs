//! The app spec: what of an app can run, how it is checked, and, for a ReplicaSet, how much of it is wanted.

mod command;
mod env;
mod publish;
mod replicaset;
mod restart;
mod sysctl;

pub use command::{SplitError, split_command};
pub use env::{EnvError, EnvVar};
pub use publish::{Protocol, PublishError, PublishPort};
pub use replicaset::{Keep, NetworkChoice, ReplicaSetSection, SetResources, StrategySection};
pub use restart::{RestartError, RestartPolicy};
pub use sysctl::is_namespaced as is_namespaced_sysctl;

use crate::volume::Volume;
use crate::{AppName, EntrypointName, HealthCheck, Labels};
use std::collections::BTreeMap;

/// Most ports of a health check.
pub const HEALTH_PORTS_LEN_MAX: usize = 32;
/// Most commands of one hook.
pub const HOOK_COMMANDS_LEN_MAX: usize = 32;
/// Longest command of a hook, in bytes.
pub const HOOK_COMMAND_BYTES_MAX: usize = 4096;

/// An app: its entrypoints and what they share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppSpec {
    /// Name of the app.
    pub appname: AppName,
    /// What can run, by name. Never empty.
    pub entrypoints: BTreeMap<EntrypointName, Entrypoint>,
    /// Volumes of every entrypoint.
    pub volumes: Vec<Volume>,
    /// What is set aside for the volumes; empty, or one for each.
    pub volumes_request: Vec<Volume>,
    /// Labels of every workload.
    pub labels: Labels,
    /// Name servers.
    pub dns: Vec<String>,
    /// Additional hosts, as `name:address`.
    pub extra_hosts: Vec<String>,
    /// How much of it is wanted, and where; for ReplicaSets.
    pub replicaset: Option<ReplicaSetSection>,
}

/// One way to run an app.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entrypoint {
    /// Command and arguments; empty means what the image says.
    pub command: Vec<String>,
    /// Run with all privileges of the node.
    pub privileged: bool,
    /// Working folder; empty means what the image says.
    pub dir: String,
    /// Where the engine sends its output; the engine's default when there is none.
    pub log: Option<LogDriver>,
    /// Ports that others may reach.
    pub publish: Vec<PublishPort>,
    /// How its health is checked; healthy while it runs when there is none.
    pub healthcheck: Option<HealthCheck>,
    /// Commands at turning points.
    pub hook: Hook,
    /// Whether the engine starts it again.
    pub restart: Option<RestartPolicy>,
    /// Kernel settings.
    pub sysctls: BTreeMap<String, String>,
}

/// Where an engine sends output.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogDriver {
    /// Name of the driver; which there are is for the engine to say.
    pub driver: String,
    /// Its options.
    pub config: BTreeMap<String, String>,
}

/// Commands at turning points of a workload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Hook {
    /// When it has started.
    pub after_start: Vec<String>,
    /// Before it is stopped.
    pub before_stop: Vec<String>,
    /// Whether a failing command fails the operation.
    pub force: bool,
}
