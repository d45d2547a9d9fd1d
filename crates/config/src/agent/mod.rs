//! `agent.yaml`: the configuration of eru-agent.

mod dump;
mod read;

pub use read::LogForward;

use crate::layer::{Loaded, Setting};
use crate::problem::InputError;
use crate::value::{LogLevel, Secret};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The configuration of eru-agent, checked. Fields are named and grouped as the keys are.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentConfig {
    /// How much is logged.
    pub log_level: LogLevel,
    /// The file that holds the process id.
    pub pid: PathBuf,
    /// Addresses of cores, at least one.
    pub core: Vec<String>,
    /// The node that the agent acts for; the machine's name when there is none.
    pub hostname: Option<String>,
    /// Interval of signs of life to cores of the original; zero sends none.
    pub heartbeat_interval: Duration,
    /// Only workloads of this node, where several share an engine.
    pub check_only_mine: bool,
    /// How core is reached: `grpc`.
    pub store: String,
    /// Kind of the runtime: docker, process, yavirt or fake.
    pub runtime: String,
    /// Name that core asks for.
    pub auth_username: String,
    /// Password that core asks for.
    pub auth_password: Secret,
    /// Endpoint of Docker, `unix://` or `tcp://`.
    pub docker_endpoint: String,
    /// Endpoint of yavirt.
    pub yavirt_endpoint: String,
    /// Guests that are not reported, by patterns of their id.
    pub yavirt_skip_guest_report_regexps: Vec<String>,
    /// Interval of metrics.
    pub metrics_step: Duration,
    /// statsd servers, `host:port`.
    pub metrics_transfers: Vec<String>,
    /// Where the agent's own HTTP is served; empty = nowhere.
    pub api_addr: Option<crate::BindAddress>,
    /// Where logs go.
    pub log_forwards: Vec<LogForward>,
    /// Whether logs are also written to standard output.
    pub log_stdout: bool,
    /// How health is checked.
    pub healthcheck: HealthCheckConfig,
    /// The longest that one call of core or engine may take.
    pub global_connection_timeout: Duration,
    /// Keys that were given and have no effect yet, to be named in one line at the start.
    pub later_keys: Vec<String>,
    /// Keys that were given and that this agent has no need of, to be named in the same line.
    pub unneeded_keys: Vec<String>,
}

/// How health is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthCheckConfig {
    /// Between two checks of a workload.
    pub interval: Duration,
    /// The longest that one check may take; below the interval.
    pub timeout: Duration,
    /// How long a report counts; zero = for ever.
    pub status_ttl: Duration,
    /// How long an unchanged report is not repeated.
    pub cache_ttl: Duration,
}

impl Default for HealthCheckConfig {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(60),
            timeout: Duration::from_secs(10),
            status_ttl: Duration::ZERO,
            cache_ttl: Duration::from_secs(300),
        }
    }
}

impl Default for AgentConfig {
    /// The defaults of the original, with core on this machine.
    fn default() -> Self {
        Self {
            log_level: LogLevel::Info,
            pid: "/tmp/agent.pid".into(),
            core: vec!["127.0.0.1:5001".into()],
            hostname: None,
            heartbeat_interval: Duration::from_secs(60),
            check_only_mine: false,
            store: "grpc".into(),
            runtime: "docker".into(),
            auth_username: String::new(),
            auth_password: Secret::default(),
            docker_endpoint: String::new(),
            yavirt_endpoint: String::new(),
            yavirt_skip_guest_report_regexps: Vec::new(),
            metrics_step: Duration::from_secs(10),
            metrics_transfers: Vec::new(),
            api_addr: None,
            log_forwards: Vec::new(),
            log_stdout: false,
            healthcheck: HealthCheckConfig::default(),
            global_connection_timeout: Duration::from_secs(5),
            later_keys: Vec::new(),
            unneeded_keys: Vec::new(),
        }
    }
}

impl AgentConfig {
    /// Reads a file, with the environment (`ERU_AGENT_<KEY>` and the original's names) and flags over it.
    ///
    /// # Errors
    /// [`InputError`] with everything that is wrong.
    pub fn load(
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[Setting],
    ) -> Result<Loaded<Self>, InputError> {
        read::PLAN.load(path, environment, flags)
    }

    /// Reads a text, with the environment and flags over it.
    ///
    /// # Errors
    /// [`InputError`] with everything that is wrong.
    pub fn parse(
        name: &str,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[Setting],
    ) -> Result<Loaded<Self>, InputError> {
        read::PLAN.parse(name, text, environment, flags)
    }

    /// The line to log at the start about keys that have no effect.
    pub fn later_notice(&self) -> Option<String> {
        let kinds = [("without effect yet", &self.later_keys), ("not needed here", &self.unneeded_keys)];
        let parts = kinds.iter().filter(|(_, keys)| !keys.is_empty());
        let parts: Vec<String> = parts.map(|(why, keys)| format!("{why}: {}", keys.join(", "))).collect();
        (!parts.is_empty()).then(|| format!("accepted, but {}", parts.join("; ")))
    }
}
