//! What a runtime must bring along to be tested.

use crate::port::{CreateRequest, Extras, Runtime};
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

/// A runtime under test.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The runtime; the same one each time.
    fn runtime(&self) -> Arc<dyn Runtime>;

    /// The image of the workloads; empty for a runtime of plain commands.
    fn image(&self) -> String {
        String::new()
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
