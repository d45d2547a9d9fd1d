//! What can go wrong between us and a daemon, and how the port says it.

use crate::{port::Error, reason::one_line};
use eru_types::{EngineId, name::excerpt};
use http::StatusCode;
use std::{fmt, time::Duration};

/// Longest text of a refusal that is kept, in bytes: that of a start that failed names every program it went through.
const REFUSAL_BYTES_MAX: usize = 4096;

/// What every server written in Go says to a client that comes without TLS.
const WANTS_TLS: &str = "HTTP request to an HTTPS server";

/// An exchange that did not bring what it was for.
#[derive(Debug)]
pub(super) enum Fault {
    /// No connection, or it broke.
    Unreachable(String),
    /// No answer in time.
    Late(Duration),
    /// The daemon said no. Its words are on one line, without control characters.
    Refused { status: StatusCode, message: String },
    /// An answer that is none.
    Nonsense(String),
    /// No version of the API that both know.
    Version(String),
}

impl Fault {
    /// The daemon said no, in these words.
    pub(super) fn refused(status: StatusCode, words: &str) -> Self {
        if words.contains(WANTS_TLS) {
            let cause = "it speaks TLS: give its authority and our certificate and key (`node add --ca --cert --key`)";
            return Self::Unreachable(cause.to_owned());
        }
        let mut message = String::new();
        for character in words.trim().chars() {
            if message.len() >= REFUSAL_BYTES_MAX {
                break;
            }
            match character {
                c if c.is_control() => message.extend(c.escape_default()),
                c => message.push(c),
            }
        }
        Self::Refused { status, message }
    }

    /// The error of the port, where nothing more is known.
    pub(super) fn into_error(self, endpoint: &str) -> Error {
        match self {
            Self::Refused { status: StatusCode::BAD_REQUEST, message } => Error::Invalid(message),
            Self::Refused { message, .. } => Error::Failed(message),
            Self::Nonsense(_) => Error::Failed(format!("{endpoint}: {self}")),
            Self::Unreachable(_) | Self::Late(_) | Self::Version(_) => {
                Error::Unavailable { endpoint: endpoint.to_owned(), cause: self.to_string() }
            }
        }
    }

    /// The error of a question about one workload.
    pub(super) fn of_workload(self, endpoint: &str, id: &EngineId) -> Error {
        match self {
            fault if fault.is(StatusCode::NOT_FOUND) => Error::NotFound(id.to_string()),
            other => other.into_error(endpoint),
        }
    }

    /// Whether the daemon refused with this status.
    pub(super) fn is(&self, wanted: StatusCode) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == wanted)
    }

    /// Whether the daemon refused with this status and these words.
    pub(super) fn says(&self, wanted: StatusCode, words: &str) -> bool {
        matches!(self, Self::Refused { status, message } if *status == wanted && message.contains(words))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreachable(cause) | Self::Version(cause) => f.write_str(&one_line(cause)),
            Self::Late(after) => write!(f, "no answer within {} s", after.as_secs_f64()),
            Self::Refused { status, message } => write!(f, "{} ({})", one_line(message), status.as_u16()),
            Self::Nonsense(what) => write!(f, "the daemon answered nonsense: {}", excerpt(what)),
        }
    }
}

/// An error and what caused it, on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        // Wrappers that only repeat their source say nothing.
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_one_bounded_line_and_says_when_tls_is_missing() {
        let fault = Fault::refused(StatusCode::CONFLICT, " a\nb ");
        assert!(fault.says(StatusCode::CONFLICT, "a\\nb"), "{fault}");
        let long = Fault::refused(StatusCode::CONFLICT, &"x".repeat(3 * REFUSAL_BYTES_MAX));
        assert!(matches!(long, Fault::Refused { message, .. } if message.len() == REFUSAL_BYTES_MAX));
        let plain = Fault::refused(StatusCode::BAD_REQUEST, "Client sent an HTTP request to an HTTPS server.\n");
        let error = plain.into_error("tcp://h:2376");
        assert!(
            matches!(&error, Error::Unavailable { .. }) && error.to_string().contains("--ca --cert --key"),
            "{error}"
        );
    }
}
