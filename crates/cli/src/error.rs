//! Why a command failed, in the words that its user reads.

use crate::exit::Exit;
use crate::probe::probe;
use eru_client::{Address, Error};
use eru_config::InputError;
use std::time::Duration;
use tonic::{Code, Status};

/// Why a command failed. `Display` is the whole message.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// A spec is wrong.
    #[error("{0}")]
    Input(#[from] InputError),
    /// Core refused the call.
    #[error("{}", status_text(.0))]
    Refused(Box<Status>),
    /// Nobody answers.
    #[error("cannot reach {what} {}", tried.iter().map(|(a, why)| format!("{a}: {why}")).collect::<Vec<_>>().join("; "))]
    Unreachable {
        /// core or controller.
        what: &'static str,
        /// Every address that was tried, and why nobody answers there.
        tried: Vec<(Address, String)>,
    },
    /// Somebody of ours was there, and went away in the middle.
    #[error("connection to {what} {address} broke: {cause}; what was asked may have been done")]
    Broken {
        /// core or controller.
        what: &'static str,
        /// Its address.
        address: Address,
        /// Why, in words.
        cause: String,
    },
    /// It took too long.
    #[error("{what} {address} did not answer within {} s; what was asked may have been done", after.as_secs())]
    Timeout {
        /// core or controller.
        what: &'static str,
        /// Its address.
        address: Address,
        /// The time that it had.
        after: Duration,
    },
    /// Items failed; each was reported already.
    #[error("{0}")]
    Items(String),
    /// All items failed, for the same fault of the request; each was reported already.
    #[error("{text}")]
    AllRefused {
        /// Which fault.
        code: Code,
        /// How many.
        text: String,
    },
    /// It is not there, or what was to be made is.
    #[error("{0}")]
    Missing(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
    /// A command was to be run inside a workload, and something else than the command failed.
    #[error("{0}")]
    NotTheCommand(#[source] Box<CliError>),
    /// Ctrl-C.
    #[error("{0}")]
    Interrupted(String),
    /// Standard output was closed by its reader, who has seen enough.
    #[error("standard output is closed")]
    Closed,
}

impl CliError {
    /// The error of a call of core or the controller: its own words, or why nobody of ours answers.
    pub(crate) fn of_call(what: &'static str, error: Error) -> Self {
        match error {
            Error::Answered(status) => Self::Refused(status),
            Error::Unreachable { tried } => {
                let tried = tried.into_iter().map(|(address, cause)| {
                    let reason = probe(&address).unwrap_or(cause);
                    (address, reason)
                });
                Self::Unreachable { what, tried: tried.collect() }
            }
            Error::Broken { address, cause } => match probe(&address) {
                Some(reason) => Self::Unreachable { what, tried: vec![(address, reason)] },
                None => Self::Broken { what, address, cause },
            },
            Error::Timeout { address, after } => Self::Timeout { what, address, after },
        }
    }

    /// The same error, which names what is there already: core itself says no more than that something is.
    pub(crate) fn names(self, kind: &str, name: &str) -> Self {
        match self {
            Self::Refused(status) if status.code() == Code::AlreadyExists => {
                Self::Missing(format!("{kind} \"{name}\" exists already"))
            }
            other => other,
        }
    }

    /// The same error of a command that ends with the exit code of another one.
    pub(crate) fn not_the_command(self) -> Self {
        match self {
            Self::Interrupted(_) | Self::NotTheCommand(_) => self,
            other => Self::NotTheCommand(Box::new(other)),
        }
    }

    /// Whether nobody is left to read what it says.
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Closed => true,
            Self::NotTheCommand(error) => error.is_closed(),
            _ => false,
        }
    }

    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Input(_) => Exit::Usage,
            Self::Refused(status) => Exit::of(status.code()),
            Self::AllRefused { code, .. } => Exit::of(*code),
            Self::Unreachable { .. } | Self::Broken { .. } => Exit::Unreachable,
            Self::Timeout { .. } => Exit::Timeout,
            Self::Items(_) | Self::Failed(_) => Exit::Failed,
            Self::Missing(_) => Exit::Missing,
            Self::NotTheCommand(_) => Exit::NotTheCommand,
            Self::Interrupted(_) => Exit::Interrupted,
            Self::Closed => Exit::Good,
        }
    }
}

/// Core's message is the whole truth; its code is told by the exit code.
fn status_text(status: &Status) -> String {
    match status.message() {
        "" => status.code().description().to_owned(),
        message => crate::render::clean(&in_words(message)),
    }
}

/// The original's text for a thing that is not there (core keeps it, as clients look for it) in words.
pub(crate) fn in_words(message: &str) -> String {
    const KEYS: [(&str, &str); 3] = [("/pod/info/", "pod"), ("/node/", "node"), ("/workloads/", "workload")];
    let Some(key) = message.strip_prefix("bad `Count` value: key: ") else { return message.to_owned() };
    // Of nodes and pods core says it in words as well.
    if let Some((_, words)) = key.split_once(": ") {
        return words.to_owned();
    }
    let found = KEYS.iter().find_map(|(prefix, kind)| Some((kind, key.strip_prefix(prefix)?)));
    found.map_or_else(|| message.to_owned(), |(kind, name)| format!("{kind} not found: {name}"))
}

impl From<Status> for CliError {
    fn from(status: Status) -> Self {
        Self::Refused(Box::new(status))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_things_are_named() {
        let text = |message: &str| CliError::from(Status::not_found(message)).to_string();
        assert_eq!(text("bad `Count` value: key: /pod/info/web"), "pod not found: web");
        assert_eq!(text("bad `Count` value: key: /node/n\n1"), "node not found: n\\n1");
        assert_eq!(text("bad `Count` value: key: /x"), "bad `Count` value: key: /x");
        assert_eq!(text("bad `Count` value: key: /node/n1: node \"n1\" does not exist"), "node \"n1\" does not exist");
        assert_eq!(text("Key exists"), "Key exists");
        let exists = CliError::from(Status::already_exists("Key exists")).names("pod", "web");
        assert_eq!((exists.to_string().as_str(), exists.exit()), ("pod \"web\" exists already", Exit::Missing));
    }
}
