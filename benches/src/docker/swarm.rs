//! The peer: a service of Docker Swarm on the same engine.

use anyhow::{Context, Result, bail, ensure};
use eru_testkit::{Docker, docker::Events, eventually};
use std::{
    process::{Command, Stdio},
    time::Duration,
};

const SERVICE: &str = "eru-bench-swarm";
/// A task is started within seconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// A swarm of one node with a service of one task; left when dropped.
pub struct Swarm {
    docker: Docker,
}

impl Drop for Swarm {
    fn drop(&mut self) {
        for args in [&["service", "rm", SERVICE][..], &["swarm", "leave", "--force"]] {
            let mut command = Command::new("docker");
            command.args(args).env("DOCKER_HOST", &self.docker.host).stdin(Stdio::null()).stdout(Stdio::null());
            let _ = command.status();
        }
    }
}

impl Swarm {
    /// Makes the engine a swarm and starts the service, restarted without delay.
    ///
    /// # Errors
    /// When it is in a swarm already, or cannot be in one; the text is for the table.
    pub async fn start(docker: &Docker, image: &str) -> Result<Self> {
        let state = docker.run(&["info", "--format", "{{.Swarm.LocalNodeState}}"]).await?;
        ensure!(state == "inactive", "the engine's swarm is {state}: not ours to use");
        docker.run(&["swarm", "init", "--advertise-addr", "127.0.0.1"]).await?;
        let swarm = Self { docker: docker.clone() };
        let args =
            ["service", "create", "--quiet", "--name", SERVICE, "--restart-delay", "0s", "--no-resolve-image", image];
        match tokio::time::timeout(PATIENCE, docker.run(&args)).await {
            Ok(created) => created?,
            Err(_) => bail!("the service did not start in {} s", PATIENCE.as_secs()),
        };
        Ok(swarm)
    }

    /// The running task's container.
    ///
    /// # Errors
    /// When none runs.
    pub async fn task(&self) -> Result<String> {
        let filter = format!("label=com.docker.swarm.service.name={SERVICE}");
        eventually("a task", PATIENCE, || async {
            let ids = self.docker.run(&["ps", "--quiet", "--no-trunc", "--filter", &filter]).await?;
            let id = ids.lines().next().context("no task runs")?;
            anyhow::Ok(id.to_owned())
        })
        .await
    }

    /// When the next task's container was started.
    ///
    /// # Errors
    /// When none is.
    pub async fn started(&self, events: &mut Events) -> Result<Duration> {
        let started = async {
            loop {
                let event = events.next().await?;
                if event.action == "start" && event.name.starts_with(SERVICE) {
                    return anyhow::Ok(event.at);
                }
            }
        };
        tokio::time::timeout(PATIENCE, started).await.context("no task was started")?
    }
}
