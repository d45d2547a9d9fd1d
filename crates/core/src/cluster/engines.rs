//! The engines that this core reaches, by the endpoints of the nodes.
//!
//! # Invariants
//! - One engine per endpoint, opened once; calls to it are bounded by [`Engine::slot`].
//! - `process://` and `fake://` belong to the process that holds that runtime; nothing else answers for them.

use super::error::{Error, Result};
use eru_runtime::{Error as RuntimeError, FakeOptions, FakeRegistry, Runtime, RuntimeKind};
use eru_types::name::excerpt;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The scheme of the plain commands of this machine.
pub const PROCESS_SCHEME: &str = "process://";

/// One engine, and the right to call it.
#[derive(Clone)]
pub struct Engine {
    /// The runtime.
    pub runtime: Arc<dyn Runtime>,
    /// Whether its answers prove that the machine lives; `None` = they always do.
    fake: Option<Arc<eru_runtime::Fake>>,
    slots: Arc<Semaphore>,
}

impl Engine {
    /// Waits for the right to make one call that changes something. Hold it for the call only.
    pub async fn slot(&self) -> OwnedSemaphorePermit {
        self.slots.clone().acquire_owned().await.expect("the slots of an engine are never closed")
    }

    /// Whether the machine shows a sign of life within `patience`, although its agent is silent.
    pub async fn vouches(&self, patience: Duration) -> bool {
        if self.fake.as_ref().is_some_and(|fake| !fake.answers_when_silent()) {
            return false;
        }
        matches!(tokio::time::timeout(patience, self.runtime.ping()).await, Ok(Ok(())))
    }
}

