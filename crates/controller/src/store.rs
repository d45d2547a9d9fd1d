//! The controller's records in its store.

use crate::record::{self, ProgressRecord, SetRecord, SlotRecord, SpecRecord};
use crate::{Error, keys};
use eru_api::controller::ReplicaSetSpec;
use eru_kv::{Durability, Guard, KeyRange, KeyValue, Kv, Op, RangeOptions, Txn, limits};
use eru_reconcile::Slot;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Generations of a spec that are kept for a look back.
const HISTORY_LEN_MAX: usize = 10;
/// Generations that are forgotten at once: with the rest of the change well below the store's bound on operations. Those
/// that are left are forgotten with the next change.
const FORGOTTEN_A_TXN: usize = 64;
/// Slots of one transaction: well below the store's bound on operations, with slots of at most 2 KB well below its bound
/// on bytes.
const SLOTS_A_TXN: usize = 100;

/// The records, as the present leader may write them.
#[derive(Clone)]
pub struct Store {
    kv: Arc<dyn Kv>,
    /// Holds as long as we lead.
    fence: Vec<Guard>,
}

/// A set as it was stored.
pub struct StoredSet {
    /// The set.
    pub set: SetRecord,
    /// Its specs by generation.
    pub specs: BTreeMap<u64, ReplicaSetSpec>,
}

/// What is stored of all sets.
#[derive(Default)]
pub struct Loaded {
    /// The sets.
    pub sets: Vec<StoredSet>,
    /// Those that cannot be read, by name: why.
    pub damaged: BTreeMap<String, String>,
}

impl Store {
    /// A store whose every write is guarded by `fence`.
    pub fn new(kv: Arc<dyn Kv>, fence: Vec<Guard>) -> Self {
        Self { kv, fence }
    }

