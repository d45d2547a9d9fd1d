//! `cargo xtask bench [NAME..]`: the figures of README, measured here and now.

use anyhow::{Result, bail};
use clap::Parser;
use eru_benches::{
    cluster::Store,
    deploy,
    docker::{self, size::Size},
    fanout, idle, kill, list, reports, scheduler, stalled, up,
};
use std::path::PathBuf;

const NAMES: [&str; 13] = [
    "up",
    "kill",
    "reports",
    "fanout",
    "stalled",
    "idle",
    "deploy",
    "list",
    "scheduler",
    "docker",
    "docker-agent",
    "docker-exec",
    "docker-output",
];

/// Measures and prints tables. Build the binary in release first.
#[derive(Parser)]
struct Options {
    /// Which benchmarks; all without a name: up, kill, reports, fanout, stalled, idle, deploy, list, scheduler;
    /// and on a Docker engine docker, docker-agent, docker-exec, docker-output.
    names: Vec<String>,
    /// The `eru` binary to measure [default: the release build beside this one]
    #[arg(long)]
    binary: Option<PathBuf>,
    /// Measure the store figures on etcd as well.
    #[arg(long)]
    etcd: bool,
    /// Few rounds of the Docker figures: to see that they can be measured, not to quote them.
    #[arg(long)]
    quick: bool,
}

#[tokio::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    if let Some(name) = options.names.iter().find(|name| !NAMES.contains(&name.as_str())) {
        bail!("unknown benchmark {name:?} ({})", NAMES.join(", "));
    }
    let binary = match options.binary {
        Some(binary) => binary,
        None => std::env::current_exe()?.with_file_name("eru"),
    };
    let wanted = |name: &str| options.names.is_empty() || options.names.iter().any(|n| n == name);
    let stores: &[Store] = if options.etcd { &[Store::Embedded, Store::Etcd] } else { &[Store::Embedded] };

    if wanted("up") {
        up::run(&binary).await?;
    }
    if wanted("kill") {
        kill::run(&binary).await?;
    }
    for store in stores {
        if wanted("reports") {
            reports::run(&binary, *store).await?;
        }
        if wanted("deploy") {
            deploy::run(&binary, *store).await?;
        }
        if wanted("list") {
            list::run(&binary, *store).await?;
        }
    }
    if wanted("scheduler") {
        scheduler::run(stores).await?;
    }
    if wanted("fanout") {
        fanout::run(&binary).await?;
    }
    if wanted("stalled") {
        stalled::run(&binary).await?;
    }
    if wanted("idle") {
        idle::run(&binary).await?;
    }
    let size = if options.quick { Size::QUICK } else { Size::FULL };
    if wanted("docker") {
        docker::kill::run(&binary, size).await?;
    }
    if wanted("docker-agent") {
        docker::agent::run(&binary, size).await?;
    }
    if wanted("docker-exec") {
        docker::exec::run(&binary, size).await?;
    }
    if wanted("docker-output") {
        docker::output::run(&binary, size).await?;
    }
    Ok(())
}
