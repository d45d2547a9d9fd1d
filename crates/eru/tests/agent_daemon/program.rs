//! The binary, started with options of a test's choice.

use rustix::process::{Pid, Signal, kill_process};
use std::{
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    time::{Duration, Instant},
};

/// A busy machine needs no longer for anything that is waited for here.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// `eru agent` with `args`; no variable of the surroundings but `env` says anything to it.
pub fn command(args: &[&str], env: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eru"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ERU") || name == "AGENT_IN_DOCKER" {
            command.env_remove(name);
        }
    }
    command.arg("agent").args(args).envs(env.iter().copied()).stdin(Stdio::null());
    command
}

/// Runs it to its end, which it must find by itself.
pub fn run(args: &[&str], env: &[(&str, &str)]) -> Output {
    let mut child = command(args, env).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    ended(&mut child);
    child.wait_with_output().unwrap()
}

fn ended(child: &mut Child) -> ExitStatus {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if begun.elapsed() > DEADLINE {
            child.kill().unwrap();
            panic!("it does not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// An agent that runs, of node `n1`, in a folder of its own. Killed when it is dropped.
pub struct Running {
    child: Child,
    pub folder: PathBuf,
}

impl Running {
    /// Starts it on `folder`, with the core at `core`.
    pub fn start(folder: &Path, core: &str, args: &[&str]) -> Self {
        let pid = folder.join("agent.pid");
        let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let mut all = vec!["--hostname", "n1", "--runtime", "fake", "--core-endpoint", core];
        all.extend(["--pidfile", pid.to_str().unwrap()]);
        all.extend(args);
        let mut command = command(&all, &[("ERU_AGENT_CORE_PASSWORD", "hunter2"), ("ERU_AGENT_CORE_USERNAME", "me")]);
        Self { child: command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap(), folder: folder.to_owned() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// Waits for its end; its exit code, or nothing when a signal killed it.
    pub fn ended(&mut self) -> Option<i32> {
        ended(&mut self.child).code()
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("log")).unwrap()
    }

    /// What its pid file says, if it is there.
    pub fn pid_file(&self) -> Option<String> {
        std::fs::read_to_string(self.folder.join("agent.pid")).ok()
    }

    /// Waits until the log says so.
    pub async fn logged(&self, text: &str) {
        self.until(text, || self.log().contains(text)).await;
    }

    pub async fn until(&self, what: &str, mut condition: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !condition() {
            assert!(begun.elapsed() < DEADLINE, "waited for {what}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
