//! Committing one transaction of placements, and finding out what it lost on.

use super::{job::Work, pack::Chunk};
use crate::cluster::writer::copy;
use bytes::Bytes;
use eru_kv::{Durability, Error as StoreError, KeyValue, Kv, OpReply, Revision, Txn, TxnReply};
use eru_types::NodeName;
use std::collections::HashSet;

/// What became of a transaction.
pub(super) enum Outcome {
    /// Everything is committed.
    Done(Revision),
    /// Nothing is.
    Lost {
        /// The store's revision.
        revision: Revision,
        /// The nodes that were changed in between.
        nodes: HashSet<NodeName>,
        /// Deploys whose op id was used before, with what is stored under it.
        ops: Vec<(usize, Bytes)>,
    },
    /// It is not known.
    Failed(StoreError),
}

pub(super) async fn commit(kv: &dyn Kv, txn: Txn, chunk: &Chunk) -> Outcome {
    match kv.txn(txn, Durability::Durable).await {
        Ok(reply) if reply.succeeded => Outcome::Done(reply.revision),
        Ok(reply) => lost(reply, chunk),
        Err(error) => Outcome::Failed(error),
    }
}

fn lost(reply: TxnReply, chunk: &Chunk) -> Outcome {
    let mut answers = reply.replies.into_iter().map(|reply| match reply {
        OpReply::Get(kvs) => kvs.into_iter().next(),
        OpReply::Put | OpReply::Delete(_) => None,
    });
    let mut next = || answers.next().flatten();
    let revision = |kv: Option<KeyValue>| kv.map_or(Revision(0), |kv| kv.mod_revision);
    let mut nodes = HashSet::new();
    for (node, basis) in &chunk.nodes {
        let (version, record) = (revision(next()), revision(next()));
        if version != basis.version || record != basis.record {
            nodes.insert(node.clone());
        }
    }
    let ops = chunk.claims.iter().filter_map(|work| Some((*work, next()?.value))).collect();
    Outcome::Lost { revision: reply.revision, nodes, ops }
}

/// Ends every deploy that has a part in a transaction that failed.
pub(super) fn fail_all(works: &mut [Work], chunk: &Chunk, error: &StoreError) {
    for work in &chunk.works {
        works[*work].fail(copy(error).into());
    }
}
