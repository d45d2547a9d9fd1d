//! Room for calls that take long, apart from the turns that deploys and removals wait for: a hundred copies must not keep a
//! workload from being started.

use super::{Error, Result, files::COPIED_BYTES_MAX};
use eru_types::NodeName;
use parking_lot::Mutex;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Commands inside of workloads at a time, of one core and on one node: each holds a connection to the engine.
const SESSIONS_MAX: usize = 1024;
const NODE_SESSIONS_MAX: usize = 128;
/// Files on their way at a time in one direction, of one core and of one node: more only share the same disk and wire.
const TRANSFERS_MAX: usize = 64;
const NODE_TRANSFERS_MAX: usize = 8;
/// Images that are fetched at a time, of one core and by one node.
const PULLS_MAX: usize = 64;
const NODE_PULLS_MAX: usize = 4;
/// Runs to the end whose output is read at a time, of one core and on one node; others wait, their output stays in the engine.
const RUNS_MAX: usize = 2048;
const NODE_RUNS_MAX: usize = 256;

/// Memory for files that are copied out of workloads for their replacements, in bytes, of one core: four of the largest copies.
const KEPT_BYTES_MAX: usize = 4 * COPIED_BYTES_MAX;
/// What that memory is counted in, in bytes.
const KEPT_UNIT_BYTES: usize = 64 << 10;

/// The room of one core.
pub struct Pools {
    /// For commands inside of workloads.
    pub(crate) sessions: Pool,
    /// For files out of workloads: held for as long as a client takes to read them.
    pub(crate) copies: Pool,
    /// For files into workloads: whoever waits here holds the lock of a workload, so nobody who holds a place may wait for
    /// a client.
    pub(crate) sends: Pool,
    /// For fetching images.
    pub(crate) pulls: Pool,
    /// For reading the output of runs to the end.
    pub(crate) runs: Pool,
    /// For files that are kept in memory between two workloads.
    pub(crate) kept: Memory,
}

impl Default for Pools {
    fn default() -> Self {
        Self {
            sessions: Pool::new("commands inside of workloads", SESSIONS_MAX, NODE_SESSIONS_MAX),
            copies: Pool::new("copies of files", TRANSFERS_MAX, NODE_TRANSFERS_MAX),
            sends: Pool::new("files being sent", TRANSFERS_MAX, NODE_TRANSFERS_MAX),
            pulls: Pool::new("fetches of images", PULLS_MAX, NODE_PULLS_MAX),
            runs: Pool::new("runs to the end", RUNS_MAX, NODE_RUNS_MAX),
            kept: Memory { units: Arc::new(Semaphore::new(units(KEPT_BYTES_MAX))) },
        }
    }
}

/// A bound on memory.
pub(crate) struct Memory {
    units: Arc<Semaphore>,
}

/// The right to so much of it.
pub(crate) struct Kept(OwnedSemaphorePermit);

fn units(bytes: usize) -> usize {
    bytes.div_ceil(KEPT_UNIT_BYTES)
}

impl Memory {
    /// Waits for room for a copy of the largest size.
    ///
    /// # Cancel safety
    /// Safe: who stops waiting leaves nothing behind.
    pub(crate) async fn enter(&self) -> Kept {
        let units = u32::try_from(units(COPIED_BYTES_MAX)).expect("the largest copy is a small number of units");
        Kept(self.units.clone().acquire_many_owned(units).await.expect("semaphores of a pool are never closed"))
    }
}

impl Kept {
    /// Gives back all but `bytes`.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        drop(self.0.split(self.0.num_permits().saturating_sub(units(bytes))));
    }
}

/// Room for so many calls of one kind, of which so many to one node.
pub(crate) struct Pool {
    what: &'static str,
    max: usize,
    node_max: usize,
    all: Arc<Semaphore>,
    nodes: Mutex<HashMap<NodeName, Arc<Semaphore>>>,
}

/// The right to make one call; dropping it lets the next one in.
pub(crate) struct PoolPlace {
    _node: OwnedSemaphorePermit,
    _all: OwnedSemaphorePermit,
}

impl Pool {
    fn new(what: &'static str, max: usize, node_max: usize) -> Self {
        Self { what, max, node_max, all: Arc::new(Semaphore::new(max)), nodes: Mutex::default() }
    }

    /// A place at once.
    ///
    /// # Errors
    /// [`Error::Exhausted`] says which of the two bounds is reached.
    pub(crate) fn try_enter(&self, node: &NodeName) -> Result<PoolPlace> {
        let full =
            |max: usize, of: &str| Error::Exhausted(format!("{of} has {max} {} at a time, all are in use", self.what));
        let node_place = self.node(node).try_acquire_owned();
        let node_place = node_place.map_err(|_| full(self.node_max, &format!("node \"{node}\"")))?;
        let place = self.all.clone().try_acquire_owned().map_err(|_| full(self.max, "this core"))?;
        Ok(PoolPlace { _node: node_place, _all: place })
    }

    /// Waits for a place. Who waits for a busy node keeps nobody from another one.
    ///
    /// # Cancel safety
    /// Safe: who stops waiting leaves nothing behind.
    pub(crate) async fn enter(&self, node: &NodeName) -> PoolPlace {
        let open = "semaphores of a pool are never closed";
        let node_place = self.node(node).acquire_owned().await.expect(open);
        let place = self.all.clone().acquire_owned().await.expect(open);
        PoolPlace { _node: node_place, _all: place }
    }

    fn node(&self, node: &NodeName) -> Arc<Semaphore> {
        let mut nodes = self.nodes.lock();
        // Nodes that nobody calls take no memory.
        if !nodes.contains_key(node) {
            nodes.retain(|_, places| Arc::strong_count(places) > 1 || places.available_permits() < self.node_max);
        }
        nodes.entry(node.clone()).or_insert_with(|| Arc::new(Semaphore::new(self.node_max))).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;

    #[tokio::test]
    async fn a_full_node_is_named_and_others_go_on() {
        let pool = Pool::new("tests", 3, 2);
        let (a, b, c) = (NodeName::new("a").unwrap(), NodeName::new("b").unwrap(), NodeName::new("c").unwrap());
        let (first, _second) = (pool.try_enter(&a).unwrap(), pool.enter(&a).await);
        let text = pool.try_enter(&a).err().unwrap().to_string();
        assert_eq!(text, "node \"a\" has 2 tests at a time, all are in use");
        assert!(pool.enter(&a).now_or_never().is_none());
        let third = pool.try_enter(&b).unwrap();
        let text = pool.try_enter(&c).err().unwrap().to_string();
        assert_eq!(text, "this core has 3 tests at a time, all are in use");
        drop((first, third));
        assert!(pool.try_enter(&a).is_ok() && pool.try_enter(&c).is_ok());
        drop(pool.try_enter(&NodeName::new("d").unwrap()).unwrap());
        assert!(!pool.nodes.lock().contains_key(&b), "nobody calls it");
    }
    #[tokio::test]
    async fn a_small_copy_makes_room_for_more_than_a_large_one() {
        let pools = Pools::default();
        let mut all = Vec::new();
        while let Some(kept) = pools.kept.enter().now_or_never() {
            all.push(kept);
        }
        assert_eq!(all.len(), 4);
        all[0].shrink(1);
        all[1].shrink(COPIED_BYTES_MAX - KEPT_UNIT_BYTES);
        assert!(pools.kept.enter().now_or_never().is_some(), "what the two gave back is as much as one needs");
        all[0].shrink(COPIED_BYTES_MAX);
        assert!(pools.kept.enter().now_or_never().is_some(), "it has still given back all but one unit");
    }
}
