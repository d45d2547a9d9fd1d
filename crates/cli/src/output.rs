//! Standard output: tables, JSON and YAML.

use crate::error::CliError;
use crate::render::{json, yaml};
use serde::Serialize;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use tokio::io::Interest;
use tokio::net::unix::pipe;

/// What is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// Tables, for people.
    #[default]
    Table,
    /// JSON, with the field names of the proto file.
    Json,
    /// YAML, with the same names.
    Yaml,
}

impl std::str::FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "" | "table" => Ok(Self::Table),
            "json" => Ok(Self::Json),
            "yaml" | "yml" => Ok(Self::Yaml),
            _ => Err(format!("must be json, yaml or table, got \"{}\"", eru_types::name::excerpt(text))),
        }
    }
}

impl Format {
    /// Prints `value` as JSON or YAML, or else what `table` renders.
    pub fn print<T: Serialize>(self, value: &T, table: impl FnOnce() -> String) -> Result<(), CliError> {
        match self {
            Self::Table => print(&table()),
            Self::Json => print(&(json(value) + "\n")),
            Self::Yaml => print(&(yaml(&to_value(value)?) + "\n")),
        }
    }

    /// Prints one message of a stream for programs; people have the log lines.
    pub fn print_message<T: Serialize>(self, value: &T) -> Result<(), CliError> {
        if self == Self::Table { Ok(()) } else { self.print_one(value, String::new) }
    }

    /// Prints one message of a stream: a line of JSON, a document of YAML, or what `table` renders.
    pub fn print_one<T: Serialize>(self, value: &T, table: impl FnOnce() -> String) -> Result<(), CliError> {
        match self {
            Self::Table => print(&table()),
            Self::Json => print(&(to_value(value)?.to_string() + "\n")),
            Self::Yaml => print(&format!("---\n{}", yaml(&to_value(value)?))),
        }
    }
}

fn to_value<T: Serialize>(value: &T) -> Result<serde_json::Value, CliError> {
    serde_json::to_value(value).map_err(|error| CliError::Failed(format!("cannot write JSON: {error}")))
}

/// Writes text to standard output.
pub(crate) fn print(text: &str) -> Result<(), CliError> {
    print_bytes(text.as_bytes())
}

/// Writes bytes to standard output, as they are.
pub(crate) fn print_bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut stdout = std::io::stdout().lock();
    stdout.write_all(bytes).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => CliError::Closed,
        _ => CliError::Failed(format!("cannot write standard output: {error}")),
    })
}

/// Does work that goes on until Ctrl-C, for as long as somebody reads standard output: `eru-cli status | head -3` would
/// otherwise wait for a change that it cannot print.
pub(crate) async fn while_read<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    tokio::select! {
        result = work => result,
        () = reader_left() => Err(CliError::Closed),
    }
}

/// Waits until the other end of standard output is closed. A file has no other end.
async fn reader_left() {
    let watched = std::io::stdout().as_fd().try_clone_to_owned().and_then(pipe::Sender::from_owned_fd_unchecked);
    match watched {
        Ok(stdout) => drop(stdout.ready(Interest::ERROR).await),
        Err(_) => std::future::pending().await,
    }
}
