//! A Docker engine as its own command line sees it: a witness that shares no code with ours.

use anyhow::{Context, Result, ensure};
use std::{
    io::Write,
    process::{Command, Stdio},
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
};

/// The socket of the machine's engine.
pub const SOCKET: &str = "unix:///var/run/docker.sock";

/// An engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Docker {
    /// Where it is, as `DOCKER_HOST` has it.
    pub host: String,
}

impl Docker {
    /// The machine's engine; `None`, and a line that names `test`, where none answers. When it does not and
    /// `ERU_REQUIRE_DOCKER` is set, that is a failure, not a skip.
    ///
    /// # Panics
    /// When it is required and missing.
    pub fn of_machine(test: &str) -> Option<Self> {
        let docker = Self { host: SOCKET.to_owned() };
        if docker.answers() {
            return Some(docker);
        }
        assert!(
            std::env::var_os("ERU_REQUIRE_DOCKER").is_none(),
            "a Docker engine at {SOCKET} is required but missing"
        );
        // Not captured, as `eprintln!` would be: a skipped test must not look like one that passed.
        let _ = writeln!(std::io::stderr(), "skipped: {test}: no Docker engine at {SOCKET}");
        None
    }

    /// Whether it answers.
    pub fn answers(&self) -> bool {
        let out = self.std(&["version", "--format", "{{.Server.Version}}"]).stderr(Stdio::null()).output();
        out.is_ok_and(|out| out.status.success())
    }

    fn std(&self, args: &[&str]) -> Command {
        let mut command = Command::new("docker");
        command.args(args).env("DOCKER_HOST", &self.host).stdin(Stdio::null());
        command
    }

    /// Runs `docker <args>`; its standard output, trimmed.
    ///
    /// # Errors
    /// When it fails; its standard error is in the message.
    pub async fn run(&self, args: &[&str]) -> Result<String> {
        let out = tokio::process::Command::from(self.std(args)).kill_on_drop(true).output().await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
        ensure!(out.status.success(), "docker {}: {}", args.join(" "), text(&out.stderr));
        Ok(text(&out.stdout))
    }

    /// The same with standard error after standard output, as for `logs`.
    ///
    /// # Errors
    /// When it fails.
    pub async fn run_all(&self, args: &[&str]) -> Result<String> {
        let out = tokio::process::Command::from(self.std(args)).kill_on_drop(true).output().await?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        ensure!(out.status.success(), "docker {}: {}", args.join(" "), text(&out.stderr));
        Ok(text(&out.stdout) + &text(&out.stderr))
    }

    /// Removes every container with a label, for use in `Drop`. What could not be removed is said.
    pub fn remove_all(&self, label: &str) {
        let filter = format!("label={label}");
        let Ok(out) = self.std(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &filter]).output() else { return };
        let ids = String::from_utf8_lossy(&out.stdout).into_owned();
        let ids: Vec<&str> = ids.split_whitespace().collect();
        if ids.is_empty() {
            return;
        }
        let out = self.std(&["rm", "--force", "--volumes"]).args(&ids).output();
        if !out.as_ref().is_ok_and(|out| out.status.success()) {
            eprintln!("containers with label {label} are left: {out:?}");
        }
    }

    /// What happens to containers from now on: subscribed when this returns.
    ///
    /// # Errors
    /// When the engine does not answer.
    pub async fn events(&self) -> Result<Events> {
        // The command line does not say when it is subscribed: start in the past, by the engine's own clock.
        let now = self.run(&["info", "--format", "{{.SystemTime}}"]).await?;
        let args = ["events", "--since", &now, "--filter", "type=container", "--format", "{{json .}}"];
        let mut child = tokio::process::Command::from(self.std(&args))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        let lines = BufReader::new(child.stdout.take().expect("its output is a pipe")).lines();
        Ok(Events { lines, _child: child })
    }
}

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happened: `create`, `start`, `kill`, `die`, `destroy` and others.
    pub action: String,
    /// The container.
    pub id: String,
    /// Its name.
    pub name: String,
    /// When the engine saw it, since the epoch.
    pub at: Duration,
}

/// Events of an engine as they come.
pub struct Events {
    lines: Lines<BufReader<ChildStdout>>,
    _child: Child,
}

impl Events {
    /// The next one.
    ///
    /// # Errors
    /// When the engine is gone.
    pub async fn next(&mut self) -> Result<Event> {
        loop {
            let line = self.lines.next_line().await?.context("docker events ended")?;
            let event: serde_json::Value = serde_json::from_str(&line).with_context(|| line.clone())?;
            let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
            let (action, id) = (text(&event["Action"]), text(&event["Actor"]["ID"]));
            let name = text(&event["Actor"]["Attributes"]["name"]);
            let Some(at) = event["timeNano"].as_u64() else { continue };
            return Ok(Event { action, id, name, at: Duration::from_nanos(at) });
        }
    }

    /// Waits for an action on a container.
    ///
    /// # Errors
    /// After `patience`.
    pub async fn wait(&mut self, action: &str, id: &str, patience: Duration) -> Result<Event> {
        let found = async {
            loop {
                let event = self.next().await?;
                if event.action == action && event.id == id {
                    return anyhow::Ok(event);
                }
            }
        };
        tokio::time::timeout(patience, found).await.with_context(|| format!("no {action} of {id} in {patience:?}"))?
    }
}

/// This machine's clock, as events have it.
///
/// # Panics
/// When it is before 1970.
pub fn now() -> Duration {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("it is later than 1970")
}
