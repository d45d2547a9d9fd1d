//! Messages as bytes: the page's five fields are encoded once a change, for all; ours are appended for who asked.

use super::Token;
use crate::cache::{Cache, WorkloadView, to_pb_status, wire};
use bytes::Bytes;
use eru_api::pb::{self, workload_status_stream_message::Kind};
use eru_kv::Revision;
use prost::{
    Message,
    encoding::{WireType, decode_key, decode_varint},
};
use std::ops::Range;

/// `delete = false`, spelled out: of a scalar that is there twice, the last one counts.
const NOT_DELETED: [u8; 2] = [5 << 3, 0];

/// Number of `workload` in `WorkloadStatusStreamMessage`.
const WORKLOAD_FIELD: u32 = 2;

/// One `WorkloadStatusStreamMessage`, encoded. Two parts that are one message when they are put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The page's fields, shared by all who get them.
    pub(crate) body: Bytes,
    /// Ours.
    pub(crate) tail: Vec<u8>,
}

impl Frame {
    /// For a client that knows the page's fields.
    pub(crate) fn plain(view: &WorkloadView) -> Self {
        Self { body: body(view), tail: Vec::new() }
    }

    /// A change, for a client that knows ours as well.
    pub(crate) fn change(view: &WorkloadView) -> Self {
        let tail = ours(Kind::Change, view.changed, Bytes::new(), "");
        Self { body: body(view), tail }
    }

    /// Part of a snapshot. What is listed is there, so it never says `delete`, even when its report expired.
    pub(crate) fn snapshot(view: &WorkloadView) -> Self {
        let mut tail = if view.expired { NOT_DELETED.to_vec() } else { Vec::new() };
        tail.extend(ours(Kind::Snapshot, view.changed, Bytes::new(), ""));
        Self { body: body(view), tail }
    }

    /// The workload alone, as `ListWorkloads` sends it: the second field of what subscribers get.
    pub(crate) fn listed(view: &WorkloadView) -> Self {
        let body = body(view);
        let workload = field(&body, WORKLOAD_FIELD).map(|range| body.slice(range)).unwrap_or_default();
        Self { body: workload, tail: Vec::new() }
    }

    /// Everything up to `revision` was sent.
    pub(crate) fn mark(kind: Kind, cache: &Cache, revision: Revision) -> Self {
        let token = Token::encode(cache.identity(), revision);
        Self { body: Bytes::new(), tail: ours(kind, revision, token, "") }
    }

    /// The client's token is of no use; a snapshot follows.
    pub(crate) fn resync(cache: &Cache, reason: &str) -> Self {
        Self { body: Bytes::new(), tail: ours(Kind::Resync, cache.revision(), Bytes::new(), reason) }
    }

    /// Length of the message, in bytes.
    pub(crate) fn len(&self) -> usize {
        self.body.len() + self.tail.len()
    }

    /// The message, decoded again.
    ///
    /// # Errors
    /// Never, for frames made here.
    pub fn decode(&self) -> Result<pb::WorkloadStatusStreamMessage, prost::DecodeError> {
        let mut message = pb::WorkloadStatusStreamMessage::decode(self.body.clone())?;
        message.merge(self.tail.as_slice())?;
        Ok(message)
    }
}

/// Where the content of a length-delimited field is. Every field before it is one as well.
fn field(message: &[u8], number: u32) -> Option<Range<usize>> {
    let mut rest = message;
    while !rest.is_empty() {
        let (found, wire) = decode_key(&mut rest).ok()?;
        if wire != WireType::LengthDelimited {
            return None;
        }
        let len = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
        let start = message.len() - rest.len();
        rest = rest.get(len..)?;
        if found == number {
            return Some(start..start + len);
        }
    }
    None
}

fn ours(kind: Kind, revision: Revision, resume_token: Bytes, reason: &str) -> Vec<u8> {
    let message = pb::WorkloadStatusStreamMessage {
        kind: kind as i32,
        resume_token,
        revision: revision.0,
        reason: reason.to_owned(),
        ..pb::WorkloadStatusStreamMessage::default()
    };
    message.encode_to_vec()
}

/// The page's five fields.
fn body(view: &WorkloadView) -> Bytes {
    view.encoded.get_or_init(|| message(view).encode_to_vec().into()).clone()
}

/// | what happened | message |
/// | --- | --- |
/// | a change | id, workload with its current status, that status |
/// | the report outlived its ttl | the same with an empty status, and `delete` |
/// | the workload is gone | id, the last workload, the original's error text, and `delete` |
fn message(view: &WorkloadView) -> pb::WorkloadStatusStreamMessage {
    let id = view.id().map(ToString::to_string).unwrap_or_default();
    let status = to_pb_status(view);
    let workload = Some(wire::workload_with(view, status.clone()));
    if view.removed {
        // The text that the original's clients look for.
        let error = format!("bad `Count` value: key: /workloads/{id}");
        return pb::WorkloadStatusStreamMessage { id, workload, error, delete: true, ..Default::default() };
    }
    pb::WorkloadStatusStreamMessage { id, workload, status: Some(status), delete: view.expired, ..Default::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_between_others() {
        let workload = pb::Workload { id: "w".into(), name: "n".into(), ..Default::default() };
        let message = pb::WorkloadStatusStreamMessage {
            id: "w".into(),
            workload: Some(workload.clone()),
            error: "e".into(),
            delete: true,
            ..Default::default()
        };
        let bytes = message.encode_to_vec();
        let range = field(&bytes, WORKLOAD_FIELD).unwrap();
        assert_eq!(pb::Workload::decode(&bytes[range]).unwrap(), workload);
        assert_eq!(field(&bytes, 5), None, "a scalar has no content of its own");
        assert_eq!(field(&[], WORKLOAD_FIELD), None);
        assert_eq!(field(&bytes[..6], WORKLOAD_FIELD), None, "cut off");
    }
}
