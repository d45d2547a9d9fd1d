//! `eru up` as a real process, on free ports and a folder of its own.

use crate::{eventually, port};
use anyhow::{Context, Result, ensure};
use eru_api::{controller::controller_client::ControllerClient, pb::core_rpc_client::CoreRpcClient};
use rustix::process::{Pid, Signal, kill_process};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};
use tonic::transport::Channel;

/// `eru up` must answer within this, on a busy machine too.
const READY: Duration = Duration::from_secs(30);

/// A running `eru up` and its folder. Dropping it removes its workloads with `eru down`.
pub struct Up {
    binary: PathBuf,
    folder: tempfile::TempDir,
    /// `127.0.0.1:port` of core.
    pub core: String,
    /// `127.0.0.1:port` of the controller.
    pub controller: String,
    child: Option<Child>,
    extra: Vec<String>,
}

impl Up {
    /// Starts `binary up` with `extra` arguments and waits until it is ready. Without a `--docker` among them it leaves the
    /// machine's Docker engine alone: tests that are not about it must not share it.
    ///
    /// # Errors
    /// When it ends or does not answer; its log is in the message.
    pub async fn start(binary: impl AsRef<Path>, extra: &[&str]) -> Result<Self> {
        let docker: &[&str] = if extra.contains(&"--docker") { &[] } else { &["--docker", "off"] };
        let mut up = Self {
            binary: binary.as_ref().to_owned(),
            folder: tempfile::tempdir()?,
            core: format!("127.0.0.1:{}", port::free()?),
            controller: format!("127.0.0.1:{}", port::free()?),
            child: None,
            extra: docker.iter().chain(extra).map(|arg| (*arg).to_owned()).collect(),
        };
        up.again(&[]).await?;
        Ok(up)
    }

    /// Starts it (again) on the same folder and ports, with `env` added.
    ///
    /// # Errors
    /// As [`Up::start`].
    pub async fn again(&mut self, env: &[(&str, &str)]) -> Result<()> {
        self.spawn(env)?;
        self.ready().await
    }

    /// Starts it without waiting.
    ///
    /// # Errors
    /// When it cannot be started, or still runs.
    pub fn spawn(&mut self, env: &[(&str, &str)]) -> Result<()> {
        ensure!(self.child.is_none(), "it still runs");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_path())?;
        let child = Command::new(&self.binary)
            .arg("up")
            .arg("--data-dir")
            .arg(self.data_dir())
            .args(["--listen", &self.core, "--controller-listen", &self.controller])
            .args(&self.extra)
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot start {}", self.binary.display()))?;
        self.child = Some(child);
        Ok(())
    }

    /// Waits until core and controller answer.
    ///
    /// # Errors
    /// When it ends or does not answer; its log is in the message.
    pub async fn ready(&mut self) -> Result<()> {
        let begin = std::time::Instant::now();
        loop {
            if std::fs::read_to_string(self.data_dir().join("up.json"))
                .is_ok_and(|text| text.contains(&format!("\"pid\":{}", self.pid())))
            {
                return Ok(());
            }
            if let Some(status) = self.child.as_mut().context("not started")?.try_wait()? {
                self.child = None;
                anyhow::bail!("eru up ended with {status}:\n{}", self.log());
            }
            ensure!(begin.elapsed() < READY, "eru up is not ready after {READY:?}:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it does not run.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("eru up runs").id()
    }

    /// Whether its process still runs.
    pub fn runs(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// Ends it with SIGKILL.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill9(&mut self) -> Result<()> {
        let mut child = self.child.take().context("it does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Waits until it ended by itself.
    ///
    /// # Errors
    /// After `deadline`.
    pub async fn ended(&mut self, deadline: Duration) -> Result<std::process::ExitStatus> {
        let child = self.child.as_mut().context("it does not run")?;
        let pid = child.id();
        let status = eventually(&format!("eru up ({pid}) to end"), deadline, || {
            let status = child.try_wait();
            async move { status.map_err(anyhow::Error::from)?.context("it runs") }
        })
        .await?;
        self.child = None;
        Ok(status)
    }

    /// Asks it to stop (SIGTERM) and waits; its workloads go on.
    ///
    /// # Errors
    /// When it does not end in 20 s.
    pub async fn stop(&mut self) -> Result<std::process::ExitStatus> {
        signal(self.pid(), Signal::TERM)?;
        self.ended(Duration::from_secs(20)).await
    }

    /// A client of core.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn client(&self) -> Result<CoreRpcClient<Channel>> {
        Ok(CoreRpcClient::connect(format!("http://{}", self.core)).await?.max_decoding_message_size(64 << 20))
    }

    /// A client of the controller.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub async fn controller(&self) -> Result<ControllerClient<Channel>> {
        Ok(ControllerClient::connect(format!("http://{}", self.controller)).await?)
    }

    /// Runs the command line against it: `eru <args>`.
    ///
    /// # Errors
    /// When it cannot be run.
    pub async fn cli<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<Output> {
        let mut command = tokio::process::Command::new(&self.binary);
        command.args(args).env("ERU", &self.core).env("ERU_CONTROLLER", &self.controller).stdin(Stdio::null());
        Ok(command.output().await?)
    }

    /// The standard output of the command line; a failure is an error with its standard error.
    ///
    /// # Errors
    /// When it fails.
    pub async fn cli_ok<S: AsRef<OsStr>>(&self, args: &[S]) -> Result<String> {
        let out = self.cli(args).await?;
        let words: Vec<_> = args.iter().map(|a| a.as_ref().to_string_lossy()).collect();
        ensure!(
            out.status.success(),
            "eru {} ended with {}:\n{}{}",
            words.join(" "),
            out.status,
            String::from_utf8_lossy(&out.stdout),
            String::from_utf8_lossy(&out.stderr)
        );
        Ok(String::from_utf8(out.stdout)?)
    }

    /// Its data folder.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("up.log")
    }

    /// Everything that it printed.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }
}

impl Drop for Up {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let out =
            Command::new(&self.binary).arg("down").arg("--data-dir").arg(self.data_dir()).stdin(Stdio::null()).output();
        if !out.as_ref().is_ok_and(|out| out.status.success()) {
            eprintln!("eru down failed: {out:?}\n{}", self.log());
        }
    }
}

/// Sends a signal to one process.
///
/// # Errors
/// When there is no such process.
pub fn signal(pid: u32, signal: Signal) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("not a process id")?;
    kill_process(pid, signal).with_context(|| format!("cannot signal process {}", pid.as_raw_nonzero()))
}