    /// Every set. A record that does not decode is set aside, with an error in the log.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn load_sets(&self) -> Result<Loaded, Error> {
        let mut loaded = Loaded::default();
        for kv in read_all(&*self.kv, keys::sets()).await? {
            let name = name_of(&kv);
            match self.load_set(&kv).await? {
                Ok(set) => loaded.sets.push(set),
                Err(cause) => {
                    tracing::error!(set = %name, %cause, "what is stored of a set cannot be read, it is left alone");
                    loaded.damaged.insert(name, cause);
                }
            }
        }
        Ok(loaded)
    }

    /// One set with its specs, or what is wrong with it.
    async fn load_set(&self, kv: &KeyValue) -> Result<Result<StoredSet, String>, Error> {
        let set = match record::decode::<SetRecord>(&kv.value) {
            Ok(set) => set,
            Err(cause) => return Ok(Err(cause)),
        };
        let specs = self.decode_all::<SpecRecord>(keys::specs(&set.uid)).await?;
        let generation = |key: &str| key.rsplit('/').next().and_then(|text| text.parse().ok());
        let specs: BTreeMap<u64, ReplicaSetSpec> =
            specs.into_iter().filter_map(|(key, record)| Some((generation(&key)?, record.spec))).collect();
        let missing = [set.template_generation, set.generation].into_iter().find(|g| !specs.contains_key(g));
        Ok(match missing {
            Some(generation) => Err(format!("the spec of generation {generation} is missing")),
            None => Ok(StoredSet { set, specs }),
        })
    }

    /// Writes a set, with a new generation of its spec if there is one, and forgets generations that nobody needs.
    ///
    /// # Errors
    /// [`Error::Deposed`] when another controller leads, else those of the store.
    pub async fn put_set(
        &self,
        set: &SetRecord,
        specs: &BTreeMap<u64, ReplicaSetSpec>,
        forget: &[u64],
    ) -> Result<(), Error> {
        let mut ops = vec![put(keys::set(&set.name), set)?];
        if let Some(spec) = specs.get(&set.generation) {
            ops.push(put(keys::spec(&set.uid, set.generation), &SpecRecord { spec: spec.clone() })?);
        }
        ops.extend(forget.iter().map(|generation| Op::delete(keys::spec(&set.uid, *generation))));
        self.write(ops, Durability::Durable).await
    }

    /// Forgets a set and all that belongs to it.
    ///
    /// # Errors
    /// As [`Store::put_set`].
    pub async fn delete_set(&self, set: &SetRecord) -> Result<(), Error> {
        let ops = vec![
            Op::delete(keys::set(&set.name)),
            Op::Delete(keys::specs(&set.uid)),
            Op::delete(keys::progress(&set.uid)),
            Op::Delete(keys::slots(&set.uid)),
        ];
        self.write(ops, Durability::Durable).await
    }

    /// What is remembered of a set's slots, and the last generation that worked.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn load_slots(&self, uid: &str) -> Result<(Vec<Slot>, ProgressRecord), Error> {
        let slots = self.decode_all::<SlotRecord>(keys::slots(uid)).await?;
        let progress = self.decode_all::<ProgressRecord>(KeyRange::key(keys::progress(uid))).await?;
        let slots = slots.into_values().map(|record| record.slot).collect();
        Ok((slots, progress.into_values().next().unwrap_or_default()))
    }

    /// Writes slots.
    ///
    /// # Errors
    /// As [`Store::put_set`].
    ///
    /// # Cost
    /// One round trip for each hundred slots.
    pub async fn put_slots(&self, uid: &str, slots: &[&Slot], durability: Durability) -> Result<(), Error> {
        for some in slots.chunks(SLOTS_A_TXN) {
            let ops = some.iter().map(|slot| put(keys::slot(uid, slot.slot), &SlotRecord { slot: (*slot).clone() }));
            self.write(ops.collect::<Result<_, _>>()?, durability).await?;
        }
        Ok(())
    }

    /// Writes what is known to work of a set.
    ///
    /// # Errors
    /// As [`Store::put_set`].
    pub async fn put_progress(&self, uid: &str, progress: &ProgressRecord) -> Result<(), Error> {
        self.write(vec![put(keys::progress(uid), progress)?], Durability::Durable).await
    }

    async fn write(&self, then: Vec<Op>, durability: Durability) -> Result<(), Error> {
        let reply = self.kv.txn(Txn { guards: self.fence.clone(), then, or_else: Vec::new() }, durability).await?;
        if reply.succeeded { Ok(()) } else { Err(Error::Deposed) }
    }

    /// Reads all of a range at one revision; by key.
    async fn decode_all<T: DeserializeOwned>(&self, range: KeyRange) -> Result<BTreeMap<String, T>, Error> {
        let mut records = BTreeMap::new();
        for kv in read_all(&*self.kv, range).await? {
            let key = String::from_utf8_lossy(&kv.key).into_owned();
            match record::decode(&kv.value) {
                Ok(record) => drop(records.insert(key, record)),
                Err(error) => tracing::error!(%key, %error, "a record of the controller does not decode"),
            }
        }
        Ok(records)
    }
}

/// Generations that may be forgotten now: all but the newest ones and those in `used`, the oldest first.
pub fn forgettable(specs: &BTreeMap<u64, ReplicaSetSpec>, used: &[u64]) -> Vec<u64> {
    let old = specs.len().saturating_sub(HISTORY_LEN_MAX);
    let unused = specs.keys().take(old).copied().filter(|generation| !used.contains(generation));
    unused.take(FORGOTTEN_A_TXN).collect()
}

/// The name of the set that a record is of.
fn name_of(kv: &KeyValue) -> String {
    let key = String::from_utf8_lossy(&kv.key);
    key.rsplit('/').next().unwrap_or_default().to_owned()
}

async fn read_all(kv: &dyn Kv, mut range: KeyRange) -> Result<Vec<KeyValue>, Error> {
    let mut all: Vec<KeyValue> = Vec::new();
    let mut options = RangeOptions::default();
    loop {
        let reply = kv.range(&range, options.clone()).await?;
        options.at = options.at.or(Some(reply.revision));
        all.extend(reply.kvs);
        let (true, Some(last)) = (reply.more, all.last()) else { return Ok(all) };
        range.start = last.key.iter().copied().chain([0]).collect::<Vec<u8>>().into();
    }
}

fn put<T: Serialize>(key: String, record: &T) -> Result<Op, Error> {
    let value = record::encode(record).map_err(|cause| Error::Record { key: key.clone(), cause })?;
    if value.len() > limits::TXN_BYTES_MAX / 2 {
        let cause = format!("it has {} bytes, at most {} are stored", value.len(), limits::TXN_BYTES_MAX / 2);
        return Err(Error::Record { key, cause });
    }
    Ok(Op::put(key, value))
}
