//! Between the port's terms and etcd's, with the prefix put on and taken off.

use bytes::Bytes;

use super::proto::etcdserverpb::compare::{CompareResult, CompareTarget, TargetUnion};
use super::proto::etcdserverpb::request_op::Request;
use super::proto::etcdserverpb::response_op::Response;
use super::proto::etcdserverpb::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, ResponseOp, TxnRequest, TxnResponse,
};
use super::proto::mvccpb;
use crate::port::{
    Error, Event, Guard, GuardedPut, KeyRange, KeyValue, LeaseId, Op, OpReply, Result, Revision, Txn, TxnReply,
};

/// What stands before every key.
#[derive(Debug, Clone)]
pub(super) struct Prefix {
    start: Bytes,
    /// The first key behind everything that begins with it.
    end: Bytes,
}

impl Prefix {
    pub(super) fn new(prefix: &str) -> Self {
        let KeyRange { start, end } = KeyRange::prefix(prefix.to_string());
        Self { start, end }
    }

    pub(super) fn put_on(&self, key: &[u8]) -> Bytes {
        [&self.start, key].concat().into()
    }

    fn take_off(&self, mut key: Bytes) -> Result<Bytes> {
        if !key.starts_with(&self.start) {
            return Err(Error::Storage(format!("etcd answered with a key of others: \"{}\"", key.escape_ascii())));
        }
        Ok(key.split_off(self.start.len()))
    }

    /// Start and end as etcd wants them.
    pub(super) fn range(&self, range: &KeyRange) -> (Bytes, Bytes) {
        let end = match &range.end[..] {
            b"" => Bytes::new(),
            b"\0" => self.end.clone(),
            end => self.put_on(end),
        };
        (self.put_on(&range.start), end)
    }

    pub(super) fn key_value(&self, kv: mvccpb::KeyValue) -> Result<KeyValue> {
        Ok(KeyValue {
            key: self.take_off(kv.key)?,
            value: kv.value,
            create_revision: Revision(kv.create_revision),
            mod_revision: Revision(kv.mod_revision),
            version: kv.version,
            lease: LeaseId(kv.lease),
        })
    }

    pub(super) fn event(&self, event: mvccpb::Event) -> Result<Event> {
        let is_delete = event.r#type() == mvccpb::event::EventType::Delete;
        let kv = event.kv.ok_or_else(|| Error::Storage("etcd sent an event without a key".into()))?;
        Ok(if is_delete {
            Event::Delete { revision: Revision(kv.mod_revision), key: self.take_off(kv.key)? }
        } else {
            Event::Put(self.key_value(kv)?)
        })
    }

    fn compare(&self, guard: &Guard) -> Compare {
        use CompareResult::{Equal, Greater};
        let (key, result, target, union) = match guard {
            Guard::ModRevision(key, at) => (key, Equal, CompareTarget::Mod, TargetUnion::ModRevision(at.0)),
            Guard::CreateRevision(key, at) => (key, Equal, CompareTarget::Create, TargetUnion::CreateRevision(at.0)),
            Guard::Exists(key) => (key, Greater, CompareTarget::Version, TargetUnion::Version(0)),
            Guard::Absent(key) => (key, Equal, CompareTarget::Version, TargetUnion::Version(0)),
            Guard::Value(key, value) => (key, Equal, CompareTarget::Value, TargetUnion::Value(value.clone())),
        };
        Compare { result: result.into(), target: target.into(), key: self.put_on(key), target_union: Some(union) }
    }

    fn op(&self, op: &Op) -> RequestOp {
        RequestOp {
            request: Some(match op {
                Op::Put { key, value, lease } => {
                    Request::RequestPut(PutRequest { key: self.put_on(key), value: value.clone(), lease: lease.0 })
                }
                Op::Delete(range) => {
                    let (key, range_end) = self.range(range);
                    Request::RequestDeleteRange(DeleteRangeRequest { key, range_end })
                }
                Op::Get(range) => {
                    let (key, range_end) = self.range(range);
                    Request::RequestRange(RangeRequest { key, range_end, ..RangeRequest::default() })
                }
            }),
        }
    }

    pub(super) fn txn(&self, txn: &Txn) -> TxnRequest {
        TxnRequest {
            compare: txn.guards.iter().map(|guard| self.compare(guard)).collect(),
            success: txn.then.iter().map(|op| self.op(op)).collect(),
            failure: txn.or_else.iter().map(|op| self.op(op)).collect(),
        }
    }

    pub(super) fn guarded_put(&self, put: &GuardedPut) -> TxnRequest {
        let request = PutRequest { key: self.put_on(&put.key), value: put.value.clone(), lease: put.lease.0 };
        TxnRequest {
            compare: put.guards.iter().map(|guard| self.compare(guard)).collect(),
            success: vec![RequestOp { request: Some(Request::RequestPut(request)) }],
            failure: vec![],
        }
    }

    pub(super) fn txn_reply(&self, reply: TxnResponse) -> Result<TxnReply> {
        let revision = Revision(reply.header.map_or(0, |header| header.revision));
        let replies = reply.responses.into_iter().map(|op| self.op_reply(op)).collect::<Result<_>>()?;
        Ok(TxnReply { revision, succeeded: reply.succeeded, replies })
    }

    fn op_reply(&self, op: ResponseOp) -> Result<OpReply> {
        Ok(match op.response {
            Some(Response::ResponsePut(_)) => OpReply::Put,
            Some(Response::ResponseDeleteRange(reply)) => OpReply::Delete(reply.deleted),
            Some(Response::ResponseRange(reply)) => {
                OpReply::Get(reply.kvs.into_iter().map(|kv| self.key_value(kv)).collect::<Result<_>>()?)
            }
            other => return Err(Error::Storage(format!("etcd answered an operation with {other:?}"))),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_stay_within_the_prefix() {
        let prefix = Prefix::new("/eru");
        let range = |start: &'static str, end: &'static str| {
            let (start, end) = prefix.range(&KeyRange { start: start.into(), end: end.into() });
            [start, end].map(|key| String::from_utf8(key.to_vec()).unwrap())
        };
        assert_eq!(range("/a", ""), ["/eru/a", ""]);
        assert_eq!(range("/a", "/b"), ["/eru/a", "/eru/b"]);
        assert_eq!(range("/a", "\0"), ["/eru/a", "/erv"], "the end of all keys is the end of ours");
        assert_eq!(prefix.take_off("/eru/a".into()).unwrap(), "/a");
        assert!(prefix.take_off("/other".into()).is_err());
    }
}
