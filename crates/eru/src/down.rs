//! `eru down`: removes everything that `eru up` runs on this machine.

use crate::up::{
    self, connect,
    folder::{self, Folder, Running},
    stack::{Plan, Stack, bind},
};
use anyhow::{Context, Result, bail};
use clap::Parser;
use eru_api::{controller, pb};
use eru_client::{Client, ClientOptions};
use futures::TryStreamExt;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    ffi::OsString,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

/// How long a running `eru up` may take to end.
const END_DEADLINE: Duration = Duration::from_secs(20);

/// Removes every ReplicaSet and every workload of this machine's `eru up`, and ends it when it runs.
///
/// The pod, the node and the logs of `eru up` itself stay in the data folder.
#[derive(Debug, Parser)]
#[command(name = "eru down", bin_name = "eru down", version, after_help = "Example:\n  eru down")]
struct Options {
    /// The folder that `eru up` was given [default: /var/lib/eru for root, else ~/.local/share/eru]
    #[arg(long, value_name = "DIR", env = "ERU_DATA_DIR")]
    data_dir: Option<PathBuf>,
}

/// Runs `eru down`.
pub fn main(args: Vec<OsString>) -> ExitCode {
    match crate::arguments::parse("eru down", args) {
        Ok(options) => {
            crate::logging::to_stderr(Some("warn"));
            up::finish("eru down", run(options))
        }
        Err(code) => code,
    }
}

async fn run(options: Options) -> Result<()> {
    let path = options.data_dir.map_or_else(folder::default_path, Ok)?;
    if !path.join("store").exists() {
        println!("Nothing to remove: {} has never been used by eru up.", path.display());
        return Ok(());
    }
    if let Some(running) = folder::running(&path)? {
        remove_all(&running.core, &running.controller).await?;
        return end(&path, &running).await;
    }
    let machine = up::machine(&path, None, None)?;
    let folder = Folder::open(path)?;
    let loopback: SocketAddr = ([127, 0, 0, 1], 0).into();
    let plan = Plan {
        core: bind(loopback).await?,
        controller: loopback,
        pod: machine.pod,
        node: machine.node,
        // Removing needs core alone, which reaches the engine by its node's endpoint.
        docker: None,
        allow_fake: true,
    };
    let stack = Stack::start(&folder, plan).await?;
    let removed = remove_all(&stack.core.to_string(), &stack.controller.to_string()).await;
    stack.stop().await?;
    removed
}

/// Sets first, so that nothing is brought back.
async fn remove_all(core: &str, controller: &str) -> Result<()> {
    let mut sets = connect(controller).await?;
    let names: Vec<String> = sets
        .list(controller::ListRequest {})
        .await?
        .into_inner()
        .sets
        .into_iter()
        .filter_map(|set| set.spec.map(|spec| spec.name))
        .collect();
    for name in &names {
        let request = controller::RemoveRequest { name: name.clone(), keep_workloads: false };
        sets.remove(request).await.with_context(|| format!("cannot remove replicaset {name}"))?;
        println!("removed replicaset {name}");
    }
    let client = Client::connect(&[core], ClientOptions::default())?;
    let all: Vec<pb::Workload> =
        client.core().list_workloads(pb::ListWorkloadsOptions::default()).await?.into_inner().try_collect().await?;
    if all.is_empty() {
        if names.is_empty() {
            println!("nothing runs");
        }
        return Ok(());
    }
    let ids = all.iter().map(|workload| workload.id.clone()).collect();
    let options = pb::RemoveWorkloadOptions { ids, force: true, ..pb::RemoveWorkloadOptions::default() };
    let answers: Vec<_> = client.core().remove_workload(options).await?.into_inner().try_collect().await?;
    let mut failed = 0;
    for answer in &answers {
        if answer.success {
            println!("removed workload {}", answer.id);
        } else {
            failed += 1;
            eprintln!("cannot remove workload {}: {}", answer.id, answer.error);
        }
    }
    if failed > 0 {
        bail!("{failed} of {} workloads could not be removed", answers.len());
    }
    Ok(())
}

async fn end(path: &Path, running: &Running) -> Result<()> {
    let pid = i32::try_from(running.pid).ok().and_then(Pid::from_raw).context("up.json has no process id")?;
    kill_process(pid, Signal::TERM).with_context(|| format!("cannot end eru up, process {}", running.pid))?;
    let begin = Instant::now();
    while folder::lock_is_held(path)? {
        if begin.elapsed() > END_DEADLINE {
            bail!("eru up, process {}, did not end in {} s", running.pid, END_DEADLINE.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!("eru up has ended");
    Ok(())
}
