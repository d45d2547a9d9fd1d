//! An engine, an agent and a core, wired up.

use crate::core::{Book, FakeCore};
use async_trait::async_trait;
use eru_agent::{Agent, AgentOptions, Error, Handle};
use eru_client::{Client, ClientOptions};
use eru_runtime::{
    Action, CreateRequest, Event, Fake, FakeOptions, Info, Inspection, LogLine, LogOptions, Result, Runtime,
    RuntimeKind,
    conformance::{request, within},
};
use eru_types::{EngineId, ExitStatus, Labels, NodeName, WorkloadName};
use futures::{StreamExt, stream::BoxStream};
use std::{
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub struct Bench {
    pub engine: Arc<Fake>,
    pub book: Arc<Mutex<Book>>,
    pub gate: Arc<Gate>,
    pub core: Option<FakeCore>,
    pub shutdown: CancellationToken,
    pub agent: Option<JoinHandle<std::result::Result<(), Error>>>,
    pub handle: Option<Handle>,
    /// What is to be different about the agents of this bench.
    pub tune: Tune,
}

pub type Tune = Box<dyn Fn(&mut AgentOptions)>;

/// What a list said is held back while it is closed, and grows old.
#[derive(Default)]
pub struct Gate {
    pub closed: AtomicBool,
    pub lists: AtomicU32,
    /// While it is set, deaths are told with this end, and no inspection is answered.
    pub exit: Mutex<Option<ExitStatus>>,
    /// Inspections that were held back by it.
    pub looks: AtomicU32,
    /// Subscriptions break at once.
    pub breaks: AtomicBool,
    /// The engine hangs on this workload: it is not inspected, and lists have its state alone.
    pub hangs: Mutex<Option<EngineId>>,
}

pub fn engine() -> Arc<Fake> {
    Arc::new(Fake::new(FakeOptions::new(NodeName::new("n1").unwrap())))
}

impl Bench {
    pub async fn start() -> Self {
        Self::start_with(engine(), Book::default()).await
    }

    pub async fn start_with(engine: Arc<Fake>, book: Book) -> Self {
        Self::start_tuned(engine, book, Box::new(|_| {})).await
    }

    pub async fn start_tuned(engine: Arc<Fake>, book: Book, tune: Tune) -> Self {
        let book = Arc::new(Mutex::new(book));
        let core = FakeCore::start(book.clone()).await;
        let mut bench = Self {
            engine,
            book,
            gate: Arc::default(),
            core: Some(core),
            shutdown: CancellationToken::new(),
            agent: None,
            handle: None,
            tune,
        };
        bench.start_agent();
        bench
    }

    pub fn start_agent(&mut self) {
        let address = self.core.as_ref().unwrap().address.clone();
        let client = Client::connect(&[address], ClientOptions::default()).unwrap();
        let runtime = Arc::new(Probed(self.engine.clone(), self.gate.clone()));
        let mut options = AgentOptions::new(NodeName::new("n1").unwrap(), client, runtime);
        options.check_interval = Duration::from_millis(100);
        options.check_timeout = Duration::from_secs(2);
        options.list_interval = Duration::from_secs(600);
        (self.tune)(&mut options);
        self.shutdown = CancellationToken::new();
        let agent = Agent::build(options);
        self.handle = Some(agent.handle());
        self.agent = Some(tokio::spawn(agent.run(self.shutdown.clone())));
    }

    /// Ends the agent as SIGTERM does.
    pub async fn stop_agent(&mut self) -> std::result::Result<(), Error> {
        self.shutdown.cancel();
        self.ended().await
    }

    pub async fn ended(&mut self) -> std::result::Result<(), Error> {
        let agent = self.agent.take().expect("the agent was started");
        tokio::time::timeout(Duration::from_secs(20), agent).await.expect("the agent ends").unwrap()
    }

    /// Waits until the book says so.
    pub async fn until(&self, what: &str, condition: impl Fn(&Book) -> bool) {
        let look = async || condition(&self.book.lock().unwrap()).then_some(());
        within(what, look).await;
    }

    pub async fn create(&self, name: &str, labels: &[(&str, &str)], command: &[&str]) -> EngineId {
        create(&self.engine, name, labels, command).await
    }

    /// A workload without a health check, running.
    pub async fn run(&self, name: &str) -> EngineId {
        let id = self.create(name, &[], &["sleep"]).await;
        self.engine.start(&id).await.unwrap();
        id
    }
}

pub async fn create(engine: &Fake, name: &str, labels: &[(&str, &str)], command: &[&str]) -> EngineId {
    let mut request: CreateRequest = request(name, command);
    request.labels.set("ERU", "1");
    request.labels.set("eru.nodename", "n1");
    labels.iter().for_each(|(key, value)| request.labels.set(*key, *value));
    engine.create(&request).await.unwrap()
}

/// The engine, with workloads that are probed at this machine's own address.
struct Probed(Arc<Fake>, Arc<Gate>);

fn probed(inspection: Inspection) -> Inspection {
    Inspection { probe_address: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)), ..inspection }
}

#[async_trait]
impl Runtime for Probed {
    fn kind(&self) -> RuntimeKind {
        self.0.kind()
    }
    async fn info(&self) -> Result<Info> {
        self.0.info().await
    }
    async fn ping(&self) -> Result<()> {
        self.0.ping().await
    }
    async fn create(&self, request: &CreateRequest) -> Result<EngineId> {
        self.0.create(request).await
    }
    async fn start(&self, id: &EngineId) -> Result<()> {
        self.0.start(id).await
    }
    async fn stop(&self, id: &EngineId, grace: Duration) -> Result<()> {
        self.0.stop(id, grace).await
    }
    async fn remove(&self, id: &EngineId, force: bool) -> Result<()> {
        self.0.remove(id, force).await
    }
    async fn inspect(&self, id: &EngineId) -> Result<Inspection> {
        while self.1.exit.lock().unwrap().is_some() {
            self.1.looks.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        if self.1.hangs.lock().unwrap().as_ref() == Some(id) {
            self.1.looks.fetch_add(1, Ordering::SeqCst);
            std::future::pending::<()>().await;
        }
        self.0.inspect(id).await.map(probed)
    }
    async fn find(&self, name: &WorkloadName) -> Result<Option<EngineId>> {
        self.0.find(name).await
    }
    async fn list(&self, labels: &Labels) -> Result<Vec<Inspection>> {
        let hangs = self.1.hangs.lock().unwrap().clone();
        let bare = |seen: Inspection| match hangs.as_ref() == Some(&seen.id) {
            true => Inspection { started_at_ms: 0, pid: 0, exit: None, ..seen },
            false => probed(seen),
        };
        let listed = self.0.list(labels).await?.into_iter().map(bare).collect();
        self.1.lists.fetch_add(1, Ordering::SeqCst);
        while self.1.closed.load(Ordering::SeqCst) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(listed)
    }
    async fn events(&self) -> Result<BoxStream<'static, Event>> {
        let gate = self.1.clone();
        let told = move |event: Event| {
            let exit = (event.action == Action::Died).then(|| *gate.exit.lock().unwrap()).flatten();
            Event { exit, ..event }
        };
        let events = self.0.events().await?.map(told);
        Ok(if self.1.breaks.load(Ordering::SeqCst) { events.take(0).boxed() } else { events.boxed() })
    }
    async fn logs(&self, id: &EngineId, options: LogOptions) -> Result<BoxStream<'static, Result<LogLine>>> {
        self.0.logs(id, options).await
    }
    async fn last_lines(&self, id: &EngineId, lines: usize) -> Result<Vec<String>> {
        self.0.last_lines(id, lines).await
    }
}
