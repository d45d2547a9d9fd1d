//! Reading past a cache that is behind: what a reader wants comes from the store, and is derived as the cache derives it.

use super::{Cache, Parts};
use crate::{
    cluster::now_ms,
    keys,
    record::{self, IndexRecord, Versioned},
    watch::TombstoneLimits,
};
use bytes::{BufMut, Bytes, BytesMut};
use eru_kv::{Error, Event, KeyRange, KeyValue, Kv, RangeOptions, Revision};
use eru_types::{EngineId, NodeName, PodName};
use futures::{FutureExt, StreamExt, TryStreamExt, stream};
use std::{collections::BTreeSet, sync::Arc, time::Duration};

/// How long a read of single objects waits for the cache before it asks the store. A healthy watch needs a few
/// milliseconds.
const PATIENCE: Duration = Duration::from_millis(20);
/// Keys that are read for one reader at a time.
const READS_AT_A_TIME: usize = 16;
/// Most keys of one page.
const PAGE_KEYS: usize = 1000;

/// What a reader wants to know.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wanted<'a> {
    /// All pods.
    Pods,
    /// A pod.
    Pod(&'a PodName),
    /// A node, with its placements.
    Node(&'a NodeName),
    /// Workloads.
    Workloads(&'a [EngineId]),
}

impl Cache {
    /// A cache that has everything about `wanted` that was acknowledged by any core before this call: this one as soon as
    /// it has caught up, or one of the store's present, made for this reader, that holds nothing else.
    ///
    /// # Cost
    /// One round trip that is shared; when this cache is behind, a few more for each object.
    ///
    /// # Errors
    /// What the store answered.
    pub(crate) async fn fresh(self: &Arc<Self>, kv: &dyn Kv, wanted: Wanted<'_>) -> Result<Arc<Self>, Error> {
        if self.caught_up_within(PATIENCE).await? { Ok(self.clone()) } else { self.past(kv, wanted).await }
    }

    /// What the store has of `wanted` now, at one revision.
    ///
    /// # Errors
    /// What the store answered.
    pub(crate) async fn past(&self, kv: &dyn Kv, wanted: Wanted<'_>) -> Result<Arc<Self>, Error> {
        let (revision, kvs) = loop {
            match read(kv, wanted).await {
                // A read that took longer than history is kept begins again.
                Err(Error::Compacted(_)) => {}
                outcome => break outcome?,
            }
        };
        let gone = || Error::Unavailable {
            endpoint: "cache".into(),
            cause: "it holds one answer and follows nothing".into(),
            maybe_done: false,
        };
        let cache = Self::new(Parts {
            identity: self.identity().clone(),
            ask: Box::new(move || futures::future::ready(Err(gone())).boxed()),
            nudge: Box::new(|| futures::future::ready(()).boxed()),
            tombstones: TombstoneLimits::default(),
        });
        cache.update(|state| {
            let touched = state.apply(revision, kvs.into_iter().map(Event::Put).collect(), now_ms());
            let names: Vec<NodeName> = state.nodes.keys().cloned().collect();
            for name in names {
                // Since when a node is in its state, only those know who saw it come into it.
                let (Some(slot), Some(view)) = (state.nodes.get_mut(&name), self.node(&name)) else { continue };
                if slot.life.state == view.state() {
                    slot.state_since_ms = view.state_since_ms;
                    slot.touch();
                }
            }
            touched
        });
        Ok(cache)
    }
}

/// Everything that `wanted` is derived from, by revision, each key once.
async fn read(kv: &dyn Kv, wanted: Wanted<'_>) -> Result<(Revision, Vec<KeyValue>), Error> {
    let revision = kv.revision().await?;
    let mut kvs = match wanted {
        Wanted::Pods => ranges(kv, revision, vec![keys::pods()]).await?,
        Wanted::Pod(name) => ranges(kv, revision, vec![KeyRange::key(keys::pod(name))]).await?,
        Wanted::Node(name) => {
            let mut wanted: Vec<KeyRange> = node_keys(name).into_iter().map(KeyRange::key).collect();
            wanted.push(keys::placements(name));
            ranges(kv, revision, wanted).await?
        }
        Wanted::Workloads(ids) => {
            let ids: BTreeSet<&EngineId> = ids.iter().collect();
            let indexes = ranges(kv, revision, ids.iter().map(|id| KeyRange::key(keys::index(id))).collect()).await?;
            let mut wanted: BTreeSet<Bytes> = BTreeSet::new();
            for index in &indexes {
                let Some(keys::Key::Index(id)) = keys::parse(&index.key) else { continue };
                let place: Versioned<IndexRecord> = record::decode(&index.value)
                    .map_err(|error| Error::Storage(format!("the value of /index/{id} does not decode: {error}")))?;
                wanted.insert(keys::placement(&place.node, &place.name));
                wanted.insert(keys::status(&place.node, &id));
                wanted.extend(node_keys(&place.node));
            }
            ranges(kv, revision, wanted.into_iter().map(KeyRange::key).collect()).await?
        }
    };
    kvs.sort_by_key(|kv| kv.mod_revision);
    Ok((revision, kvs))
}

/// Where the facts about a node are, besides its placements.
fn node_keys(name: &NodeName) -> [Bytes; 5] {
    [keys::node(name), keys::version(name), keys::verdict(name), keys::alive(name), keys::agent(name)]
}

async fn ranges(kv: &dyn Kv, at: Revision, wanted: Vec<KeyRange>) -> Result<Vec<KeyValue>, Error> {
    let read = stream::iter(wanted).map(|range| pages(kv, at, range)).buffer_unordered(READS_AT_A_TIME);
    Ok(read.try_collect::<Vec<_>>().await?.into_iter().flatten().collect())
}

async fn pages(kv: &dyn Kv, at: Revision, mut range: KeyRange) -> Result<Vec<KeyValue>, Error> {
    let mut kvs = Vec::new();
    loop {
        let page = kv.range(&range, RangeOptions { at: Some(at), limit: PAGE_KEYS }).await?;
        let last = page.kvs.last().map(|kv| kv.key.clone());
        kvs.extend(page.kvs);
        match last {
            Some(last) if page.more => {
                let mut next = BytesMut::with_capacity(last.len() + 1);
                next.extend_from_slice(&last);
                next.put_u8(0);
                range.start = next.freeze();
            }
            _ => return Ok(kvs),
        }
    }
}
