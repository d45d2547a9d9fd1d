//! What etcd answers instead of a result.

use std::error::Error as _;

use tonic::{Code, ConnectError, Status};

use crate::port::Error;

/// A refusal; the first three lack the figure that the port's error carries, which only the caller can find out.
#[derive(Debug)]
pub(super) enum Refusal {
    Compacted,
    Future,
    LeaseGone,
    /// The reply is larger than we take.
    TooLarge,
    Other(Error),
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Other(error) => error,
            unexpected => Error::Storage(format!("etcd gave an answer that does not fit the question: {unexpected:?}")),
        }
    }
}

/// Whether the request certainly did not leave this process.
pub(super) fn was_not_sent(status: &Status) -> bool {
    let mut source = status.source();
    while let Some(cause) = source {
        if cause.is::<ConnectError>() {
            return true;
        }
        source = cause.source();
    }
    false
}

/// Whether another endpoint may answer better.
pub(super) fn is_unreachable(status: &Status) -> bool {
    // A status that was made here, not received, has a cause.
    status.source().is_some() || matches!(status.code(), Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled)
}

/// The innermost cause; the outer ones only say "transport error".
pub(super) fn cause(status: &Status) -> String {
    let mut text = status.message().to_string();
    let mut source = status.source();
    while let Some(cause) = source {
        text = cause.to_string();
        source = cause.source();
    }
    text
}

/// Reads a status. etcd's errors are told apart by their texts, which are part of its interface.
pub(super) fn refusal(status: &Status, endpoint: &str, is_write: bool) -> Refusal {
    let text = status.message();
    let has = |part: &str| text.contains(part);
    if has("required revision has been compacted") {
        return Refusal::Compacted;
    }
    if has("required revision is a future revision") {
        return Refusal::Future;
    }
    if has("requested lease not found") {
        return Refusal::LeaseGone;
    }
    if has("message length too large") {
        return Refusal::TooLarge;
    }
    Refusal::Other(match status.code() {
        Code::ResourceExhausted if has("database space exceeded") => Error::Full(format!(
            "etcd at {endpoint} says \"{text}\"; remove keys, it heals with the next compaction, or raise its quota"
        )),
        Code::Unauthenticated | Code::PermissionDenied => Error::Denied(format!("etcd at {endpoint} says \"{text}\"")),
        Code::InvalidArgument | Code::OutOfRange | Code::FailedPrecondition if status.source().is_none() => {
            Error::Invalid(format!("etcd at {endpoint} says \"{text}\""))
        }
        _ => Error::Unavailable {
            endpoint: endpoint.to_string(),
            cause: cause(status),
            // Refused for load, it was not proposed.
            maybe_done: is_write && !was_not_sent(status) && status.code() != Code::ResourceExhausted,
        },
    })
}
