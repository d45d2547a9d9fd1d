//! The port: what core and agent may ask of a runtime.

use async_trait::async_trait;
use bytes::Bytes;
use eru_types::{EngineId, ExitStatus, Labels, Resources, WorkloadName};
use futures::stream::BoxStream;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// Which kind of runtime it is; also the `type` that `GetNodeEngine` answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuntimeKind {
    /// Plain commands of this machine.
    Process,
    /// Simulated, in memory.
    Fake,
    /// A Docker daemon.
    Docker,
}

impl RuntimeKind {
    /// The word for it on the wire and in tables.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Process => "process",
            Self::Fake => "fake",
            Self::Docker => "docker",
        }
    }

    /// Whether it runs workloads that have an image.
    pub fn runs_images(self) -> bool {
        matches!(self, Self::Docker | Self::Fake)
    }

    /// Whether it runs plain commands, without an image.
    pub fn runs_commands(self) -> bool {
        matches!(self, Self::Process | Self::Fake)
    }

    /// What separates its workloads from each other, for `inspect`; empty = the engine's own isolation.
    pub fn isolation(self) -> &'static str {
        match self {
            Self::Process => "none: plain processes of this user, no limits are enforced",
            Self::Fake => "simulated",
            Self::Docker => "",
        }
    }
}

/// What a machine has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Info {
    /// The runtime's own id.
    pub id: String,
    /// Cores.
    pub cores: u32,
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// Storage, in bytes; 0 = unknown.
    pub storage_bytes: u64,
}

/// Everything a runtime needs to make a workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreateRequest {
    /// Its name; unique in the runtime.
    pub name: WorkloadName,
    /// Its labels, Eru's own among them.
    pub labels: Labels,
    /// The image; empty = a plain command.
    pub image: String,
    /// Program and arguments; empty = the image's own.
    pub command: Vec<String>,
    /// `NAME=VALUE` pairs, later ones win.
    pub env: Vec<(String, String)>,
    /// Working directory; empty = the runtime's choice.
    pub dir: String,
    /// User to run as; empty = the runtime's choice.
    pub user: String,
    /// Limits to enforce where the runtime can.
    pub resources: Resources,
    /// Network name to wanted address ("" = any). Empty = the runtime's default network.
    pub networks: BTreeMap<String, String>,
    /// Ports that it publishes.
    pub publish: Vec<u16>,
    /// The engine's own restart policy (`no`, `always`, `on-failure[:N]`, `unless-stopped`); empty = no.
    pub restart: String,
    /// Whether it gets the rights of the machine.
    pub privileged: bool,
}

/// The state of a workload in its runtime.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Made, never started.
    Created,
    /// Its process runs.
    Running,
    /// It ran and ended.
    Exited,
}

/// What a runtime knows of one workload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspection {
    /// Its id.
    pub id: EngineId,
    /// Its name.
    pub name: WorkloadName,
    /// Its labels.
    pub labels: Labels,
    /// Its state.
    pub state: State,
    /// Network name to address; empty unless it runs.
    pub networks: BTreeMap<String, String>,
    /// Where a health check must knock: an address of this machine's view; `None` = nowhere.
    pub probe_address: Option<std::net::IpAddr>,
    /// How it ended last; only when `Exited`.
    pub exit: Option<ExitStatus>,
    /// How often the runtime itself started it again.
    pub restarts: u32,
    /// When it was started last, milliseconds since the epoch; 0 = never.
    pub started_at_ms: i64,
    /// One line: why it does not run (`cannot execute "x": no such file`), empty when there is nothing to say.
    pub reason: String,
    /// Its process id on this machine; 0 = none or not known.
    pub pid: u32,
    /// What separates it from others, see [`RuntimeKind::isolation`].
    pub isolation: String,
}

/// Something happened to a workload. A hint to look: the truth is in `inspect`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// The workload.
    pub id: EngineId,
    /// Its name.
    pub name: WorkloadName,
    /// What happened.
    pub action: Action,
    /// When the runtime saw it, milliseconds since the epoch.
    pub at_ms: i64,
}

