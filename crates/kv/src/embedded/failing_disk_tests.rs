//! A disk that stops taking writes, and takes them again.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use redb::backends::FileBackend;
use redb::{Builder, DatabaseError, StorageBackend};

use super::disk::Opener;
use super::store::{Embedded, EmbeddedOptions};
use crate::port::{Durability, Error, KeyRange, Kv, LeaseId, Op, RangeOptions, Revision, Txn};

type Fault = Arc<Mutex<Option<io::ErrorKind>>>;

#[derive(Debug)]
struct FailingDisk {
    file: FileBackend,
    fault: Fault,
}

impl FailingDisk {
    fn check(&self) -> io::Result<()> {
        self.fault.lock().map_or(Ok(()), |kind| Err(kind.into()))
    }
}

impl StorageBackend for FailingDisk {
    fn len(&self) -> io::Result<u64> {
        self.file.len()
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.file.read(offset, out)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.check()?;
        self.file.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check()?;
        self.file.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.check()?;
        self.file.write(offset, data)
    }

    fn close(&self) -> io::Result<()> {
        self.file.close()
    }
}

fn opener(fault: &Fault) -> Opener {
    let fault = fault.clone();
    Box::new(move |path: &Path| {
        let file = File::options().create(true).truncate(false).read(true).write(true).open(path);
        let file = FileBackend::new(file.map_err(|cause| DatabaseError::Storage(cause.into()))?)?;
        Builder::new().create_with_backend(FailingDisk { file, fault: fault.clone() })
    })
}

async fn put(store: &Embedded, key: &str, value: &str, durability: Durability) -> crate::Result<Revision> {
    let txn = Txn { then: vec![Op::put(key.to_string(), value.to_string())], ..Txn::default() };
    store.txn(txn, durability).await.map(|reply| reply.revision)
}

async fn get(store: &Embedded, key: &str) -> Option<String> {
    let reply = store.range(&KeyRange::key(key.to_string()), RangeOptions::default()).await.unwrap();
    reply.kvs.first().map(|kv| String::from_utf8_lossy(&kv.value).into_owned())
}

async fn eventually<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds().await {
        assert!(Instant::now() < deadline, "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_disk_that_fails_takes_nothing_back_and_promises_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let fault = Fault::default();
    let store = Embedded::open_with(folder.path(), EmbeddedOptions::default(), opener(&fault)).unwrap();
    let lease = store.lease_grant(Duration::from_secs(2)).await.unwrap();
    let leased = Op::Put { key: "leased".into(), value: "v".into(), lease };
    store.txn(Txn { then: vec![leased], ..Txn::default() }, Durability::Durable).await.unwrap();
    put(&store, "a", "durable", Durability::Durable).await.unwrap();
    put(&store, "b", "first", Durability::Observed).await.unwrap();
    let mut before = store.revision().await.unwrap();
    for kind in [io::ErrorKind::StorageFull, io::ErrorKind::Other] {
        let is_right = |error: &Error| match kind {
            io::ErrorKind::StorageFull => matches!(error, Error::Full(_)),
            _ => matches!(error, Error::Storage(_)),
        };
        // Published before the fault, on its way to the disk when it comes.
        before = put(&store, "b", &format!("{kind}"), Durability::Observed).await.unwrap().max(before);
        *fault.lock() = Some(kind);
        let error = put(&store, "a", "never", Durability::Durable).await.unwrap_err();
        assert!(is_right(&error), "{error}");
        let error = put(&store, "a", "never", Durability::Observed).await.unwrap_err();
        assert!(is_right(&error), "an observed write is not promised either: {error}");
        let refused = store.lease_grant(Duration::from_secs(9)).await.unwrap_err();
        assert!(is_right(&refused), "{refused}");
        assert_eq!(get(&store, "a").await.unwrap(), "durable");
        assert_eq!(get(&store, "b").await.unwrap(), format!("{kind}"), "what was published stays");
        assert_eq!(store.revision().await.unwrap(), before);
        store.lease_keep_alive(lease).await.expect("a lease needs no disk to be kept");
        *fault.lock() = None;
        eventually("writes work again by themselves", || async {
            put(&store, "healed", "", Durability::Durable).await.is_ok()
        })
        .await;
        let after = store.revision().await.unwrap();
        assert!(after > before, "{after} after {before}");
        before = after;
    }
    // A lease that ends while the disk fails ends when it works again.
    *fault.lock() = Some(io::ErrorKind::StorageFull);
    let due = Instant::now() + Duration::from_millis(2500);
    eventually("its time passes", || async { Instant::now() > due }).await;
    assert_eq!(get(&store, "leased").await.unwrap(), "v", "nothing is published that is not on disk");
    *fault.lock() = None;
    eventually("the lease ends", || async { get(&store, "leased").await.is_none() }).await;
    assert_eq!(store.lease_time_to_live(lease).await.unwrap(), None);
    let error = store.lease_keep_alive(LeaseId(lease.0)).await.unwrap_err();
    assert!(matches!(error, Error::LeaseGone(_)));
    let (revision, b) = (store.revision().await.unwrap(), get(&store, "b").await);
    store.close().await.unwrap();

    let store = Embedded::open(folder.path(), EmbeddedOptions::default()).unwrap();
    assert_eq!(store.revision().await.unwrap(), revision);
    assert_eq!((get(&store, "a").await.unwrap(), get(&store, "b").await), ("durable".to_string(), b));
    assert_eq!(get(&store, "leased").await, None);
}
