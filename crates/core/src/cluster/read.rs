//! Reading a few keys at one revision, straight from the store: for changes that are guarded by what was read.

use bytes::Bytes;
use eru_kv::{Durability, KeyRange, KeyValue, Kv, Op, OpReply, Txn};

/// What [`read`] found.
pub(crate) struct Found {
    /// One for each key that was asked for, in that order.
    pub(crate) values: Vec<Option<KeyValue>>,
}

/// Reads `keys` at one revision. One round trip.
pub(crate) async fn read(kv: &dyn Kv, keys: &[Bytes]) -> eru_kv::Result<Found> {
    let then = keys.iter().map(|key| Op::Get(KeyRange::key(key.clone()))).collect();
    let reply = kv.txn(Txn { then, ..Txn::default() }, Durability::Durable).await?;
    let values = reply
        .replies
        .into_iter()
        .map(|reply| match reply {
            OpReply::Get(kvs) => kvs.into_iter().next(),
            OpReply::Put | OpReply::Delete(_) => None,
        })
        .collect();
    Ok(Found { values })
}
