//! `eru up`: everything on this machine in one process.

pub mod docker;
pub mod folder;
mod local;
mod options;
pub mod stack;
mod view;

use crate::{
    arguments::{self, EXIT_USAGE},
    logging,
};
use anyhow::{Context, Result};
use docker::Docker;
use eru_api::controller::{self, controller_client::ControllerClient};
use eru_types::{NodeName, PodName};
use folder::{Folder, Machine, Running};
use options::Options;
use std::{
    ffi::OsString,
    io::IsTerminal,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Instant,
};
use tokio::signal::unix::{SignalKind, signal};
use tonic::transport::Channel;

/// The pod of a machine that was not told another.
const POD: &str = "local";

/// Runs `eru up`.
pub fn main(args: Vec<OsString>) -> ExitCode {
    let begin = Instant::now();
    let options: Options = match arguments::parse("eru up", args) {
        Ok(options) => options,
        Err(code) => return code,
    };
    let checked = match Checked::of(&options) {
        Ok(checked) => checked,
        Err(error) => {
            eprintln!("eru up: {error:#}");
            return ExitCode::from(EXIT_USAGE);
        }
    };
    finish("eru up", run(options, checked, begin))
}

/// Runs a daemon's future to its end and turns it into an exit code; an error is printed once, with its causes.
pub fn finish(name: &str, future: impl Future<Output = Result<()>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("{name}: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(future) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What the arguments mean, checked before anything is touched.
struct Checked {
    path: PathBuf,
    machine: Machine,
    sets: Vec<controller::ReplicaSetSpec>,
}

impl Checked {
    fn of(options: &Options) -> Result<Self> {
        let pod = options.pod.as_deref().map(PodName::new).transpose().context("--pod")?;
        let node = options.node.as_deref().map(NodeName::new).transpose().context("--node")?;
        let path = options.data_dir.clone().map_or_else(folder::default_path, Ok)?;
        let machine = machine(&path, pod, node)?;
        // A set that names no pod goes where the machine is.
        let defaults = eru_cli::ApplyDefaults { podname: machine.pod.to_string() };
        let sets = options.specs.iter().map(|path| set_of(path, &defaults)).collect::<Result<_>>()?;
        Ok(Self { path, machine, sets })
    }
}

/// Reads one spec; what looks wrong in it is printed, what is wrong ends us.
fn set_of(path: &Path, defaults: &eru_cli::ApplyDefaults) -> Result<controller::ReplicaSetSpec> {
    let name = path.display().to_string();
    let text = eru_config::layer::read_file(path)
        .map_err(|reason| anyhow::anyhow!("cannot read spec \"{name}\": {reason}"))?;
    let loaded = eru_config::spec::parse(&name, &text)?;
    for warning in &loaded.warnings {
        eprintln!("eru up: {warning}");
    }
    eru_cli::replicaset_spec(&loaded.config, &text, defaults).with_context(|| name)
}

async fn run(options: Options, checked: Checked, begin: Instant) -> Result<()> {
    // Before anything is written: a port that is taken leaves nothing behind.
    let listener = stack::bind(options.listen).await?;
    let folder = Folder::open(checked.path)?;
    let table = std::io::stdout().is_terminal() && !options.plain;
    if table {
        logging::to_file(&folder.join("eru.log")).context("cannot write eru.log")?;
    } else {
        logging::to_stderr(None);
    }
    let mut stopped = Stopped::new()?;
    let machine = checked.machine;
    let docker = Docker::choose(&options.docker, &machine.pod, &machine.node, |name| std::env::var(name).ok())
        .unwrap_or_else(|error| {
            tracing::warn!("Docker is not used: {error:#}");
            None
        });
    let plan = stack::Plan {
        core: listener,
        controller: options.controller_listen,
        pod: machine.pod,
        node: machine.node.clone(),
        docker,
        allow_fake: options.allow_fake,
    };
    let mut stack = stack::Stack::start(&folder, plan).await?;
    let mut controller = connect(&stack.controller.to_string()).await?;
    for spec in checked.sets {
        let name = spec.name.clone();
        let request = controller::ApplyRequest { spec: Some(spec), expect_generation: 0 };
        controller.apply(request).await.map_err(|status| anyhow::anyhow!("replicaset {name}: {}", status.message()))?;
    }
    let (core, ctl) = (stack.core.to_string(), stack.controller.to_string());
    folder.ready(&Running { pid: std::process::id(), core: core.clone(), controller: ctl.clone() })?;
    let ready_ms = begin.elapsed().as_millis();
    let nodes = match &stack.docker {
        Some(docker) => format!("{}, {docker}", machine.node),
        None => machine.node.to_string(),
    };
    tracing::info!(core, controller = ctl, nodes, data_dir = %folder.path().display(), ready_ms, "eru is up");

    let title = format!("eru is up: core {core}, node {nodes}, ready in {ready_ms} ms");
    let view = view::show(table, controller, stack.client.clone(), title);
    let outcome = tokio::select! {
        failed = stack.failed() => failed,
        () = stopped.wait() => Ok(()),
        shown = view => shown,
    };
    folder.not_ready()?;
    let stop = stack.stop();
    tokio::select! {
        closed = stop => closed?,
        () = stopped.wait() => anyhow::bail!("stopped at once; the next start tidies up"),
    }
    if table && outcome.is_ok() {
        println!("\nStopped. Workloads go on running: `eru up` finds them again, `eru down` removes them.");
    }
    outcome
}

/// What this machine is: as it is told, else as it was, else by its host name.
///
/// # Errors
/// Of the folder.
pub fn machine(path: &Path, pod: Option<PodName>, node: Option<NodeName>) -> Result<Machine> {
    let before = folder::machine(path)?;
    Ok(Machine {
        pod: pod.or_else(|| before.as_ref().map(|m| m.pod.clone())).map_or_else(|| PodName::new(POD), Ok)?,
        node: node.or_else(|| before.as_ref().map(|m| m.node.clone())).unwrap_or_else(local::host_node),
    })
}

/// A client of the controller.
///
/// # Errors
/// When it cannot be reached.
pub async fn connect(address: &str) -> Result<ControllerClient<Channel>> {
    ControllerClient::connect(format!("http://{address}"))
        .await
        .with_context(|| format!("cannot reach the controller at {address}"))
}

/// SIGINT, SIGTERM or SIGQUIT.
pub struct Stopped([tokio::signal::unix::Signal; 3]);

impl Stopped {
    /// Listens from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new() -> Result<Self> {
        Ok(Self([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::quit())?]))
    }

    /// Waits for the next one.
    pub async fn wait(&mut self) {
        let [interrupt, terminate, quit] = &mut self.0;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = quit.recv() => {}
        }
    }
}