/// What can happen to a workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Made.
    Created,
    /// Its process runs.
    Started,
    /// Its process ended.
    Died,
    /// It is no more.
    Removed,
}

/// Which of the two outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// Which part of the output is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogOptions {
    /// How many of the last lines; `None` = all that is kept.
    pub tail: Option<usize>,
    /// Only what was written from then on, milliseconds since the epoch.
    pub since_ms: Option<i64>,
    /// Only what was written before then.
    pub until_ms: Option<i64>,
    /// Go on as new output comes, until the workload ends.
    pub follow: bool,
}

/// One line of output, without its line end; a line longer than 16 KiB comes in pieces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written, milliseconds since the epoch.
    pub at_ms: i64,
    /// Which output.
    pub stream: Stream,
    /// The bytes.
    pub data: Bytes,
}

/// Why a runtime did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such workload.
    #[error("no workload {0:?} in the runtime")]
    NotFound(String),
    /// The request asks for something that this runtime cannot give.
    #[error("{0}")]
    Invalid(String),
    /// It runs, and `force` was not given.
    #[error("workload {0} is running: stop it first, or remove with force")]
    Running(EngineId),
    /// The runtime does not answer.
    #[error("runtime {endpoint} does not answer: {cause}")]
    Unavailable {
        /// Which runtime.
        endpoint: String,
        /// What went wrong.
        cause: String,
    },
    /// The workload could not be started; the text says why, as the system said it.
    #[error("cannot start {name}: {cause}")]
    Start {
        /// Its name.
        name: String,
        /// What went wrong.
        cause: String,
    },
    /// Anything else that the runtime or the system answered.
    #[error("runtime: {0}")]
    Failed(String),
}

/// Result of a runtime call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The runtime port. Object-safe; share it as `Arc<dyn Runtime>`.
///
/// # Cancel safety
/// Every operation may be dropped and repeated.
#[async_trait]
pub trait Runtime: Send + Sync + 'static {
    /// Which kind it is.
    fn kind(&self) -> RuntimeKind;

    /// What the machine has.
    async fn info(&self) -> Result<Info>;

    /// Whether it answers.
    async fn ping(&self) -> Result<()>;

    /// Makes a workload without starting it. A name that exists already answers with the id of that one: a create can be
    /// repeated after a crash.
    async fn create(&self, request: &CreateRequest) -> Result<EngineId>;

    /// Starts it and returns when its process runs (or could not be executed: [`Error::Start`]). Running already is no error.
    async fn start(&self, id: &EngineId) -> Result<()>;

    /// Asks it to end (SIGTERM), and ends its whole process group after `grace`. Not running is no error.
    async fn stop(&self, id: &EngineId, grace: Duration) -> Result<()>;

    /// Removes it and all that belongs to it. A running one only with `force`.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Running`].
    async fn remove(&self, id: &EngineId, force: bool) -> Result<()>;

    /// What is known of it.
    async fn inspect(&self, id: &EngineId) -> Result<Inspection>;

    /// The id of the workload with this name.
    async fn find(&self, name: &WorkloadName) -> Result<Option<EngineId>>;

    /// Every workload that carries all of `labels`, in any state.
    async fn list(&self, labels: &Labels) -> Result<Vec<Inspection>>;

    /// What happens from now on: subscribed when the call returns. The stream ends when the connection to the runtime
    /// breaks or events were lost; then subscribe again and list.
    async fn events(&self) -> Result<BoxStream<'static, Event>>;

    /// Its output.
    async fn logs(&self, id: &EngineId, options: LogOptions) -> Result<BoxStream<'static, Result<LogLine>>>;

    /// The last `lines` lines of its output, for `get` after it ended. Cheap.
    async fn last_lines(&self, id: &EngineId, lines: usize) -> Result<Vec<String>>;
}
