//! The runtime under test, and the suite.

use crate::tests;
use async_trait::async_trait;
use eru_runtime::{
    CreateRequest, Inspection, LogOptions, Process, ProcessOptions, Runtime, ShimCommand, State,
    conformance::{Behaviour, Subject, cases, request, within},
};
use eru_types::{EngineId, Labels};
use futures::StreamExt;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use tempfile::TempDir;

pub const SHIM: &str = "process-shim";
pub const WORKLOAD: &str = "workload";
pub const TESTS: &[crate::Test] = tests![conformance];

/// An open runtime on a folder that is gone with it, and everything that it runs too.
pub struct Plain {
    pub folder: TempDir,
    pub runtime: Arc<Process>,
}

pub fn options(folder: &TempDir) -> ProcessOptions {
    options_of(folder.path())
}

pub fn options_of(folder: &Path) -> ProcessOptions {
    let program = std::env::current_exe().expect("this program");
    ProcessOptions::new(folder, ShimCommand { program, args: vec![SHIM.into()] })
}

impl Plain {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let runtime = Process::open(options(&folder)).await.expect("open");
        Self { folder, runtime }
    }

    /// Gives the folder back without touching what runs, as our death would.
    pub async fn die(self) -> TempDir {
        self.runtime.close().await;
        self.folder
    }

    pub async fn reopen(folder: TempDir) -> Self {
        // The last descriptor of the lock is closed by a thread that may still be at it.
        let runtime = within("the folder is free", async || Process::open(options(&folder)).await.ok()).await;
        Self { folder, runtime }
    }

    /// Removes everything that was made, so that no test leaves processes behind.
    pub async fn clear(self) {
        for workload in self.runtime.list(&Labels::default()).await.expect("list") {
            self.runtime.remove(&workload.id, true).await.expect("remove");
        }
        self.runtime.close().await;
    }

    pub async fn started(&self, name: &str, command: &[&str]) -> EngineId {
        let id = self.runtime.create(&plain(name, command)).await.expect("create");
        self.runtime.start(&id).await.expect("start");
        id
    }

    pub async fn inspect(&self, id: &EngineId) -> Inspection {
        self.runtime.inspect(id).await.expect("inspect")
    }

    pub async fn exited(&self, id: &EngineId) -> Inspection {
        within("it ends", async || {
            let seen = self.inspect(id).await;
            (seen.state == State::Exited).then_some(seen)
        })
        .await
    }

    pub fn path(&self, id: &EngineId, name: &str) -> PathBuf {
        self.folder.path().join("workloads").join(id.as_str()).join(name)
    }

    /// The process id of the shim.
    pub fn shim(&self, id: &EngineId) -> u32 {
        let text = fs::read_to_string(self.path(id, "shim.json")).expect("a shim");
        let record: serde_json::Value = serde_json::from_str(&text).expect("a record");
        u32::try_from(record["pid"].as_u64().expect("a number")).expect("a pid")
    }

    pub async fn lines(&self, id: &EngineId, follow: bool) -> Vec<String> {
        let options = LogOptions { follow, ..LogOptions::default() };
        let lines = self.runtime.logs(id, options).await.expect("logs");
        let all = lines.map(|l| String::from_utf8_lossy(&l.expect("line").data).into_owned()).collect();
        tokio::time::timeout(Duration::from_secs(20), all).await.expect("the output ends")
    }
}

pub fn plain(name: &str, command: &[&str]) -> CreateRequest {
    CreateRequest { image: String::new(), ..request(name, command) }
}

/// The command by which this program is a workload.
pub fn workload(words: &[&str]) -> Vec<String> {
    let program = std::env::current_exe().expect("this program").to_str().expect("UTF-8").to_owned();
    [program.as_str(), WORKLOAD].iter().chain(words).map(ToString::to_string).collect()
}

pub fn kill(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a pid");
    kill_process(pid, Signal::KILL).expect("kill");
}

/// Kills a process that may have ended by itself.
pub fn kill_if_there(pid: u32) {
    let pid = Pid::from_raw(pid.cast_signed()).expect("a pid");
    let _ = kill_process(pid, Signal::KILL);
}

pub fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.trim_start().starts_with('Z'))
}

#[async_trait]
impl Subject for Plain {
    fn runtime(&self) -> Arc<dyn Runtime> {
        self.runtime.clone()
    }

    fn command(&self, behaviour: &Behaviour) -> Vec<String> {
        let say = |lines: &[&str], to: &str| lines.iter().map(|l| format!("echo '{l}'{to}; ")).collect::<String>();
        let script = match behaviour {
            Behaviour::Runs(lines) => say(lines, "") + "exec sleep 1000",
            Behaviour::Exits(lines, code) => say(lines, " >&2") + &format!("exit {code}"),
            Behaviour::IgnoresTerm => "trap '' TERM; echo ready; while :; do sleep 1; done".to_owned(),
            Behaviour::CannotExecute => return vec!["/no/such/program".to_owned()],
        };
        vec!["sh".to_owned(), "-c".to_owned(), script]
    }

    async fn kill(&self, id: &EngineId) {
        kill(self.inspect(id).await.pid);
    }
}

async fn conformance() {
    for (name, case) in cases() {
        println!("  case {name}");
        let subject = Plain::new().await;
        case(&subject).await;
        subject.clear().await;
    }
}
