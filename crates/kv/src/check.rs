//! What every implementation refuses before it does anything: the limits of the port and etcd's rules of form.

use std::collections::HashSet;
use std::time::Duration;

use crate::limits::{KEY_BYTES_MAX, LEASE_TTL_S_MAX, LEASE_TTL_S_MIN, TXN_BYTES_MAX, TXN_OPS_MAX};
use crate::port::{Error, Guard, GuardedPut, KeyRange, Op, Result, Revision, Txn};

fn invalid<T>(text: String) -> Result<T> {
    Err(Error::Invalid(text))
}

fn key(key: &[u8]) -> Result<()> {
    if key.is_empty() {
        return invalid("a key must not be empty".into());
    }
    if key.len() > KEY_BYTES_MAX {
        return invalid(format!(
            "a key must have at most {KEY_BYTES_MAX} bytes, \"{}..\" has {}",
            key[..64].escape_ascii(),
            key.len()
        ));
    }
    Ok(())
}

/// A range must have a start, and bounds that could be keys.
pub(crate) fn range(range: &KeyRange) -> Result<()> {
    key(&range.start)?;
    if range.end.len() > KEY_BYTES_MAX { key(&range.end) } else { Ok(()) }
}

/// History begins at revision 1.
pub(crate) fn revision(what: &str, revision: Revision) -> Result<()> {
    if revision.0 < 1 {
        return invalid(format!("{what} must be at revision 1 or later, got {revision}"));
    }
    Ok(())
}

fn guards(guards: &[Guard]) -> Result<usize> {
    count("guards", guards.len())?;
    let mut bytes = 0;
    for guard in guards {
        let (name, value_bytes) = match guard {
            Guard::ModRevision(name, _) | Guard::CreateRevision(name, _) => (name, 0),
            Guard::Exists(name) | Guard::Absent(name) => (name, 0),
            Guard::Value(name, value) => (name, value.len()),
        };
        key(name)?;
        bytes += name.len() + value_bytes;
    }
    Ok(bytes)
}

fn count(what: &str, count: usize) -> Result<()> {
    if count > TXN_OPS_MAX {
        return invalid(format!("a transaction must have at most {TXN_OPS_MAX} {what}, got {count}"));
    }
    Ok(())
}

fn bytes(bytes: usize) -> Result<()> {
    if bytes > TXN_BYTES_MAX {
        return invalid(format!("a transaction must have at most {TXN_BYTES_MAX} bytes, got {bytes}"));
    }
    Ok(())
}

fn written_twice<T>(key: &[u8]) -> Result<T> {
    invalid(format!("key \"{}\" is written twice in one transaction", key.escape_ascii()))
}

fn branch(ops: &[Op]) -> Result<usize> {
    count("operations in a branch", ops.len())?;
    let mut bytes = 0;
    let mut puts = HashSet::new();
    for op in ops {
        match op {
            Op::Put { key: name, value, .. } => {
                key(name)?;
                if !puts.insert(name) {
                    return written_twice(name);
                }
                bytes += name.len() + value.len();
            }
            Op::Delete(wanted) | Op::Get(wanted) => {
                range(wanted)?;
                bytes += wanted.start.len() + wanted.end.len();
            }
        }
    }
    for op in ops {
        if let Op::Delete(gone) = op
            && let Some(name) = puts.iter().find(|name| gone.contains(name))
        {
            return written_twice(name);
        }
    }
    Ok(bytes)
}

/// Counts, sizes, and no key written twice.
pub(crate) fn txn(txn: &Txn) -> Result<()> {
    bytes(guards(&txn.guards)? + branch(&txn.then)? + branch(&txn.or_else)?)
}

/// As [`txn`] for each put; and no key may be named twice over all.
pub(crate) fn puts(puts: &[GuardedPut]) -> Result<()> {
    let mut names = HashSet::with_capacity(puts.len());
    for put in puts {
        key(&put.key)?;
        bytes(put_bytes(put)?)?;
        if !names.insert(&put.key) {
            return invalid(format!("key \"{}\" is named twice in one list of puts", put.key.escape_ascii()));
        }
    }
    Ok(())
}

/// What one guarded put counts against [`TXN_BYTES_MAX`].
pub(crate) fn put_bytes(put: &GuardedPut) -> Result<usize> {
    Ok(guards(&put.guards)? + put.key.len() + put.value.len())
}

/// The seconds of a lease's time to live.
pub(crate) fn ttl_s(ttl: Duration) -> Result<u64> {
    let seconds = ttl.as_secs();
    if ttl.subsec_nanos() != 0 || !(LEASE_TTL_S_MIN..=LEASE_TTL_S_MAX).contains(&seconds) {
        return invalid(format!(
            "the time to live of a lease must be whole seconds between {LEASE_TTL_S_MIN} and {LEASE_TTL_S_MAX}, got {ttl:?}"
        ));
    }
    Ok(seconds)
}
