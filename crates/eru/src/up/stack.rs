//! The parts of `eru up`, built in order and joined.

use super::{
    docker::Docker,
    folder::{Folder, Machine},
    local,
};
use anyhow::{Context, Result};
use eru_agent::{Agent, AgentOptions};
use eru_client::{Client, ClientOptions};
use eru_controller::{Controller, ControllerOptions, StoreChoice};
use eru_core::{Core, CoreOptions, Listen, StoreClass};
use eru_kv::{Embedded, EmbeddedOptions, Kv};
use eru_runtime::{FakeRegistry, Process, ProcessOptions, Runtime, ShimCommand};
use eru_types::{NodeName, PodName};
use std::{io::ErrorKind, net::SocketAddr, path::Path, sync::Arc, time::Duration};
use tokio::{
    net::TcpListener,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

/// How long an address may stay taken: what an `eru up` that was killed was just starting holds it for a moment longer.
const PORT_FREE_WAIT: Duration = Duration::from_secs(1);
/// The pause between two tries.
const PORT_PAUSE: Duration = Duration::from_millis(20);

/// What is to run, and where.
pub struct Plan {
    /// Where core listens.
    pub core: TcpListener,
    /// The controller's address; port 0 takes a free one.
    pub controller: SocketAddr,
    /// The pod of this machine.
    pub pod: PodName,
    /// This machine as a node.
    pub node: NodeName,
    /// The Docker engine that is a second node.
    pub docker: Option<Docker>,
    /// Whether simulated nodes are accepted.
    pub allow_fake: bool,
}

/// Everything that runs. Nothing is detached: [`Stack::stop`] joins it all.
pub struct Stack {
    /// Core's address.
    pub core: SocketAddr,
    /// The controller's address.
    pub controller: SocketAddr,
    /// A client of this core.
    pub client: Client,
    /// Docker's node, if it was one at the start.
    pub docker: Option<NodeName>,
    kv: Arc<Embedded>,
    process: Arc<Process>,
    parts: JoinSet<(&'static str, Result<()>)>,
    core_stop: CancellationToken,
    others_stop: CancellationToken,
}

impl Stack {
    /// Builds and starts everything on a folder, and registers this machine. Returns when all of it answers.
    ///
    /// # Errors
    /// Names the part that could not be started.
    pub async fn start(folder: &Folder, plan: Plan) -> Result<Self> {
        let kv = open_store(folder.join("store")).await?;
        let process = open_runtime(folder).await?;
        let (core_stop, others_stop) = (CancellationToken::new(), CancellationToken::new());
        let mut parts = JoinSet::new();

        let store: Arc<dyn Kv> = kv.clone();
        let mut options = CoreOptions::new(store, StoreClass::Embedded, Listen::Bound(plan.core));
        let runtime: Arc<dyn Runtime> = process.clone();
        options.process = Some(runtime.clone());
        options.build = crate::version::build();
        options.fakes = plan.allow_fake.then(|| Arc::new(FakeRegistry::new(Some(folder.join("fake")))));
        let core = Core::build(options).await?;
        let core_address = core.address();
        let stop = core_stop.clone();
        parts.spawn(async move { ("core", core.run(stop).await) });

        let client = Client::connect(&[core_address.to_string()], ClientOptions::default())?;
        local::register(&client, &plan.pod, &plan.node).await?;
        // Not before: what core refused would stand in the way of each later `eru up` and `eru down`.
        folder.remember(&Machine { pod: plan.pod, node: plan.node.clone() })?;

        let agent = Agent::build(AgentOptions::new(plan.node.clone(), client.clone(), runtime));
        let stop = others_stop.clone();
        parts.spawn(async move { ("agent", agent.run(stop).await.map_err(anyhow::Error::from)) });

        let look = plan.docker.map(|docker| {
            let (part, look) = docker.start(client.clone(), others_stop.clone());
            parts.spawn(async move { ("docker", part.await) });
            look
        });

        let controller = Controller::build(ControllerOptions {
            core: vec![core_address.to_string()],
            client: ClientOptions::default(),
            listen: plan.controller,
            store: StoreChoice::Folder(folder.join("controller")),
            identity: plan.node.to_string(),
        })
        .await
        .with_context(|| format!("cannot start the controller on {}", plan.controller))?;
        let leader = controller.handle();
        let stop = others_stop.clone();
        parts.spawn(async move { ("controller", controller.run(stop).await.map_err(anyhow::Error::from)) });

        // It leads as soon as it has read its folder; before that it refuses specs.
        leader.leading().await;
        let docker = match look {
            Some(look) => look.node().await,
            None => None,
        };
        Ok(Self {
            core: core_address,
            controller: leader.address(),
            client,
            docker,
            kv,
            process,
            parts,
            core_stop,
            others_stop,
        })
    }

    /// Waits for a part that ends by itself, which none should.
    ///
    /// # Errors
    /// Always: which part it was, and why.
    pub async fn failed(&mut self) -> Result<()> {
        match self.parts.join_next().await {
            Some(Ok((part, Ok(())))) => anyhow::bail!("{part} ended by itself"),
            Some(Ok((part, Err(error)))) => Err(error.context(format!("{part} failed"))),
            Some(Err(panic)) => Err(anyhow::Error::from(panic).context("a part failed")),
            None => anyhow::bail!("nothing runs"),
        }
    }

    /// Ends everything in order: those who call core first, then core, then the store. Workloads go on.
    ///
    /// # Errors
    /// When the store cannot be closed cleanly.
    pub async fn stop(mut self) -> Result<()> {
        self.others_stop.cancel();
        let mut core_runs = true;
        while let Some(joined) = self.parts.join_next().await {
            match joined {
                Ok((part, Err(error))) => tracing::error!(part, error = format!("{error:#}"), "ended badly"),
                Ok(("core", Ok(()))) => core_runs = false,
                Ok((_, Ok(()))) => {}
                Err(error) => tracing::error!(%error, "a part panicked"),
            }
            if core_runs && self.parts.len() == 1 {
                self.core_stop.cancel();
            }
        }
        self.process.close().await;
        self.kv.close().await?;
        Ok(())
    }
}

/// Takes core's address.
///
/// # Errors
/// When it cannot be had.
pub async fn bind(address: SocketAddr) -> Result<TcpListener> {
    let until = Instant::now() + PORT_FREE_WAIT;
    loop {
        match TcpListener::bind(address).await {
            Err(error) if error.kind() == ErrorKind::AddrInUse && Instant::now() < until => sleep(PORT_PAUSE).await,
            bound => {
                return bound.with_context(|| {
                    format!("cannot listen on {address}: is another core running? Choose another address with --listen")
                });
            }
        }
    }
}

async fn open_store(folder: std::path::PathBuf) -> Result<Arc<Embedded>> {
    let opened = tokio::task::spawn_blocking(move || Embedded::open(&folder, EmbeddedOptions::default()));
    Ok(opened.await.context("the store's opener panicked")??)
}

async fn open_runtime(folder: &Folder) -> Result<Arc<Process>> {
    let program = std::env::current_exe().context("cannot tell where this binary is")?;
    let shim = ShimCommand { program, args: vec![crate::program::SHIM_WORD.into()] };
    let mut options = ProcessOptions::new(folder.join("runtime"), shim);
    options.path_prefix = Some(folder.join("bin"));
    Process::open(options).await.with_context(|| format!("cannot open {}", display(&folder.join("runtime"))))
}

fn display(path: &Path) -> std::path::Display<'_> {
    path.display()
}
