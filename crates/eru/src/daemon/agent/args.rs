//! The options of `eru agent`: those of the original, each over its key of the file.

use crate::daemon::environment;
use clap::Parser;
use eru_config::{AgentConfig, InputError, Loaded, Setting};
use std::path::{Path, PathBuf};

/// Where the configuration is when nothing says otherwise.
const CONFIG: &str = "/etc/eru/agent.yaml";

/// Watches the Docker of a node and reports to core how its workloads are.
#[derive(Debug, Parser)]
#[command(
    name = "eru-agent",
    version,
    after_help = "\
Every key of the file can be set by an environment variable, ERU_AGENT_<KEY>, and most by an option;
ERU_HOSTNAME names the node. With AGENT_IN_DOCKER=1 the agent takes itself for a container: it ends
when the engine's socket is gone for 30 s, so that its restart mounts the new one.

Signals:
  SIGINT, SIGTERM, SIGQUIT  end; the node keeps its lease for 60 s, so that another agent can follow
  SIGUSR1                   end without a word, as if killed

Example:
  printf 'core: 127.0.0.1:5001\\ndocker:\\n  endpoint: unix:///var/run/docker.sock\\n' > agent.yaml
  eru agent --hostname node1 --config agent.yaml"
)]
pub struct Args {
    /// The configuration, YAML [default: /etc/eru/agent.yaml; without that file, options and environment must name core]
    #[arg(long, value_name = "FILE", env = "ERU_AGENT_CONFIG_PATH")]
    config: Option<PathBuf>,
    /// DEBUG, INFO, WARN or ERROR.
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,
    /// How core is reached: `grpc`.
    #[arg(long, value_name = "KIND")]
    store: Option<String>,
    /// Addresses of cores, `host:port`.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    core_endpoint: Vec<String>,
    /// User name for core.
    #[arg(long, value_name = "NAME")]
    core_username: Option<String>,
    /// Password for core.
    #[arg(long, value_name = "PASSWORD")]
    core_password: Option<String>,
    /// What runs the workloads: `docker`.
    #[arg(long, value_name = "KIND")]
    runtime: Option<String>,
    /// The Docker daemon, `unix:///path` or `tcp://host:port`.
    #[arg(long, value_name = "ENDPOINT")]
    docker_endpoint: Option<String>,
    /// Seconds between two samples of metrics; 0 = what the file says.
    #[arg(long, value_name = "SECONDS")]
    metrics_step: Option<String>,
    /// statsd servers, `host:port`.
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    metrics_transfers: Vec<String>,
    /// Where /healthz, /version and /metrics are served, `host:port`.
    #[arg(long, value_name = "ADDRESS")]
    api_addr: Option<String>,
    /// Where logs of workloads go.
    #[arg(long, value_name = "URL", value_delimiter = ',')]
    log_forwards: Vec<String>,
    /// Whether logs of workloads are printed: `yes` or `no`.
    #[arg(long, value_name = "YES|NO")]
    log_stdout: Option<String>,
    /// The file for the process id.
    #[arg(long, value_name = "FILE")]
    pidfile: Option<String>,
    /// Seconds between two health checks of a workload; 0 = what the file says.
    #[arg(long, value_name = "SECONDS")]
    health_check_interval: Option<String>,
    /// Seconds that a health check may take; 0 = what the file says.
    #[arg(long, value_name = "SECONDS")]
    health_check_timeout: Option<String>,
    /// Not needed: a report is repeated until core has acknowledged it.
    #[arg(long, value_name = "SECONDS")]
    health_check_cache_ttl: Option<String>,
    /// Seconds that a report counts; 0 = for ever.
    #[arg(long, value_name = "SECONDS")]
    health_check_status_ttl: Option<String>,
    /// Not needed: core says how often.
    #[arg(long, value_name = "SECONDS")]
    heartbeat_interval: Option<String>,
    /// The node to act for [default: the machine's name]
    #[arg(long, value_name = "NODE")]
    hostname: Option<String>,
    /// Only workloads labelled with this node and this core: where several agents share a Docker.
    #[arg(long)]
    check_only_mine: bool,
    /// Not needed: core itself watches the nodes.
    #[arg(long)]
    pub selfmon: bool,
}

impl Args {
    /// The configuration: the file, the environment over it, the options over both.
    ///
    /// # Errors
    /// [`InputError`] with everything that is wrong.
    pub fn load(&self) -> Result<Loaded<AgentConfig>, InputError> {
        let (variables, flags) = (environment(), self.settings());
        let default = Path::new(CONFIG);
        if let Some(path) = &self.config {
            return AgentConfig::load(path, variables, &flags);
        }
        let names_core = |name: &str| name == "ERU_AGENT_CORE_ENDPOINT" || name == "ERU_AGENT_CORE";
        let core_is_named = !self.core_endpoint.is_empty() || variables.iter().any(|(name, _)| names_core(name));
        if default.exists() || !core_is_named {
            return AgentConfig::load(default, variables, &flags);
        }
        AgentConfig::parse("options", "", variables, &flags)
    }

    fn settings(&self) -> Vec<Setting> {
        let list = |items: &[String]| (!items.is_empty()).then(|| items.join(","));
        // The original takes a zero for "not given".
        let number = |value: &Option<String>| value.clone().filter(|text| text != "0");
        let given = [
            ("--log-level", "log_level", self.log_level.clone()),
            ("--store", "store", self.store.clone()),
            ("--core-endpoint", "core", list(&self.core_endpoint)),
            ("--core-username", "auth.username", self.core_username.clone()),
            ("--core-password", "auth.password", self.core_password.clone()),
            ("--runtime", "runtime", self.runtime.clone()),
            ("--docker-endpoint", "docker.endpoint", self.docker_endpoint.clone()),
            ("--metrics-step", "metrics.step", number(&self.metrics_step)),
            ("--metrics-transfers", "metrics.transfers", list(&self.metrics_transfers)),
            ("--api-addr", "api.addr", self.api_addr.clone()),
            ("--log-forwards", "log.forwards", list(&self.log_forwards)),
            ("--log-stdout", "log.stdout", self.log_stdout.clone()),
            ("--pidfile", "pid", self.pidfile.clone()),
            ("--health-check-interval", "healthcheck.interval", number(&self.health_check_interval)),
            ("--health-check-timeout", "healthcheck.timeout", number(&self.health_check_timeout)),
            ("--health-check-cache-ttl", "healthcheck.cache_ttl", number(&self.health_check_cache_ttl)),
            ("--health-check-status-ttl", "healthcheck.status_ttl", self.health_check_status_ttl.clone()),
            ("--heartbeat-interval", "heartbeat_interval", number(&self.heartbeat_interval)),
            ("--hostname", "hostname", self.hostname.clone()),
            ("--check-only-mine", "check_only_mine", self.check_only_mine.then(|| "true".to_owned())),
        ];
        // An option that is empty is one that a template left empty.
        let given = given.into_iter().filter_map(|(flag, key, value)| Some((flag, key, value?)));
        given
            .filter(|(_, _, value)| !value.is_empty())
            .map(|(flag, key, value)| Setting::flag(flag, key, value))
            .collect()
    }
}
