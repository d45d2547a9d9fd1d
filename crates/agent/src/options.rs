//! What an agent needs.

use crate::EngineSocket;
use eru_client::Client;
use eru_config::{AgentConfig, agent::HealthCheckConfig};
use eru_runtime::Runtime;
use eru_types::NodeName;
use std::{net::SocketAddr, sync::Arc, time::Duration};

/// What an agent is made of.
#[derive(Clone)]
pub struct AgentOptions {
    /// The node that it speaks for.
    pub nodename: NodeName,
    /// The cores.
    pub core: Client,
    /// The runtime of the node.
    pub runtime: Arc<dyn Runtime>,
    /// How often a healthy workload is probed.
    pub check_interval: Duration,
    /// How long one probe may take.
    pub check_timeout: Duration,
    /// How long a report counts; zero = for ever. Never shorter than two and a half check intervals, by which it is renewed.
    pub status_ttl: Duration,
    /// How long the runtime may take to answer for one workload, before it is asked again.
    pub call_timeout: Duration,
    /// Only workloads that say that they are of this node: where several agents share an engine.
    pub only_mine: bool,
    /// Where `/healthz`, `/version` and `/metrics` are served; nothing = nowhere.
    pub api: Option<SocketAddr>,
    /// A socket without which the agent is to end, so that it is started again with the new one: in a container.
    pub engine_socket: Option<EngineSocket>,
    /// How often everything is listed even if no event was lost, as far as the runtime knows.
    pub list_interval: Duration,
    /// How long the node keeps its lease after an orderly end, so that the agent can be replaced.
    pub leave_lease: Duration,
    /// How long the node keeps its lease while the runtime does not answer: an engine that starts again is back by then, and
    /// what it runs goes on meanwhile if it is set up so.
    pub runtime_lease: Duration,
    /// Names this process.
    pub agent_id: String,
    /// Names this boot of the machine.
    pub boot_id: String,
    /// The version that is told to core.
    pub version: String,
}

impl AgentOptions {
    /// The agent of `nodename`, with the defaults for everything else.
    pub fn new(nodename: NodeName, core: Client, runtime: Arc<dyn Runtime>) -> Self {
        let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        Self {
            nodename,
            core,
            runtime,
            check_interval: Duration::from_secs(15),
            check_timeout: Duration::from_secs(10),
            status_ttl: Duration::ZERO,
            call_timeout: Duration::from_secs(5),
            only_mine: false,
            api: None,
            engine_socket: None,
            list_interval: Duration::from_secs(60),
            leave_lease: Duration::from_secs(60),
            runtime_lease: Duration::from_secs(60),
            agent_id: format!("{:016x}", rand::random::<u64>()),
            boot_id: boot_id.trim().to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }

    /// The same with what a configuration file says.
    #[must_use]
    pub fn with_config(self, config: &AgentConfig) -> Self {
        let HealthCheckConfig { interval, timeout, status_ttl, .. } = config.healthcheck;
        Self {
            check_interval: interval,
            check_timeout: timeout,
            status_ttl,
            call_timeout: config.global_connection_timeout,
            only_mine: config.check_only_mine,
            api: config.api_addr.map(|address| address.0),
            ..self
        }
    }

    /// How long a report counts, in seconds; 0 = for ever.
    pub(crate) fn ttl_s(&self) -> i64 {
        if self.status_ttl.is_zero() {
            return 0;
        }
        let ttl = self.status_ttl.max(self.check_interval * 5 / 2);
        i64::try_from(ttl.as_secs_f64().ceil() as u64).unwrap_or(i64::MAX)
    }
}
