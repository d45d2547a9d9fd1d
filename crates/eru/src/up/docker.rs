//! The Docker engine of this machine, as a second node beside the plain commands.
//!
//! # Invariants
//! - Nothing here ends `eru up`: an engine that is not there, comes later or restarts is waited for, and said so once.
//! - The node is registered only when its engine has answered.

use super::local::{self, Conflict, Registration};
use anyhow::{Context, Result};
use eru_agent::{Agent, AgentOptions};
use eru_client::Client;
use eru_runtime::{DockerOptions, Runtime, TlsMaterial};
use eru_types::{NodeName, PodName};
use std::{path::PathBuf, str::FromStr, sync::Arc, time::Duration};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

/// Where an engine listens when nothing says otherwise.
const DEFAULT_ENDPOINT: &str = "unix:///var/run/docker.sock";
/// What the node's name has after the machine's.
const SUFFIX: &str = "-docker";
/// Longest name of a node, in bytes.
const NAME_BYTES_MAX: usize = 63;
/// How long an engine may take to answer; one of this machine does within a millisecond.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);
/// How often an engine that is not there is looked for. A connect to a socket without a listener costs microseconds.
const LOOK_PERIOD: Duration = Duration::from_secs(1);
/// How long the start of `eru up` waits for the engine's node, so that a spec with an image finds it at once.
const START_PATIENCE: Duration = Duration::from_millis(100);

/// `--docker`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// The engine of `DOCKER_HOST`, else of this machine, if there is one.
    Auto,
    /// None.
    Off,
    /// This one.
    At(String),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "off" => Ok(Self::Off),
            endpoint => match eru_runtime::Docker::connect(DockerOptions::new(endpoint)) {
                Ok(_) => Ok(Self::At(endpoint.to_owned())),
                Err(error) => Err(format!("expected auto, off or an endpoint: {error}")),
            },
        }
    }
}

/// An engine to be used.
pub struct Docker {
    runtime: Arc<eru_runtime::Docker>,
    registration: Registration,
}

/// What came of the first look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seen {
    /// It is a node.
    Here,
    /// It does not answer, or its node is somebody else's.
    Away,
}

