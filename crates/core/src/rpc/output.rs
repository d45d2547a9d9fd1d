//! Output of processes as messages.

use crate::cluster::Error;
use bytes::Bytes;
use eru_api::pb::{AttachWorkloadMessage, StdStreamType};
use eru_runtime::Stream;

/// A piece of output.
pub(super) fn said(id: &str, stream: Stream, data: Bytes) -> AttachWorkloadMessage {
    let kind = match stream {
        Stream::Stdout => StdStreamType::Stdout,
        Stream::Stderr => StdStreamType::Stderr,
    };
    message(id, kind, data)
}

/// The end of a process. The text is the original's; the fields are ours, as a program may print the same text.
pub(super) fn exited(id: &str, code: i32) -> AttachWorkloadMessage {
    let data = Bytes::from(format!("[exitcode] {code}"));
    AttachWorkloadMessage { exited: true, exit_code: code, ..message(id, StdStreamType::Stdout, data) }
}

/// An error of ours.
pub(super) fn failed(id: &str, text: impl Into<String>) -> AttachWorkloadMessage {
    message(id, StdStreamType::Eruerror, Bytes::from(text.into()))
}

/// A workload that was made; without an id, one that was not.
pub(super) fn made(id: &str) -> AttachWorkloadMessage {
    message(id, StdStreamType::Typeworkloadid, Bytes::new())
}

fn message(id: &str, kind: StdStreamType, data: Bytes) -> AttachWorkloadMessage {
    AttachWorkloadMessage {
        workload_id: id.to_owned(),
        data,
        std_stream_type: kind.into(),
        ..AttachWorkloadMessage::default()
    }
}

/// Whether an error is about the call as a whole, and so its status, and not a message of the stream.
pub(super) fn is_status(error: &Error) -> bool {
    matches!(
        error,
        Error::Invalid(_)
            | Error::Exhausted(_)
            | Error::Unimplemented(_)
            | Error::Runtime(eru_runtime::Error::Unsupported { .. })
            | Error::Store(_)
    )
}
