//! The command line: `eru-cli`, and everything of `eru` that is not a daemon.
//!
//! One module per noun, one function per verb. A verb checks its arguments, asks core (or the controller), and prints:
//! tables, JSON and YAML to standard output, log lines to standard error. What a table looks like is decided in
//! [`render`], from messages alone.
//!
//! # Invariants
//! - Nothing is sent before all arguments are known to be good.
//! - The exit code is 0 only when every item went well, see [`Exit`]; `workload exec` and `lambda` end with the exit code
//!   of the command that they run.
//! - Text that comes from workloads and users is printed with its control characters made visible; only `workload logs`,
//!   `workload exec` and `lambda` print raw.

mod apply;
mod args;
mod cluster;
mod completion;
mod context;
mod deploy_options;
mod error;
mod exit;
mod hook;
mod ids;
mod image;
mod lambda;
mod log;
mod network;
mod node;
mod op_id;
mod output;
mod pod;
mod probe;
pub mod render;
mod replicaset;
mod run;
mod session;
mod source;
mod status;
mod stream;
mod usage;
mod values;
mod version;
mod workload;

pub use apply::{ApplyDefaults, ApplyError, replicaset_spec};
pub use args::command;
pub use deploy_options::{DeployFlags, MissingEntrypoint, deploy_options};
pub use error::CliError;
pub use exit::Exit;
pub use run::{check, run};
pub use usage::message as usage_message;
pub use workload::File;
