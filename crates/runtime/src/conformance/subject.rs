//! What a runtime must bring along to be tested.

use crate::port::{CreateRequest, Extras, Inspection, Runtime, State};
use async_trait::async_trait;
use eru_types::{Allotment, EngineId, Labels, Resources, WorkloadName};
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

/// How long a condition may take to come true. Long enough for a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often it is looked at meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(2);

/// What a workload does once started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behaviour {
    /// Prints these lines on standard output, then runs until a signal ends it.
    Runs(Vec<&'static str>),
    /// Prints these lines on standard error, then ends with the code.
    Exits(Vec<&'static str>, u8),
    /// Prints `ready`, then runs on in spite of SIGTERM.
    IgnoresTerm,
    /// Is no program at all.
    CannotExecute,
}

/// What a command does that is run inside of a workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inside {
    /// Prints the first line on standard output, the second on standard error, then ends with the code.
    Says(&'static str, &'static str, u8),
    /// Gives its input back on standard output until the input ends, then ends with 0.
    Echoes,
    /// Waits until its terminal has a size, prints rows and columns, then ends with 0.
    TellsSize,
    /// Prints that many bytes on standard output, whatever they are, then ends with 0.
    Floods(u64),
}

/// What a runtime can do beyond start and stop. What it cannot it must answer with
/// [`Error::Unsupported`](crate::Error::Unsupported).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Abilities {
    /// Commands inside, and attaching.
    pub inside: bool,
    /// Files in and out.
    pub files: bool,
    /// Images.
    pub images: bool,
    /// A network that workloads are not in unless they join it.
    pub network: Option<String>,
}

/// A runtime under test.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The runtime; the same one each time.
    fn runtime(&self) -> Arc<dyn Runtime>;

    /// The image of the workloads; empty for a runtime of plain commands.
    fn image(&self) -> String {
        String::new()
    }

    /// What the suite's name is here, where names are shared with others.
    fn name(&self, name: &str) -> String {
        name.to_owned()
    }

    /// What all workloads of the suite carry, and nobody else's.
    fn labels(&self) -> Labels {
        Labels::default()
    }

    /// What it can do.
    fn abilities(&self) -> Abilities {
        Abilities::default()
    }

    /// The command that does so inside.
    fn inside(&self, what: &Inside) -> Vec<String> {
        vec![format!("{what:?}")]
    }

    /// The command that behaves so.
    fn command(&self, behaviour: &Behaviour) -> Vec<String>;

    /// Ends the main process of a running workload by SIGKILL, from outside.
    async fn kill(&self, id: &EngineId);
}

/// A request without anything special.
pub fn request(name: &str, command: &[&str]) -> CreateRequest {
    CreateRequest {
        name: WorkloadName::parse(name).expect("the suite's names are workload names"),
        labels: Labels::default(),
        image: "image".into(),
        command: command.iter().map(ToString::to_string).collect(),
        env: Vec::new(),
        dir: String::new(),
        user: String::new(),
        resources: Resources::default(),
        allotment: Allotment::default(),
        networks: BTreeMap::new(),
        publish: Vec::new(),
        restart: String::new(),
        privileged: false,
        extras: Extras::default(),
    }
}

/// Looks until `condition` answers something.
///
/// # Panics
/// When it does not within twenty seconds; the message says `what`.
pub async fn within<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A request for a workload that behaves so.
pub(super) fn wanted(s: &dyn Subject, name: &str, behaviour: &Behaviour) -> CreateRequest {
    CreateRequest { command: s.command(behaviour), image: s.image(), labels: s.labels(), ..request(&s.name(name), &[]) }
}

/// One that was started.
pub(super) async fn started(s: &dyn Subject, name: &str, behaviour: &Behaviour) -> EngineId {
    let id = s.runtime().create(&wanted(s, name, behaviour)).await.expect("create");
    s.runtime().start(&id).await.expect("start");
    id
}

/// Waits for its end.
pub(super) async fn exited(s: &dyn Subject, id: &EngineId) -> Inspection {
    within("it ends", async || {
        let seen = s.runtime().inspect(id).await.expect("inspect");
        (seen.state == State::Exited).then_some(seen)
    })
    .await
}
