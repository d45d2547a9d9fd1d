//! Why a command failed, in the words that its user reads.

use crate::exit::Exit;
use eru_config::InputError;
use tonic::Status;

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
    #[error("cannot reach {what} {address}: {reason}")]
    Unreachable {
        /// core or controller.
        what: &'static str,
        /// Its address.
        address: String,
        /// Why, in words.
        reason: String,
    },
    /// Items failed; each was reported already.
    #[error("{0}")]
    Items(String),
    /// It is not there.
    #[error("{0}")]
    Missing(String),
    /// Anything else.
    #[error("{0}")]
    Failed(String),
    /// Ctrl-C.
    #[error("{0}")]
    Interrupted(String),
    /// Standard output was closed by its reader, who has seen enough.
    #[error("standard output is closed")]
    Closed,
}

impl CliError {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) | Self::Input(_) => Exit::Usage,
            Self::Refused(status) => Exit::of(status.code()),
            Self::Unreachable { .. } => Exit::Unreachable,
            Self::Items(_) | Self::Failed(_) => Exit::Failed,
            Self::Missing(_) => Exit::Missing,
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
        assert_eq!(text("Key exists"), "Key exists");
    }
}