/// Who holds the engine of an endpoint.
enum Reach<'a> {
    Process(&'a Arc<dyn Runtime>),
    Fake(&'a FakeRegistry),
}

/// The engines that this core reaches.
pub struct Engines {
    process: Option<Arc<dyn Runtime>>,
    fakes: Option<Arc<FakeRegistry>>,
    max_concurrency: usize,
    open: Mutex<HashMap<String, Engine>>,
}

impl Engines {
    /// With the runtimes that this process holds. `max_concurrency` bounds the calls at a time to one engine.
    pub fn new(process: Option<Arc<dyn Runtime>>, fakes: Option<Arc<FakeRegistry>>, max_concurrency: usize) -> Self {
        Self { process, fakes, max_concurrency: max_concurrency.max(1), open: Mutex::default() }
    }

    /// The engine behind an endpoint.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a scheme that nobody knows, [`Error::Unimplemented`] for one that this core cannot reach;
    /// both say which it can.
    pub fn open(&self, endpoint: &str) -> Result<Engine> {
        let mut open = self.open.lock();
        if let Some(engine) = open.get(endpoint) {
            return Ok(engine.clone());
        }
        let engine = self.connect(endpoint)?;
        // An endpoint with other options is the same engine: asked for by its former spelling it must take those again.
        open.retain(|_, other| !Arc::ptr_eq(&other.runtime, &engine.runtime));
        open.insert(endpoint.to_owned(), engine.clone());
        Ok(engine)
    }

    /// Forgets an endpoint that no node has any more.
    pub fn forget(&self, endpoint: &str) {
        self.open.lock().remove(endpoint);
    }

    /// How many are open.
    pub fn open_len(&self) -> usize {
        self.open.lock().len()
    }

    /// What [`Engines::open`] accepts, in words.
    pub fn reachable(&self) -> String {
        let mut schemes = Vec::new();
        if self.process.is_some() {
            schemes.push(PROCESS_SCHEME.to_owned());
        }
        if self.fakes.is_some() {
            schemes.push(format!("{}NAME", FakeOptions::SCHEME));
        }
        if schemes.is_empty() { "no endpoints at all".to_owned() } else { schemes.join(" and ") }
    }

    /// The kind of the engine behind an endpoint. Nothing is opened: no engine is made and none takes other options.
    ///
    /// # Errors
    /// As [`Engines::open`].
    pub fn kind(&self, endpoint: &str) -> Result<RuntimeKind> {
        match self.reach(endpoint)? {
            Reach::Process(process) => Ok(process.kind()),
            Reach::Fake(_) => match FakeOptions::parse(endpoint) {
                Ok(_) => Ok(RuntimeKind::Fake),
                Err(error) => Err(RuntimeError::Invalid(error.to_string()).into()),
            },
        }
    }

    fn connect(&self, endpoint: &str) -> Result<Engine> {
        match self.reach(endpoint)? {
            Reach::Process(process) => Ok(self.engine(process.clone(), None)),
            Reach::Fake(fakes) => {
                let fake = fakes.open(endpoint)?;
                Ok(self.engine(fake.clone(), Some(fake)))
            }
        }
    }

    fn reach(&self, endpoint: &str) -> Result<Reach<'_>> {
        let Some((scheme, _)) = endpoint.split_once("://") else {
            let text = format!(
                "endpoint must be SCHEME://ADDRESS, got \"{}\"; this core reaches {}",
                excerpt(endpoint),
                self.reachable()
            );
            return Err(Error::Invalid(text));
        };
        match (scheme, &self.process, &self.fakes) {
            ("process", Some(process), _) => Ok(Reach::Process(process)),
            ("fake", _, Some(fakes)) => Ok(Reach::Fake(fakes)),
            ("process", None, _) => Err(Error::Precondition(format!(
                "endpoint \"{}\": this core does not run plain commands; `eru up` does. It reaches {}",
                excerpt(endpoint),
                self.reachable()
            ))),
            ("fake", _, None) => Err(Error::Precondition(format!(
                "endpoint \"{}\": simulated engines need `allow_fake: true` in the core's configuration. It reaches {}",
                excerpt(endpoint),
                self.reachable()
            ))),
            ("unix" | "tcp" | "agent" | "virt-grpc", _, _) => Err(Error::Unimplemented(format!(
                "this core cannot reach {scheme}:// endpoints in this version; it reaches {}",
                self.reachable()
            ))),
            _ => Err(Error::Invalid(format!(
                "endpoint: scheme \"{}\" is not known; this core reaches {}",
                excerpt(scheme),
                self.reachable()
            ))),
        }
    }

    fn engine(&self, runtime: Arc<dyn Runtime>, fake: Option<Arc<eru_runtime::Fake>>) -> Engine {
        Engine { runtime, fake, slots: Arc::new(Semaphore::new(self.max_concurrency)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn endpoints_are_opened_once_and_others_are_refused_with_what_is_reachable() {
        let engines = Engines::new(None, Some(Arc::new(FakeRegistry::new(None))), 2);
        let (a, b) = (engines.open("fake://n1").unwrap(), engines.open("fake://n1").unwrap());
        assert!(Arc::ptr_eq(&a.runtime, &b.runtime));
        let down = engines.open("fake://n1?down=1").unwrap();
        assert!(down.runtime.ping().await.is_err());
        assert!(engines.open("fake://n1").unwrap().runtime.ping().await.is_ok(), "the former options are back");
        assert!(!a.vouches(Duration::from_secs(1)).await, "a simulated machine that is silent is dead");
        let stays = engines.open("fake://n1?engine=stays").unwrap();
        assert!(stays.vouches(Duration::from_secs(1)).await);
        for (endpoint, part) in [
            (
                "unix:///var/run/docker.sock",
                "this core cannot reach unix:// endpoints in this version; it reaches fake://",
            ),
            ("tcp://1.2.3.4:2376", "tcp://"),
            ("process://", "`eru up` does"),
            ("file:///x", "scheme \"file\" is not known"),
            ("nonsense", "must be SCHEME://ADDRESS, got \"nonsense\""),
            ("", "must be SCHEME://ADDRESS"),
            ("fake://..", "node name must be"),
        ] {
            let Err(error) = engines.open(endpoint) else { panic!("{endpoint} was opened") };
            assert!(error.to_string().contains(part), "{error}");
        }
        let none = Engines::new(None, None, 0).open("fake://n1").err().unwrap().to_string();
        assert!(none.contains("allow_fake"), "{none}");
    }
}
