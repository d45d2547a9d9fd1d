//! The engines that this core reaches, by the endpoints of the nodes.
//!
//! # Invariants
//! - One engine per endpoint and certificates, opened once; calls to it are bounded by [`Engine::slot`]. A node whose
//!   certificates change has another engine from then on.
//! - `process://` and `fake://` belong to the process that holds that runtime; nothing else answers for them.

use super::error::{Error, Result};
use crate::record::{Certificates, NodeRecord};
use eru_runtime::{
    Docker, DockerOptions, Error as RuntimeError, FakeOptions, FakeRegistry, Runtime, RuntimeKind, TlsMaterial,
};
use eru_types::name::excerpt;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The endpoint of the plain commands of this machine. It has no other: a machine under two names would be counted twice.
pub const PROCESS_ENDPOINT: &str = "process://local";
/// The network of a container that names none, when the configuration says nothing: the machine's own, as in the original.
const NETWORK_MODE: &str = "host";

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

/// Where an engine is, and what it takes to be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address<'a> {
    /// The endpoint, as a node is registered with it.
    pub endpoint: &'a str,
    /// The certificates for it.
    pub tls: Option<&'a Certificates>,
}

impl<'a> From<&'a NodeRecord> for Address<'a> {
    fn from(node: &'a NodeRecord) -> Self {
        Self { endpoint: &node.endpoint, tls: node.tls.as_ref() }
    }
}

/// An endpoint that needs no certificates.
impl<'a> From<&'a str> for Address<'a> {
    fn from(endpoint: &'a str) -> Self {
        Self { endpoint, tls: None }
    }
}

