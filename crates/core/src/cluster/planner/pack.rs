//! Which placements go into which transaction. Pure.
//!
//! A transaction holds whole nodes as far as they fit. What has lost a guard goes node by node: then some of it is
//! committed where many cores want the same nodes, and nothing waits for the luckiest moment of all of them.

use super::{
    job::Work,
    snapshots::{Basis, Board},
};
use crate::{
    keys,
    record::{self, OpRecord, Versioned},
};
use bytes::Bytes;
use eru_kv::{Guard, KeyRange, Op, Txn, limits};
use eru_types::NodeName;
use std::collections::{BTreeMap, BTreeSet};

/// Bytes of a transaction kept free for keys, guards and framing.
const BYTES_SPARE: usize = 100_000;

/// A placement, by the number of its deploy in the batch and its own number in that.
pub(super) type At = (usize, usize);

/// One transaction to be.
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) nodes: Vec<(NodeName, Basis)>,
    pub(super) items: Vec<At>,
    /// Deploys whose op keys are claimed with it.
    pub(super) claims: BTreeSet<usize>,
    /// Deploys that it has items of.
    pub(super) works: BTreeSet<usize>,
    /// Of them, those with a fence.
    fences: BTreeSet<usize>,
    /// Whether it takes no further node.
    alone: bool,
    bytes: usize,
}

impl Chunk {
    fn guards_len(&self) -> usize {
        self.nodes.len() * 2 + self.claims.len() + self.fences.len()
    }

    fn ops_len(&self) -> usize {
        self.nodes.len() + self.claims.len() + self.items.len()
    }

    /// Whether `items` more, of one more node and deploys unseen, fit for sure.
    fn fits(&self, items: usize, bytes: usize) -> bool {
        self.guards_len() + 2 + 2 * items.min(2) <= limits::TXN_OPS_MAX
            && self.ops_len() + 1 + 2 * items <= limits::TXN_OPS_MAX
            && self.bytes + bytes <= limits::TXN_BYTES_MAX - BYTES_SPARE
    }

    fn has_room(&self, works: &[Work], (work, item): At) -> bool {
        let claims = usize::from(works[work].op.is_some() && !works[work].claimed && !self.claims.contains(&work));
        let fences = usize::from(works[work].fence.is_some() && !self.fences.contains(&work));
        self.guards_len() + claims + fences <= limits::TXN_OPS_MAX
            && self.ops_len() + claims < limits::TXN_OPS_MAX
            && (self.items.is_empty() || self.bytes + size(works, (work, item)) <= limits::TXN_BYTES_MAX - BYTES_SPARE)
    }

    fn push(&mut self, works: &[Work], (work, item): At) {
        self.bytes += size(works, (work, item));
        self.items.push((work, item));
        self.works.insert(work);
        if works[work].op.is_some() && !works[work].claimed {
            self.claims.insert(work);
        }
        if works[work].fence.is_some() {
            self.fences.insert(work);
        }
    }

    /// Whether a deploy has more to commit than this.
    pub(super) fn is_part(&self, works: &[Work], work: usize) -> bool {
        self.items.iter().filter(|(of, _)| *of == work).count() < works[work].items.len()
    }

    /// The transaction of the core `instance`. When a guard is lost its answers say which: of each node the version and the
    /// record, then the op keys.
    pub(super) fn txn(&self, works: &[Work], instance: &str) -> Txn {
        let mut txn = Txn::default();
        for (node, basis) in &self.nodes {
            txn.guards.push(Guard::ModRevision(keys::version(node), basis.version));
            txn.guards.push(Guard::ModRevision(keys::node(node), basis.record));
            txn.then.push(Op::put(keys::version(node), Bytes::from_static(b"1")));
            txn.or_else.push(Op::Get(KeyRange::key(keys::version(node))));
            txn.or_else.push(Op::Get(KeyRange::key(keys::node(node))));
        }
        for work in &self.claims {
            let key = keys::op(&works[*work].job.request.op_id);
            let op = works[*work].op.clone().expect("a deploy that claims has a value to claim with");
            let placing = if self.is_part(works, *work) { instance.to_owned() } else { String::new() };
            let value = record::encode(&Versioned::new(OpRecord { placing, ..op }));
            txn.guards.push(Guard::Absent(key.clone()));
            txn.then.push(Op::put(key.clone(), value));
            txn.or_else.push(Op::Get(KeyRange::key(key)));
        }
        txn.guards.extend(self.fences.iter().filter_map(|work| works[*work].fence.clone()));
        for (work, item) in &self.items {
            let item = &works[*work].items[*item];
            txn.then.push(Op::put(item.key.clone(), item.value.clone()));
        }
        txn
    }
}

fn size(works: &[Work], (work, item): At) -> usize {
    let item = &works[work].items[item];
    item.key.len() + item.value.len()
}

/// Everything that this round can commit. What is left out (more of one node than fits one transaction, or more of a
/// deploy than the transaction that claims its op key) stays for the next.
pub(super) fn pack(works: &[Work], board: &Board) -> Vec<Chunk> {
    let mut by_node: BTreeMap<&NodeName, Vec<At>> = BTreeMap::new();
    for (w, work) in works.iter().enumerate().filter(|(_, work)| work.end.is_none()) {
        for (i, item) in work.items.iter().enumerate() {
            by_node.entry(&item.placement.node).or_default().push((w, i));
        }
    }
    let mut chunks = vec![Chunk::default()];
    // Which chunk claims a deploy's op key.
    let mut claimed_in: BTreeMap<usize, usize> = BTreeMap::new();
    for (node, items) in by_node {
        let Some(seat) = board.get(node) else { continue };
        let bytes = items.iter().map(|at| size(works, *at)).sum();
        let last = chunks.last().expect("there is always one");
        let alone = items.iter().any(|(work, _)| works[*work].losses > 0);
        if !last.items.is_empty() && (alone || last.alone || !last.fits(items.len(), bytes)) {
            chunks.push(Chunk::default());
        }
        let number = chunks.len() - 1;
        let chunk = &mut chunks[number];
        chunk.alone = alone;
        chunk.nodes.push((node.clone(), seat.basis));
        let before = chunk.items.len();
        for at in items {
            let claims = works[at.0].op.is_some() && !works[at.0].claimed;
            if claims && *claimed_in.get(&at.0).unwrap_or(&number) != number {
                continue;
            }
            if !chunk.has_room(works, at) {
                break;
            }
            if claims {
                claimed_in.insert(at.0, number);
            }
            chunk.push(works, at);
        }
        if chunk.items.len() == before {
            chunk.nodes.pop();
        }
    }
    chunks.retain(|chunk| !chunk.items.is_empty());
    chunks
}