impl Docker {
    /// The engine of a choice; `None` = none is wanted. `env` reads a variable of the environment.
    ///
    /// # Errors
    /// Names the variable or the file that is wrong.
    pub fn choose(
        choice: &Choice,
        pod: &PodName,
        machine: &NodeName,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Option<Self>> {
        let env = |name: &str| env(name).filter(|value| !value.is_empty());
        let (endpoint, tls) = match choice {
            Choice::Off => return Ok(None),
            Choice::At(endpoint) => (endpoint.clone(), None),
            Choice::Auto => match env("DOCKER_HOST") {
                None => (DEFAULT_ENDPOINT.to_owned(), None),
                Some(host) => {
                    let tls = env("DOCKER_TLS_VERIFY").map(|_| certificates(env("DOCKER_CERT_PATH"))).transpose()?;
                    (host, tls)
                }
            },
        };
        let options = DockerOptions { tls: tls.clone(), ..DockerOptions::new(endpoint.clone()) };
        let runtime = match eru_runtime::Docker::connect(options) {
            Ok(runtime) => runtime,
            // It was set for other programs (`ssh://`, as Docker's own command line has it).
            Err(error) => anyhow::bail!("DOCKER_HOST: {error}; choose another with --docker, or --docker off"),
        };
        let registration = Registration { pod: pod.clone(), node: node_name(machine), endpoint, tls };
        Ok(Some(Self { runtime: Arc::new(runtime), registration }))
    }

    /// Runs the engine's agent until `stop`, from when the engine answers. The second value waits for the first look, but
    /// not long.
    pub fn start(self, client: Client, stop: CancellationToken) -> (impl Future<Output = Result<()>>, Look) {
        let (seen, look) = oneshot::channel();
        let node = self.registration.node.clone();
        (self.run(client, seen, stop), Look { seen: look, node })
    }

    async fn run(self, client: Client, seen: oneshot::Sender<Seen>, stop: CancellationToken) -> Result<()> {
        if stop.run_until_cancelled(self.registered(&client, seen)).await.is_none() {
            return Ok(());
        }
        let Self { runtime, registration } = self;
        tracing::info!(node = %registration.node, endpoint = registration.endpoint, "Docker is a node");
        let options = AgentOptions::new(registration.node.clone(), client, runtime);
        if let Err(error) = Agent::build(options).run(stop.clone()).await {
            // An agent that was deployed for the node speaks for it now. That is no reason to end everything else.
            tracing::warn!(node = %registration.node, %error, "the agent of Docker inside eru up has ended");
            stop.cancelled().await;
        }
        Ok(())
    }

    /// Returns when the engine is a node of core.
    async fn registered(&self, client: &Client, seen: oneshot::Sender<Seen>) {
        let (mut seen, mut said) = (Some(seen), String::new());
        loop {
            let refusal = match self.try_register(client).await {
                Ok(()) => {
                    seen.take().map(|seen| seen.send(Seen::Here));
                    return;
                }
                Err(refusal) => refusal,
            };
            seen.take().map(|seen| seen.send(Seen::Away));
            // The same reason is said once, not every second.
            let text = format!("{refusal:#}");
            if said != text {
                match refusal.downcast_ref::<Conflict>() {
                    Some(_) => tracing::warn!("Docker is not used: {text}, or --docker off"),
                    None => tracing::info!("no Docker engine yet, plain commands only: {text}; it is looked for"),
                }
                said = text;
            }
            tokio::time::sleep(LOOK_PERIOD).await;
        }
    }

    async fn try_register(&self, client: &Client) -> Result<()> {
        match tokio::time::timeout(ANSWER_PATIENCE, self.runtime.ping()).await {
            Ok(answer) => answer?,
            Err(_) => {
                anyhow::bail!("{} does not answer in {} s", self.registration.endpoint, ANSWER_PATIENCE.as_secs())
            }
        }
        local::add_node(client, &self.registration).await
    }
}

/// The first look at an engine, going on.
pub struct Look {
    seen: oneshot::Receiver<Seen>,
    node: NodeName,
}

impl Look {
    /// The engine's node, if it is one soon.
    pub async fn node(self) -> Option<NodeName> {
        match tokio::time::timeout(START_PATIENCE, self.seen).await {
            Ok(Ok(Seen::Here)) => Some(self.node),
            _ => None,
        }
    }
}

/// `<machine>-docker`, the machine's name cut where both would be too long.
fn node_name(machine: &NodeName) -> NodeName {
    let kept = machine.as_str().len().min(NAME_BYTES_MAX - SUFFIX.len());
    let name = format!("{}{SUFFIX}", &machine.as_str()[..kept]);
    NodeName::new(name).expect("a name of ASCII, cut, with a plain suffix is a name")
}

fn certificates(folder: Option<String>) -> Result<TlsMaterial> {
    let folder = PathBuf::from(folder.context("DOCKER_TLS_VERIFY is set, but DOCKER_CERT_PATH is not")?);
    let read = |name: &str| {
        let path = folder.join(name);
        std::fs::read_to_string(&path).with_context(|| format!("DOCKER_CERT_PATH: cannot read {}", path.display()))
    };
    Ok(TlsMaterial { ca: read("ca.pem")?, cert: read("cert.pem")?, key: read("key.pem")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(choice: &Choice, env: &[(&str, &str)]) -> Result<Option<String>> {
        let (pod, node) = (PodName::new("p").unwrap(), NodeName::new("n").unwrap());
        let env = |name: &str| env.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Ok(Docker::choose(choice, &pod, &node, env)?.map(|docker| docker.registration.endpoint))
    }

    #[test]
    fn choices() {
        assert_eq!("auto".parse(), Ok(Choice::Auto));
        assert_eq!("off".parse(), Ok(Choice::Off));
        assert_eq!("tcp://h:1".parse(), Ok(Choice::At("tcp://h:1".into())));
        for bad in ["", "on", "/var/run/docker.sock", "ssh://h", "unix://x"] {
            assert!(
                bad.parse::<Choice>().is_err_and(|e| e.starts_with("expected auto, off or an endpoint: ")),
                "{bad}"
            );
        }
    }

    #[test]
    fn the_environment_is_asked_last() {
        let host = [("DOCKER_HOST", "tcp://h:1")];
        assert_eq!(choose(&Choice::Off, &host).unwrap(), None);
        assert_eq!(choose(&Choice::At("tcp://x:2".into()), &host).unwrap().as_deref(), Some("tcp://x:2"));
        assert_eq!(choose(&Choice::Auto, &host).unwrap().as_deref(), Some("tcp://h:1"));
        assert_eq!(choose(&Choice::Auto, &[("DOCKER_HOST", "")]).unwrap().as_deref(), Some(DEFAULT_ENDPOINT));
        let error = choose(&Choice::Auto, &[("DOCKER_HOST", "ssh://h")]).unwrap_err().to_string();
        assert!(error.starts_with("DOCKER_HOST: ") && error.contains("\"ssh://h\""), "{error}");
        let error = choose(&Choice::Auto, &[host[0], ("DOCKER_TLS_VERIFY", "1")]).unwrap_err().to_string();
        assert!(error.contains("DOCKER_CERT_PATH"), "{error}");
    }

    #[test]
    fn names_stay_names() {
        let name = |machine: &str| node_name(&NodeName::new(machine).unwrap()).to_string();
        assert_eq!(name("vm"), "vm-docker");
        assert_eq!(name(&"x".repeat(63)), format!("{}-docker", "x".repeat(56)));
    }
}
