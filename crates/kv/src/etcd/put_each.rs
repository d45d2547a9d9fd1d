//! Independent guarded puts in few round trips: many nested in one transaction.
//!
//! etcd evaluates the guards of all nested transactions before it runs the first one, and transactions in flight at the
//! same time overtake each other. So a put that depends on an earlier one of the list begins a new wave, and the waves
//! go one after another.

use std::collections::HashSet;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};

use super::error::Refusal;
use super::proto::etcdserverpb::request_op::Request;
use super::proto::etcdserverpb::response_op::Response;
use super::proto::etcdserverpb::{RequestOp, TxnRequest, TxnResponse};
use super::store::Etcd;
use crate::check;
use crate::limits::{TXN_BYTES_MAX, TXN_OPS_MAX};
use crate::port::{Error, Guard, GuardedPut, PutOutcome, Result, Revision};

/// Transactions of one list that are in flight at once.
const IN_FLIGHT_MAX: usize = 16;
/// What etcd's framing adds to each guard and put, in bytes, generously.
const FRAMING_BYTES: usize = 64;

type Chunk<'a> = &'a [GuardedPut];

pub(super) async fn put_each(etcd: &Etcd, puts: &[GuardedPut]) -> Result<Vec<PutOutcome>> {
    let mut outcomes = Vec::with_capacity(puts.len());
    for wave in waves(puts) {
        let chunks = chunks(wave, etcd.prefix_bytes())?;
        let requests: Vec<_> = chunks.into_iter().map(|chunk| put_chunk(etcd, chunk)).collect();
        outcomes.extend(in_flight(requests).await?.into_iter().flatten());
    }
    Ok(outcomes)
}

/// The results in the order given, with a bounded number under way.
async fn in_flight<T>(requests: Vec<impl Future<Output = Result<T>>>) -> Result<Vec<T>> {
    stream::iter(requests).buffered(IN_FLIGHT_MAX).try_collect().await
}

fn guarded_key(guard: &Guard) -> &Bytes {
    match guard {
        Guard::ModRevision(key, _) | Guard::CreateRevision(key, _) | Guard::Value(key, _) => key,
        Guard::Exists(key) | Guard::Absent(key) => key,
    }
}

/// Cuts before each put that reads what an earlier one of its wave writes, or writes what an earlier one reads.
fn waves(puts: &[GuardedPut]) -> Vec<&[GuardedPut]> {
    let mut cuts = vec![0];
    let (mut written, mut read) = (HashSet::new(), HashSet::new());
    for (index, put) in puts.iter().enumerate() {
        if read.contains(&put.key) || put.guards.iter().any(|guard| written.contains(guarded_key(guard))) {
            cuts.push(index);
            written.clear();
            read.clear();
        }
        written.insert(&put.key);
        read.extend(put.guards.iter().map(guarded_key).filter(|key| **key != put.key));
    }
    cuts.push(puts.len());
    cuts.windows(2).map(|cut| &puts[cut[0]..cut[1]]).collect()
}

/// Cuts a wave so that each part fits one transaction. etcd counts the operations of a transaction together with those
/// of the largest one nested in it.
fn chunks(wave: &[GuardedPut], prefix_bytes: usize) -> Result<Vec<Chunk<'_>>> {
    let mut chunks = Vec::new();
    let (mut start, mut bytes, mut nested_ops) = (0, 0, 0);
    for (index, put) in wave.iter().enumerate() {
        let ops = put.guards.len().max(1);
        let more = check::put_bytes(put)? + (1 + put.guards.len()) * (FRAMING_BYTES + prefix_bytes);
        let fits = index - start + 1 + ops.max(nested_ops) <= TXN_OPS_MAX && bytes + more <= TXN_BYTES_MAX;
        if index > start && !fits {
            chunks.push(&wave[start..index]);
            (start, bytes, nested_ops) = (index, 0, 0);
        }
        bytes += more;
        nested_ops = nested_ops.max(ops);
    }
    if start < wave.len() {
        chunks.push(&wave[start..]);
    }
    Ok(chunks)
}

