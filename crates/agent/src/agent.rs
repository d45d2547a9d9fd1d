//! The whole agent: its rooms, joined.

use crate::{
    AgentOptions,
    http::{self, Pages},
    observe::Observer,
    report::Reporter,
    session::{Ended, Session},
    subject::Owner,
    vitals::Vitals,
    worker::Workshop,
};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio_util::sync::CancellationToken;

/// Why an agent stopped by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another agent registered for the node.
    #[error("node {nodename}: another agent has registered for it; stop one of the two")]
    Superseded {
        /// The node.
        nodename: String,
    },
    /// Nobody listens at the socket of the engine any more.
    #[error(
        "the engine's socket {path:?} has been gone for {patience_s} s ({cause}): ending, so that the restart of this \
         container mounts the new one"
    )]
    EngineSocketGone {
        /// The socket.
        path: PathBuf,
        /// How long it was waited for.
        patience_s: u64,
        /// What the system says.
        cause: String,
    },
}

/// The agent of a node.
pub struct Agent {
    options: AgentOptions,
    session: Session,
    observer: Observer,
    reporter: Arc<Reporter>,
    handle: Handle,
}

/// What can be asked of and told to an agent that runs.
#[derive(Clone)]
pub struct Handle {
    vitals: Arc<Vitals>,
    is_silent: Arc<AtomicBool>,
}

impl Handle {
    /// How the agent is.
    pub fn vitals(&self) -> &Vitals {
        &self.vitals
    }

    /// The agent will end without a good-bye: its lease runs out as if it had been killed.
    pub fn end_silently(&self) {
        self.is_silent.store(true, Ordering::SeqCst);
    }
}

impl Agent {
    /// Puts an agent together; nothing happens before [`Agent::run`].
    pub fn build(options: AgentOptions) -> Self {
        let vitals = Arc::new(Vitals::new());
        let owner = Arc::new(Owner::new(options.nodename.clone(), options.only_mine));
        let reporter = Arc::new(Reporter::new(&options, vitals.clone()));
        let workshop = Arc::new(Workshop::new(&options, owner.clone(), reporter.clone(), vitals.clone()));
        Self {
            session: Session::new(&options, owner, reporter.clone(), vitals.clone()),
            observer: Observer::new(workshop, options.list_interval),
            reporter,
            handle: Handle { vitals, is_silent: Arc::default() },
            options,
        }
    }

    /// To ask it and tell it things while it runs.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Watches, probes, reports, beats and answers until `shutdown`, then says good-bye to core. Workloads are not touched.
    ///
    /// # Errors
    /// [`Error`]. That core or the runtime is away is no error: both are asked again for ever; only in a container, where
    /// an engine that starts again cannot be reached without a restart of ours, a socket that is gone is one.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Self { options, session, observer, reporter, handle } = self;
        let stop = shutdown.child_token();
        // The other rooms end with the first that ends, whatever ended it.
        let beats = async {
            let ended = session.run(&stop).await;
            stop.cancel();
            ended
        };
        let socket = async {
            let gone = stop.run_until_cancelled(socket_gone(&options)).await;
            stop.cancel();
            gone
        };
        let pages = pages(&options, reporter.clone(), handle.vitals.clone());
        let (ended, gone, (), (), ()) = tokio::join!(
            beats,
            socket,
            observer.run(session.registrations(), &stop),
            reporter.run(session.registrations(), &stop),
            async { stop.run_until_cancelled(answers(&options, pages)).await.unwrap_or_default() },
        );
        if let Some(gone) = gone {
            // No good-bye: the runtime does not answer us, and a lease would say that it does.
            return Err(gone);
        }
        match ended {
            Ended::Superseded => Err(Error::Superseded { nodename: session.nodename().to_string() }),
            Ended::Shutdown => {
                if !handle.is_silent.load(Ordering::SeqCst) {
                    session.leave().await;
                }
                Ok(())
            }
        }
    }
}

/// Answers whoever asks, if anybody is to be answered.
async fn answers(options: &AgentOptions, pages: Arc<Pages>) {
    match options.api {
        Some(address) => http::serve(address, pages).await,
        None => std::future::pending().await,
    }
}

/// Returns when the socket of the engine is gone for too long, where that matters.
async fn socket_gone(options: &AgentOptions) -> Error {
    let Some(socket) = &options.engine_socket else { return std::future::pending().await };
    let cause = socket.gone().await;
    Error::EngineSocketGone { path: socket.path.clone(), patience_s: socket.patience.as_secs(), cause }
}

fn pages(options: &AgentOptions, reporter: Arc<Reporter>, vitals: Arc<Vitals>) -> Arc<Pages> {
    Arc::new(Pages {
        vitals,
        reporter,
        nodename: options.nodename.to_string(),
        version: options.version.clone(),
        runtime: options.runtime.kind().as_str(),
    })
}
