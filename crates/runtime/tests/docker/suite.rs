//! The suite.

use crate::daemon::{self, Daemon};
use async_trait::async_trait;
use eru_runtime::{
    Runtime,
    conformance::{Abilities, Behaviour, Inside, Subject, cases},
};
use eru_types::{EngineId, Labels};
use rustix::process::{Pid, Signal, kill_process};
use std::sync::Arc;

struct Real {
    daemon: Daemon,
    network: Option<String>,
}

fn shell(script: &str) -> Vec<String> {
    ["/bin/sh", "-c", script].map(String::from).to_vec()
}

fn echoes(lines: &[&str], to: &str) -> String {
    lines.iter().map(|line| format!("echo '{line}'{to}; ")).collect()
}

#[async_trait]
impl Subject for Real {
    fn runtime(&self) -> Arc<dyn Runtime> {
        Arc::new(self.daemon.docker.clone())
    }

    fn image(&self) -> String {
        daemon::image().to_owned()
    }

    fn name(&self, name: &str) -> String {
        self.daemon.name(name)
    }

    fn labels(&self) -> Labels {
        self.daemon.labels()
    }

    fn abilities(&self) -> Abilities {
        Abilities { inside: true, files: true, images: true, network: self.network.clone() }
    }

    fn command(&self, behaviour: &Behaviour) -> Vec<String> {
        match behaviour {
            // The first process of a container ignores what it does not handle; 143 is what a shell says of SIGTERM.
            Behaviour::Runs(lines) => {
                shell(&format!("trap 'exit 143' TERM; {} while :; do sleep 1000 & wait; done", echoes(lines, "")))
            }
            Behaviour::Exits(lines, code) => shell(&format!("{} exit {code}", echoes(lines, " >&2"))),
            Behaviour::IgnoresTerm => shell("trap '' TERM; echo ready; while :; do sleep 1000; done"),
            Behaviour::CannotExecute => vec!["/nosuch/program".into()],
        }
    }

    fn inside(&self, what: &Inside) -> Vec<String> {
        match what {
            Inside::Says(out, err, code) => shell(&format!("echo {out}; echo {err} >&2; exit {code}")),
            Inside::Echoes => vec!["/bin/cat".into()],
            // Of a terminal without a size it says nothing but an error, and ends with 0 all the same.
            Inside::TellsSize => {
                shell(r#"while size=$(stty size 2>/dev/null); [ -z "$size" ]; do sleep 0.01; done; echo "$size""#)
            }
            Inside::Floods(bytes) => shell(&format!("head -c {bytes} /dev/zero")),
        }
    }

    async fn kill(&self, id: &EngineId) {
        let seen = self.daemon.docker.inspect(id).await.expect("inspect");
        let pid = Pid::from_raw(i32::try_from(seen.pid).expect("a pid")).expect("it runs");
        kill_process(pid, Signal::KILL).expect("kill");
    }
}

#[tokio::test]
async fn passes_the_suite_on_docker() {
    if Daemon::find("passes_the_suite_on_docker").is_none() {
        return;
    }
    let only = std::env::var("CASE").unwrap_or_default();
    for (name, case) in cases().filter(|(name, _)| name.contains(&only)) {
        println!("case {name}");
        let mut daemon = Daemon::new();
        let network = name.contains("networks").then(|| daemon.network(None));
        case(&Real { daemon, network }).await;
    }
}