/// Who holds the engine of an endpoint.
enum Reach<'a> {
    Process(&'a Arc<dyn Runtime>),
    Fake(&'a FakeRegistry),
    Docker,
}

/// An engine that is open.
struct Opened {
    tls: Option<Certificates>,
    engine: Engine,
}

/// The engines that this core reaches.
pub struct Engines {
    process: Option<Arc<dyn Runtime>>,
    fakes: Option<Arc<FakeRegistry>>,
    /// The network of a container that names none.
    network_mode: String,
    max_concurrency: usize,
    open: Mutex<HashMap<String, Vec<Opened>>>,
}

impl Engines {
    /// With the runtimes that this process holds. `max_concurrency` bounds the calls at a time to one engine.
    pub fn new(process: Option<Arc<dyn Runtime>>, fakes: Option<Arc<FakeRegistry>>, max_concurrency: usize) -> Self {
        let max_concurrency = max_concurrency.max(1);
        Self { process, fakes, network_mode: NETWORK_MODE.to_owned(), max_concurrency, open: Mutex::default() }
    }

    /// With the network of containers that name none.
    #[must_use]
    pub fn with_network_mode(self, network_mode: impl Into<String>) -> Self {
        Self { network_mode: network_mode.into(), ..self }
    }

    /// The engine at an address: of a node, or of an endpoint without certificates.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a scheme that nobody knows, [`Error::Unimplemented`] for one that this core cannot reach;
    /// both say which it can. For certificates that are none.
    pub fn open<'a>(&self, at: impl Into<Address<'a>>) -> Result<Engine> {
        let Address { endpoint, tls } = at.into();
        let mut open = self.open.lock();
        let known = open.get(endpoint).and_then(|all| all.iter().find(|opened| opened.tls.as_ref() == tls));
        if let Some(opened) = known {
            return Ok(opened.engine.clone());
        }
        let engine = self.connect(endpoint, tls)?;
        // An endpoint with other options is the same engine: asked for by its former spelling it must take those again.
        open.retain(|_, all| {
            all.retain(|other| !Arc::ptr_eq(&other.engine.runtime, &engine.runtime));
            !all.is_empty()
        });
        open.entry(endpoint.to_owned()).or_default().push(Opened { tls: tls.cloned(), engine: engine.clone() });
        Ok(engine)
    }

    /// Forgets the engine at an address that no node has any more.
    pub fn forget<'a>(&self, at: impl Into<Address<'a>>) {
        let Address { endpoint, tls } = at.into();
        let mut open = self.open.lock();
        if let Some(all) = open.get_mut(endpoint) {
            all.retain(|opened| opened.tls.as_ref() != tls);
            if all.is_empty() {
                open.remove(endpoint);
            }
        }
    }

    /// Forgets the engines that no node has: other cores change and remove nodes too.
    pub fn keep(&self, is_had: impl Fn(Address<'_>) -> bool) {
        self.open.lock().retain(|endpoint, all| {
            all.retain(|opened| is_had(Address { endpoint, tls: opened.tls.as_ref() }));
            !all.is_empty()
        });
    }

    /// How many are open.
    pub fn open_len(&self) -> usize {
        self.open.lock().values().map(Vec::len).sum()
    }

    /// What [`Engines::open`] accepts, in words.
    pub fn reachable(&self) -> String {
        let mut schemes = vec!["unix:///PATH".to_owned(), "tcp://HOST:PORT".to_owned()];
        if self.process.is_some() {
            schemes.push(PROCESS_ENDPOINT.to_owned());
        }
        if self.fakes.is_some() {
            schemes.push(format!("{}NAME", FakeOptions::SCHEME));
        }
        let last = schemes.pop().expect("Docker is always there");
        format!("{} and {last}", schemes.join(", "))
    }

    /// The kind of the engine at an address, whose certificates are proven as far as that goes without asking it. Nothing is
    /// opened: no engine is made and none takes other options.
    ///
    /// # Errors
    /// As [`Engines::open`].
    pub fn kind<'a>(&self, at: impl Into<Address<'a>>) -> Result<RuntimeKind> {
        let Address { endpoint, tls } = at.into();
        match self.reach(endpoint)? {
            Reach::Docker => Ok(self.docker(endpoint, tls)?.kind()),
            Reach::Process(process) => Ok(process.kind()),
            Reach::Fake(_) => match FakeOptions::parse(endpoint) {
                Ok(_) => Ok(RuntimeKind::Fake),
                Err(error) => Err(RuntimeError::Invalid(error.to_string()).into()),
            },
        }
    }

    /// The engine at an address when it is outside of this process, which is to be asked whether it is there. Nothing is
    /// opened: this core does not have it yet.
    ///
    /// # Errors
    /// As [`Engines::open`].
    pub fn outside<'a>(&self, at: impl Into<Address<'a>>) -> Result<Option<Arc<dyn Runtime>>> {
        let Address { endpoint, tls } = at.into();
        match self.reach(endpoint)? {
            Reach::Docker => Ok(Some(Arc::new(self.docker(endpoint, tls)?))),
            Reach::Process(_) | Reach::Fake(_) => Ok(None),
        }
    }

    fn connect(&self, endpoint: &str, tls: Option<&Certificates>) -> Result<Engine> {
        match self.reach(endpoint)? {
            Reach::Docker => Ok(self.engine(Arc::new(self.docker(endpoint, tls)?), None)),
            Reach::Process(process) => Ok(self.engine(process.clone(), None)),
            Reach::Fake(fakes) => {
                let fake = fakes.open(endpoint)?;
                Ok(self.engine(fake.clone(), Some(fake)))
            }
        }
    }

    /// A Docker daemon; nobody is asked yet.
    fn docker(&self, endpoint: &str, tls: Option<&Certificates>) -> Result<Docker> {
        let tls = tls.map(|tls| TlsMaterial {
            ca: tls.authority().to_owned(),
            cert: tls.certificate().to_owned(),
            key: tls.key().to_owned(),
        });
        let network_mode = self.network_mode.clone();
        Ok(Docker::connect(DockerOptions { tls, network_mode, ..DockerOptions::new(endpoint) })?)
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
            ("unix" | "tcp", _, _) => Ok(Reach::Docker),
            ("process", Some(process), _) if endpoint == PROCESS_ENDPOINT => Ok(Reach::Process(process)),
            ("process", Some(_), _) => Err(Error::Invalid(format!(
                "endpoint \"{}\": the plain commands of this machine are at {PROCESS_ENDPOINT}",
                excerpt(endpoint)
            ))),
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
            ("agent" | "virt-grpc", _, _) => Err(Error::Unimplemented(format!(
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
            ("agent://n1:12345", "this core cannot reach agent:// endpoints in this version; it reaches unix:///PATH"),
            ("virt-grpc://n1:1", "tcp://HOST:PORT and fake://NAME"),
            ("tcp://", "tcp://"),
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

    #[tokio::test]
    async fn a_docker_engine_is_known_by_endpoint_and_certificates() {
        let engines = Engines::new(None, None, 1);
        let socket = "unix:///tmp/no-such.sock";
        assert_eq!(engines.kind(socket).unwrap(), RuntimeKind::Docker);
        assert_eq!(engines.open_len(), 0, "asking for the kind opens nothing");
        let (a, b) = (engines.open(socket).unwrap(), engines.open(socket).unwrap());
        assert!(Arc::ptr_eq(&a.runtime, &b.runtime));
        assert!(!a.vouches(Duration::from_secs(5)).await, "nobody is there");
        let bad = Certificates::new("-----BEGIN NONSENSE-----", "", "");
        let at = Address { endpoint: "tcp://127.0.0.1:1", tls: Some(&bad) };
        let text = engines.open(at).err().expect("these are no certificates").to_string();
        assert!(!text.contains("NONSENSE"), "certificates are not printed: {text}");
        engines.open("tcp://127.0.0.1:1").unwrap();
        assert_eq!(engines.open_len(), 2);
        engines.forget(at);
        assert_eq!(engines.open_len(), 2, "that one was never open");
        engines.forget("tcp://127.0.0.1:1");
        assert_eq!(engines.open_len(), 1);
    }
}
