//! The port: what core and agent may ask of a runtime.

use async_trait::async_trait;
use bytes::Bytes;
use eru_types::{Allotment, EngineId, ExitStatus, Labels, Resources, WorkloadName};
use futures::{StreamExt, stream::BoxStream};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, pin::Pin, time::Duration};
use tokio::io::AsyncWrite;

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
    /// Cores to be bound to and volumes to be mounted.
    #[serde(default)]
    pub allotment: Allotment,
    /// Network name to wanted address ("" = any). Empty = the runtime's default network.
    pub networks: BTreeMap<String, String>,
    /// Ports that it publishes.
    pub publish: Vec<u16>,
    /// The engine's own restart policy (`no`, `always`, `on-failure[:N]`, `unless-stopped`); empty = no.
    pub restart: String,
    /// Whether it gets the rights of the machine.
    pub privileged: bool,
    /// What only some engines understand.
    #[serde(default)]
    pub extras: Extras,
}

/// What only an engine of containers understands; another refuses what is not empty, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Extras {
    /// Name servers.
    pub dns: Vec<String>,
    /// `name:address` lines for its hosts file.
    pub hosts: Vec<String>,
    /// Kernel settings of its namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Where its output goes: the engine's log driver; empty = the engine's default.
    pub log_driver: String,
    /// Settings of the log driver.
    pub log_options: BTreeMap<String, String>,
    /// The engine's own options as JSON (Docker: `pid_mod`, `storage_opt`, `cap_add`, `cap_drop`, `ulimits`, `runtime`); empty
    /// = none.
    pub raw: String,
    /// It gets a terminal, and its input stays open for [`Runtime::attach`].
    pub terminal: bool,
    /// Its input stays open for [`Runtime::attach`] without a terminal: it is a pipe that ends when what is attached ends it.
    pub pipe: bool,
}

impl Extras {
    /// Whether there is an input to attach to.
    pub fn has_input(&self) -> bool {
        self.terminal || self.pipe
    }
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
    /// What happened.
    pub action: Action,
    /// When the runtime saw it, milliseconds since the epoch.
    pub at_ms: i64,
    /// How it ended, where the event of a death says so: an engine may hold a workload back from being inspected until it has
    /// cleaned up behind it.
    pub exit: Option<ExitStatus>,
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
    /// Something else about it is as it was not: its networks, its name. Also told of what is no workload of ours.
    Changed,
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

/// One line of output, without its line end; a line longer than 16 KiB comes in pieces. All bytes of an output are the data of
/// its lines, with a line feed after each that is not [`Self::partial`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// When it was written, milliseconds since the epoch.
    pub at_ms: i64,
    /// Which output.
    pub stream: Stream,
    /// The bytes.
    pub data: Bytes,
    /// No line end was written after it: the line goes on in the next piece of this output, or the output ended without one.
    pub partial: bool,
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
    /// No such image on the node, and it could not be fetched or was not to be.
    #[error("no image {0:?} on the node")]
    NoImage(String),
    /// This kind of runtime cannot do it at all.
    #[error("{kind} workloads cannot do that: {what}", kind = kind.as_str())]
    Unsupported {
        /// The kind of runtime.
        kind: RuntimeKind,
        /// What was asked for, as a noun: `networks`, `running a command inside`.
        what: &'static str,
    },
    /// Anything else that the runtime or the system answered.
    #[error("runtime: {0}")]
    Failed(String),
}

/// Result of a runtime call.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A file for a workload. Folders on the way that are not there are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentFile {
    /// Absolute path inside.
    pub path: String,
    /// The content.
    pub data: Bytes,
    /// Permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

/// A command to be run inside of a running workload.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecRequest {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Variables in addition to the workload's own, `NAME=VALUE`.
    pub env: Vec<String>,
    /// Working directory; empty = the workload's.
    pub dir: String,
    /// User; empty = the workload's.
    pub user: String,
    /// Whether it gets the rights of the machine.
    pub privileged: bool,
    /// It gets a terminal: one output, and sizes count.
    pub terminal: bool,
    /// Its input can be written to.
    pub stdin: bool,
}

/// What goes to the input of a process; shutting it down is the end of its input.
pub type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// A process whose output comes to us: of [`Runtime::exec`] or [`Runtime::attach`].
pub struct Session {
    /// Its output as it comes, in pieces of any size; of a terminal all of it is [`Stream::Stdout`]. It ends with the process.
    pub output: BoxStream<'static, Result<(Stream, Bytes)>>,
    /// Its input, if that was asked for.
    pub input: Option<Input>,
    /// Its terminal and its end.
    pub control: Box<dyn SessionControl>,
}

