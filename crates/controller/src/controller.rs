//! The component: options -> build -> run.

use crate::clock::Clock;
use crate::leader::{self, Term};
use crate::observe::Observer;
use crate::sets::{self, Sets};
use crate::store::Store;
use crate::{ControllerOptions, Error, Leadership, StoreChoice, serve};
use eru_client::Client;
use eru_kv::{Embedded, EmbeddedOptions, Kv};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// Wait before the next term after the store failed.
const PAUSE: Duration = Duration::from_secs(1);

/// A controller that is ready to run: its address is taken, its store is open.
pub struct Controller {
    client: Client,
    listener: TcpListener,
    address: SocketAddr,
    kv: Arc<dyn Kv>,
    /// The store is ours, so we close it.
    owns_kv: bool,
    leadership: Leadership,
    identity: String,
    sets: Sets,
    task: sets::Task,
}

/// What others may know of a controller. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    address: SocketAddr,
    sets: Sets,
}

impl Handle {
    /// Where its API listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until it leads and takes commands.
    pub async fn leading(&self) {
        self.sets.leading().await;
    }
}

impl Controller {
    /// Opens the store and takes the address. Nothing is decided before [`Controller::run`].
    ///
    /// # Errors
    /// A store that cannot be opened, an address that cannot be had, a core's address that is malformed.
    pub async fn build(options: ControllerOptions) -> Result<Self, Error> {
        let client = Client::connect(&options.core, options.client.clone())?;
        let (kv, owns_kv, leadership): (Arc<dyn Kv>, bool, Leadership) = match &options.store {
            StoreChoice::Kv { kv, leadership } => (kv.clone(), false, *leadership),
            StoreChoice::Folder(folder) => {
                let folder = folder.clone();
                let open = move || Embedded::open(&folder, EmbeddedOptions::default());
                let kv = tokio::task::spawn_blocking(open).await.expect("opening a store does not panic")?;
                (kv, true, Leadership::Alone)
            }
        };
        let (listener, address) = serve::listen(&options).await?;
        let (sets, task) = Sets::new();
        Ok(Self { client, listener, address, kv, owns_kv, leadership, identity: options.identity, sets, task })
    }

    /// What others may know of it.
    pub fn handle(&self) -> Handle {
        Handle { address: self.address, sets: self.sets.clone() }
    }

    /// Serves its API, and keeps its sets alive whenever it leads, until shutdown.
    ///
    /// # Errors
    /// What a retry does not cure: a damaged store, a listener that fails.
    pub async fn run(mut self, shutdown: CancellationToken) -> Result<(), Error> {
        let stop = shutdown.child_token();
        let listener = self.listener;
        let server = serve::serve(listener, self.address, self.sets.clone(), stop.clone());
        let life = Life {
            client: self.client,
            kv: self.kv.clone(),
            leadership: self.leadership,
            identity: self.identity,
            shutdown: stop.clone(),
        };
        let both = async {
            let lead = async {
                let result = life.lead_for_ever(&mut self.task).await;
                stop.cancel();
                // The server waits for those who wait for us.
                self.task.close().await;
                result
            };
            let serve = async {
                let result = server.await;
                stop.cancel();
                result
            };
            let (led, served) = tokio::join!(lead, serve);
            led.and(served)
        };
        let result = both.await;
        if self.owns_kv {
            self.kv.close().await?;
        }
        result
    }
}

struct Life {
    client: Client,
    kv: Arc<dyn Kv>,
    leadership: Leadership,
    identity: String,
    shutdown: CancellationToken,
}

impl Life {
    /// Campaigns and leads, over and over. The eyes stay open in between, so that a takeover finds them seeing.
    async fn lead_for_ever(&self, task: &mut sets::Task) -> Result<(), Error> {
        let clock = Clock::start();
        let observer = Observer::start(self.client.clone(), clock, self.shutdown.clone());
        let terms = async {
            let result = self.terms(task, &observer, clock).await;
            self.shutdown.cancel();
            result
        };
        tokio::join!(terms, observer.run(self.client.clone(), self.shutdown.clone())).0
    }

    async fn terms(&self, task: &mut sets::Task, observer: &Observer, clock: Clock) -> Result<(), Error> {
        loop {
            let campaign = leader::campaign(&self.kv, self.leadership, &self.identity, &self.shutdown);
            let Some(term) = task.refuse_while(campaign).await? else { return Ok(()) };
            tracing::info!(epoch = term.epoch, "the controller leads");
            let led = self.lead(task, &term, observer, clock).await;
            leader::resign(&self.kv, &term).await;
            match led {
                Ok(()) if self.shutdown.is_cancelled() => return Ok(()),
                Ok(()) | Err(Error::Deposed) => tracing::warn!(epoch = term.epoch, "the controller leads no more"),
                Err(error) if error.is_curable() => {
                    tracing::warn!(
                        epoch = term.epoch,
                        error = &error as &dyn std::error::Error,
                        "the controller's term ended early"
                    );
                    self.shutdown.run_until_cancelled(tokio::time::sleep(PAUSE)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn lead(&self, task: &mut sets::Task, term: &Term, observer: &Observer, clock: Clock) -> Result<(), Error> {
        let over = self.shutdown.child_token();
        let shared = sets::Term {
            store: Store::new(self.kv.clone(), term.fence.clone()),
            epoch: term.epoch,
            client: self.client.clone(),
            observer: observer.clone(),
            clock,
        };
        let keep = async {
            over.run_until_cancelled(leader::keep(&self.kv, term)).await;
            over.cancel();
        };
        let lead = async {
            let result = task.lead(&shared, over.clone()).await;
            over.cancel();
            result
        };
        tokio::join!(lead, keep).0
    }
}
