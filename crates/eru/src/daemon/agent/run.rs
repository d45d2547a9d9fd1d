//! What the configuration means, and the agent from start to end.

use super::pid_file::PidFile;
use anyhow::{Context, Result, bail};
use eru_agent::{Agent, AgentOptions, EngineSocket};
use eru_client::{Client, ClientOptions};
use eru_config::AgentConfig;
use eru_runtime::{Docker, DockerOptions, Fake, FakeOptions, Runtime};
use eru_types::NodeName;
use std::{path::PathBuf, sync::Arc};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

/// Where Docker listens by default.
const DOCKER: &str = "unix:///var/run/docker.sock";
/// Says that we are in a container.
const IN_DOCKER: &str = "AGENT_IN_DOCKER";

/// What to watch, and as whom.
pub struct Plan {
    node: NodeName,
    runtime: Arc<dyn Runtime>,
    /// The engine's socket, where it is one.
    socket: Option<PathBuf>,
}

impl Plan {
    /// Reads the configuration. No IO but the machine's name.
    ///
    /// # Errors
    /// When it names a runtime that cannot be watched, or no name can be found for the node.
    pub fn of(config: &AgentConfig) -> Result<Self> {
        let node = match &config.hostname {
            Some(name) => NodeName::new(name).context("--hostname")?,
            None => machine()?,
        };
        let (runtime, socket): (Arc<dyn Runtime>, _) = match config.runtime.as_str() {
            "docker" => {
                let endpoint = if config.docker_endpoint.is_empty() { DOCKER } else { &config.docker_endpoint };
                let socket = endpoint.strip_prefix("unix://").map(PathBuf::from);
                (Arc::new(Docker::connect(DockerOptions::new(endpoint)).context("docker.endpoint")?), socket)
            }
            "fake" => (Arc::new(Fake::new(FakeOptions::new(node.clone()))), None),
            "process" => bail!(
                "runtime: \"process\" is watched by the agent inside `eru up`, which started the commands; an agent of its own \
                 watches docker"
            ),
            other => bail!("runtime: \"{other}\" comes later; this version watches docker"),
        };
        Ok(Self { node, runtime, socket })
    }
}

fn machine() -> Result<NodeName> {
    let text = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .context("cannot read the machine's name; pass --hostname")?;
    NodeName::new(text.trim()).context("the machine's name is no name for a node; pass --hostname")
}

/// Runs the agent until a signal ends it.
///
/// # Errors
/// Whatever ends it otherwise.
pub async fn run(config: &AgentConfig, plan: Plan) -> Result<()> {
    let mut signals = Signals::new().context("cannot listen for signals")?;
    let pid_file = PidFile::take(&config.pid)?;
    let ran = watch(config, plan, &mut signals).await;
    let removed = pid_file.remove();
    ran.and(removed)
}

async fn watch(config: &AgentConfig, plan: Plan, signals: &mut Signals) -> Result<()> {
    let Plan { node, runtime, socket } = plan;
    let client = ClientOptions {
        username: config.auth_username.clone(),
        password: config.auth_password.reveal().to_owned(),
        connect_timeout: config.global_connection_timeout.min(ClientOptions::default().connect_timeout),
        ..ClientOptions::default()
    };
    let core = Client::connect(&config.core, client).context("core")?;
    let mut options = AgentOptions::new(node.clone(), core, runtime).with_config(config);
    // Outside of a container the engine's new socket is found under the old path.
    options.engine_socket = socket.filter(|_| in_docker()).map(EngineSocket::new);
    let agent = Agent::build(options);
    let handle = agent.handle();
    tracing::info!(%node, core = config.core.join(","), version = env!("CARGO_PKG_VERSION"), "agent started");
    let token = CancellationToken::new();
    let mut running = std::pin::pin!(agent.run(token.clone()));
    let ended = tokio::select! {
        ended = &mut running => ended,
        is_silent = signals.end() => {
            if is_silent {
                handle.end_silently();
            }
            token.cancel();
            tokio::select! {
                ended = &mut running => ended,
                // Whoever asks twice does not want to wait for the good-bye.
                _ = signals.end() => bail!("ended at once, on a second signal"),
            }
        }
    };
    ended?;
    tracing::info!(%node, "agent ended");
    Ok(())
}

fn in_docker() -> bool {
    std::env::var_os(IN_DOCKER).is_some_and(|value| !value.is_empty())
}

/// The signals that end an agent.
struct Signals {
    polite: [Signal; 3],
    silent: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let polite = [signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::quit())?];
        Ok(Self { polite, silent: signal(SignalKind::user_defined1())? })
    }

    /// Waits for one; whether it asks for an end without a good-bye.
    async fn end(&mut self) -> bool {
        let [interrupt, terminate, quit] = &mut self.polite;
        tokio::select! {
            _ = interrupt.recv() => false,
            _ = terminate.recv() => false,
            _ = quit.recv() => false,
            _ = self.silent.recv() => true,
        }
    }
}