/// What can be done with a process besides reading and writing.
#[async_trait]
pub trait SessionControl: Send + Sync {
    /// Gives its terminal a size, in characters.
    async fn resize(&self, rows: u16, columns: u16) -> Result<()>;

    /// Its exit code, once its output has ended.
    async fn exit_code(&self) -> Result<i32>;
}

/// An image that a node has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The engine's id of it.
    pub id: String,
    /// `name:tag`; may be empty.
    pub tags: Vec<String>,
}

/// Who we are for a registry.
#[derive(Clone, PartialEq, Eq)]
pub struct RegistryLogin {
    /// User.
    pub username: String,
    /// Password. Never printed.
    pub password: String,
}

/// How far the fetching of an image is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PullProgress {
    /// The layer, or empty.
    pub layer: String,
    /// The engine's word for the step.
    pub status: String,
    /// Bytes done and bytes in all; 0 = not known.
    pub bytes: (u64, u64),
}

/// A network that a node has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Its subnets, `10.0.0.0/16`.
    pub subnets: Vec<String>,
}

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

    /// Puts files into a workload, running or not.
    async fn send_files(&self, _id: &EngineId, _files: &[SentFile]) -> Result<()> {
        Err(self.cannot("files"))
    }

    /// A path of a workload, running or not, as the pieces of a tar archive.
    async fn copy_from(&self, _id: &EngineId, _path: &str) -> Result<BoxStream<'static, Result<Bytes>>> {
        Err(self.cannot("files"))
    }

    /// Runs a command inside of a running workload. It has been started when this returns.
    async fn exec(&self, _id: &EngineId, _request: &ExecRequest) -> Result<Session> {
        Err(self.cannot("running a command inside"))
    }

    /// Output and input of a workload from now on; asked for before its start, nothing is missed.
    async fn attach(&self, _id: &EngineId) -> Result<Session> {
        Err(self.cannot("attaching"))
    }

    /// Waits until it does not run; at once when it does not.
    ///
    /// # Errors
    /// [`Error::NotFound`], also when it vanishes meanwhile; [`Error::Invalid`] when it was never started.
    async fn wait(&self, id: &EngineId) -> Result<ExitStatus> {
        loop {
            // Subscribed before the look, so that nothing falls between the two.
            let mut events = self.events().await?;
            let seen = self.inspect(id).await?;
            match (seen.state, seen.exit) {
                (State::Running, _) => {}
                (_, Some(exit)) => return Ok(exit),
                (_, None) => return Err(Error::Invalid(format!("workload {id} was never started"))),
            }
            while let Some(event) = events.next().await {
                if event.id == *id && matches!(event.action, Action::Died | Action::Removed) {
                    break;
                }
            }
        }
    }

    /// The image of that name, if the node has it.
    async fn image(&self, _name: &str) -> Result<Option<Image>> {
        Err(self.cannot("images"))
    }

    /// Images whose name matches `filter`; empty = all.
    async fn images(&self, _filter: &str) -> Result<Vec<Image>> {
        Err(self.cannot("images"))
    }

    /// Fetches an image. The stream ends when it is there; an error in it means that it is not.
    async fn pull(
        &self,
        _name: &str,
        _login: Option<&RegistryLogin>,
    ) -> Result<BoxStream<'static, Result<PullProgress>>> {
        Err(self.cannot("images"))
    }

    /// Removes an image; the answer says line by line what went.
    ///
    /// # Errors
    /// [`Error::NoImage`].
    async fn remove_image(&self, _name: &str) -> Result<Vec<String>> {
        Err(self.cannot("images"))
    }

    /// Removes what no workload and no name refers to.
    async fn prune_images(&self) -> Result<()> {
        Err(self.cannot("images"))
    }

    /// Networks, of one driver or of all (`""`).
    async fn networks(&self, _driver: &str) -> Result<Vec<Network>> {
        Err(self.cannot("networks"))
    }

    /// Joins a workload to a network with a wanted address (empty = any); answers the addresses it got there.
    async fn connect(&self, _network: &str, _id: &EngineId, _ipv4: &str, _ipv6: &str) -> Result<Vec<String>> {
        Err(self.cannot("networks"))
    }

    /// Takes a workload out of a network.
    async fn disconnect(&self, _network: &str, _id: &EngineId, _force: bool) -> Result<()> {
        Err(self.cannot("networks"))
    }

    /// The error of an operation that this kind does not have.
    fn cannot(&self, what: &'static str) -> Error {
        Error::Unsupported { kind: self.kind(), what }
    }
}
