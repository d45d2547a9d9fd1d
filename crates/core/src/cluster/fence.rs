//! Owners and their leaders' epochs: a leader that was replaced can change nothing any more.
//!
//! Each write on behalf of an owner is guarded by the owner's record having exactly the epoch that the caller has. A
//! higher epoch is written first, by compare-and-set; an older one is refused.

use super::{Error, Result, read::read};
use crate::{
    keys,
    record::{self, OwnerRecord, Versioned},
};
use bytes::Bytes;
use eru_kv::{Durability, Guard, KeyRange, Kv, Op, Revision, Txn};
use eru_types::{EngineId, name::excerpt};
use parking_lot::Mutex;
use std::collections::HashMap;

/// Owners whose records are remembered; the rest are read when they are needed.
const REMEMBERED_MAX: usize = 10_000;

/// On whose behalf a call is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub name: String,
    /// The epoch of the leader who calls.
    pub epoch: i64,
}

impl Owner {
    /// From the fields of a request; `None` when none is given.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a malformed name, a negative epoch, or an epoch without a name.
    pub fn from_wire(name: &str, epoch: i64) -> Result<Option<Self>> {
        if epoch < 0 {
            return Err(Error::Invalid(format!("owner_epoch must be 0 or more, got {epoch}")));
        }
        if name.is_empty() {
            return if epoch == 0 { Ok(None) } else { Err(Error::Invalid("owner_epoch needs owner".into())) };
        }
        Ok(Some(Self { name: key_name("owner", name)?, epoch }))
    }
}

/// A value that becomes a segment of a key.
///
/// # Errors
/// [`Error::Invalid`] that names the field.
pub(crate) fn key_name(field: &str, value: &str) -> Result<String> {
    // The rule for engine ids is the loosest that a key segment may have.
    if EngineId::new(value).is_ok() {
        return Ok(value.to_owned());
    }
    Err(Error::Invalid(format!(
        "{field} must be 1 to 128 letters, digits, '_', '.' or '-', beginning with a letter or digit, got \"{}\"",
        excerpt(value)
    )))
}

/// The owners' records as this core knows them.
#[derive(Default)]
pub(crate) struct Fences {
    known: Mutex<HashMap<String, (i64, Guard)>>,
}

impl Fences {
    /// The guard that holds as long as `owner`'s epoch is the newest; raises the record first if it is newer.
    ///
    /// # Errors
    /// [`Error::Precondition`] when the epoch is older than one that core has seen.
    ///
    /// # Cost
    /// Nothing for an epoch that was met before; otherwise one round trip, or two to raise it.
    pub(crate) async fn guard(&self, kv: &dyn Kv, owner: &Owner) -> Result<Guard> {
        if let Some((epoch, guard)) = self.known.lock().get(&owner.name)
            && *epoch == owner.epoch
        {
            return Ok(guard.clone());
        }
        let guard = establish(kv, owner).await?;
        let mut known = self.known.lock();
        if known.len() >= REMEMBERED_MAX {
            known.clear();
        }
        known.insert(owner.name.clone(), (owner.epoch, guard.clone()));
        Ok(guard)
    }

    /// As [`Fences::guard`], and makes sure that the store holds the same at this moment: another core may have met a
    /// newer epoch since this one last asked.
    ///
    /// # Errors
    /// [`Error::Precondition`] when the epoch is older than one that any core has seen.
    ///
    /// # Cost
    /// One round trip.
    pub(crate) async fn check(&self, kv: &dyn Kv, owner: &Owner) -> Result<()> {
        let guard = self.guard(kv, owner).await?;
        // The reading makes it a request: some stores refuse a transaction of guards alone.
        let then = vec![Op::Get(KeyRange::key(keys::owner(&owner.name)))];
        let txn = Txn { guards: vec![guard], then, or_else: Vec::new() };
        if kv.txn(txn, Durability::Durable).await?.succeeded {
            return Ok(());
        }
        self.forget(owner);
        // Asks the store, which has another epoch: a newer one is refused, and a record that is gone is written again.
        self.guard(kv, owner).await.map(drop)
    }

    /// To be called when a guard of this owner did not hold.
    pub(crate) fn forget(&self, owner: &Owner) {
        self.known.lock().remove(&owner.name);
    }
}

async fn establish(kv: &dyn Kv, owner: &Owner) -> Result<Guard> {
    let key = keys::owner(&owner.name);
    loop {
        let found = read(kv, std::slice::from_ref(&key)).await?.values.into_iter().next().flatten();
        let (epoch, revision) = match &found {
            None => (None, Revision(0)),
            Some(kv) => {
                let epoch = record::decode::<OwnerRecord>(&kv.value).map(|r| r.epoch);
                (Some(epoch.map_err(|e| Error::Internal(format!("owner {}: {e}", owner.name)))?), kv.mod_revision)
            }
        };
        match (epoch, found) {
            (Some(seen), _) if seen > owner.epoch => return Err(stale(owner, seen)),
            (Some(seen), Some(kv)) if seen == owner.epoch => return Ok(Guard::Value(key, kv.value)),
            _ => {
                let value: Bytes = record::encode(&Versioned::new(OwnerRecord { epoch: owner.epoch }));
                let txn = Txn {
                    guards: vec![Guard::ModRevision(key.clone(), revision)],
                    then: vec![Op::put(key.clone(), value.clone())],
                    or_else: Vec::new(),
                };
                if kv.txn(txn, Durability::Durable).await?.succeeded {
                    return Ok(Guard::Value(key, value));
                }
                // Somebody else raised it; epochs only grow, so this ends.
            }
        }
    }
}

fn stale(owner: &Owner, seen: i64) -> Error {
    Error::Precondition(format!("owner epoch {} is older than {seen}", owner.epoch))
}

#[cfg(test)]
mod tests {
    use super::*;
    use eru_kv::{Embedded, EmbeddedOptions};

    #[tokio::test]
    async fn an_older_epoch_is_refused_and_its_guard_fails() {
        let folder = tempfile::tempdir().unwrap();
        let kv = Embedded::open(folder.path(), EmbeddedOptions::default()).unwrap();
        let owner = |epoch| Owner { name: "set1".into(), epoch };
        let (one, other) = (Fences::default(), Fences::default());
        let old = one.guard(&*kv, &owner(3)).await.unwrap();
        let new = other.guard(&*kv, &owner(5)).await.unwrap();
        let write = |guard: Guard| Txn { guards: vec![guard], then: vec![Op::put("/x", "1")], or_else: vec![] };
        let holds = |guard: Guard| async { kv.txn(write(guard), Durability::Durable).await.unwrap().succeeded };
        assert!(!holds(old).await);
        other.check(&*kv, &owner(5)).await.unwrap();
        assert!(holds(new).await);
        one.guard(&*kv, &owner(3)).await.expect("it remembers, which costs nothing, and says so again");
        let error = one.check(&*kv, &owner(3)).await.unwrap_err();
        assert_eq!(error.to_string(), "owner epoch 3 is older than 5");
        let error = one.guard(&*kv, &owner(3)).await.unwrap_err();
        assert_eq!(error.to_string(), "owner epoch 3 is older than 5");
    }

    #[test]
    fn owners_from_the_wire() {
        assert_eq!(Owner::from_wire("", 0).unwrap(), None);
        assert!(Owner::from_wire("", 1).is_err());
        assert!(Owner::from_wire("a", -1).is_err());
        assert!(Owner::from_wire("a/b", 1).unwrap_err().to_string().contains("owner must be"));
        assert_eq!(Owner::from_wire("a", 2).unwrap().unwrap().epoch, 2);
    }
}