async fn put_chunk(etcd: &Etcd, chunk: Chunk<'_>) -> Result<Vec<PutOutcome>> {
    if let [only] = chunk {
        return Ok(vec![put_one(etcd, only).await?]);
    }
    let nested =
        chunk.iter().map(|put| RequestOp { request: Some(Request::RequestTxn(etcd.prefix().guarded_put(put))) });
    let request = TxnRequest { compare: vec![], success: nested.collect(), failure: vec![] };
    match etcd.write_txn(request).await {
        Ok(reply) => nested_outcomes(reply, chunk.len()),
        // One lease that is gone stops all of them, with nothing written.
        Err(Refusal::LeaseGone) => in_flight(chunk.iter().map(|put| put_one(etcd, put)).collect()).await,
        Err(refusal) => Err(refusal.into()),
    }
}

fn nested_outcomes(reply: TxnResponse, count: usize) -> Result<Vec<PutOutcome>> {
    let revision = Revision(reply.header.map_or(0, |header| header.revision));
    let outcomes: Vec<PutOutcome> = reply
        .responses
        .into_iter()
        .filter_map(|op| match op.response {
            Some(Response::ResponseTxn(nested)) if nested.succeeded => Some(PutOutcome::Written(revision)),
            Some(Response::ResponseTxn(_)) => Some(PutOutcome::Refused),
            _ => None,
        })
        .collect();
    if outcomes.len() != count {
        return Err(Error::Storage(format!("etcd answered {} of {count} puts", outcomes.len())));
    }
    Ok(outcomes)
}

async fn put_one(etcd: &Etcd, put: &GuardedPut) -> Result<PutOutcome> {
    match etcd.write_txn(etcd.prefix().guarded_put(put)).await {
        Ok(TxnResponse { succeeded: true, header, .. }) => {
            Ok(PutOutcome::Written(Revision(header.map_or(0, |header| header.revision))))
        }
        Ok(_) | Err(Refusal::LeaseGone) => Ok(PutOutcome::Refused),
        Err(refusal) => Err(refusal.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::port::LeaseId;

    fn put(key: &str, reads: &[&str]) -> GuardedPut {
        let guards = reads.iter().map(|key| Guard::Exists(key.to_string().into())).collect();
        GuardedPut { guards, key: key.to_string().into(), value: Bytes::new(), lease: LeaseId(0) }
    }

    #[test]
    fn puts_that_depend_on_each_other_are_in_different_waves() {
        let lengths = |puts: &[GuardedPut]| waves(puts).iter().map(|wave| wave.len()).collect::<Vec<_>>();
        assert_eq!(lengths(&[put("a", &["a"]), put("b", &["x"]), put("c", &["x"])]), [3]);
        assert_eq!(lengths(&[put("a", &[]), put("b", &["a"])]), [1, 1]);
        assert_eq!(lengths(&[put("a", &["b"]), put("b", &[]), put("c", &["a"])]), [1, 2]);
        assert_eq!(lengths(&[put("a", &["b"]), put("b", &[]), put("c", &["b"])]), [1, 1, 1]);
        assert_eq!(lengths(&[]), [0]);
    }

    #[test]
    fn chunks_respect_the_limits() {
        let many: Vec<GuardedPut> = (0..300).map(|index| put(&index.to_string(), &[])).collect();
        assert_eq!(chunks(&many, 4).unwrap().iter().map(|chunk| chunk.len()).collect::<Vec<_>>(), [127, 127, 46]);
        let guarded: Vec<GuardedPut> = (0..10).map(|index| put(&index.to_string(), &["a"; 125])).collect();
        assert_eq!(chunks(&guarded, 4).unwrap().iter().map(|chunk| chunk.len()).collect::<Vec<_>>(), [3, 3, 3, 1]);
        let large = GuardedPut { value: vec![0; 600_000].into(), ..put("k", &[]) };
        let sizes = chunks(&[large.clone(), large.clone(), large], 4)
            .unwrap()
            .iter()
            .map(|chunk| chunk.len())
            .collect::<Vec<_>>();
        assert_eq!(sizes, [2, 1]);
    }
}
