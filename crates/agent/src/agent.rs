//! The whole agent: its rooms, joined.

use crate::{
    AgentOptions,
    observe::Observer,
    report::Reporter,
    session::{Ended, Session},
    worker::Workshop,
};
use std::sync::Arc;
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
}

/// The agent of a node.
pub struct Agent {
    session: Session,
    observer: Observer,
    reporter: Arc<Reporter>,
}

impl Agent {
    /// Puts an agent together; nothing happens before [`Agent::run`].
    pub fn build(options: AgentOptions) -> Self {
        let reporter = Arc::new(Reporter::new(&options));
        let workshop = Arc::new(Workshop::new(&options, reporter.clone()));
        Self {
            session: Session::new(&options, reporter.clone()),
            observer: Observer::new(workshop, options.list_interval),
            reporter,
        }
    }

    /// Watches, probes, reports and beats until `shutdown`, then says good-bye to core. Workloads are not touched.
    ///
    /// # Errors
    /// [`Error::Superseded`]. That core or the runtime is away is no error: both are asked again for ever.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), Error> {
        let Self { session, observer, reporter } = self;
        let stop = shutdown.child_token();
        let beats = async {
            let ended = session.run(&stop).await;
            // The other rooms end with the session, whatever ended it.
            stop.cancel();
            ended
        };
        let (ended, (), ()) = tokio::join!(beats, observer.run(&stop), reporter.run(session.registrations(), &stop));
        match ended {
            Ended::Superseded => Err(Error::Superseded { nodename: session.nodename().to_string() }),
            Ended::Shutdown => {
                session.leave().await;
                Ok(())
            }
        }
    }
}
