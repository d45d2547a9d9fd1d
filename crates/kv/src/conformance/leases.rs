//! Leases.

use std::time::Duration;

use super::{Store, events, eventually, get, put, write};
use crate::port::{Error, KeyRange, LeaseId, Op};

const SHORTEST: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(600);

fn leased(key: &str, lease: LeaseId) -> Op {
    Op::Put { key: key.to_string().into(), value: "v".into(), lease }
}

pub(super) async fn an_expired_lease_takes_its_keys_at_one_revision(store: Store) {
    let (short, long) = (store.lease_grant(SHORTEST).await.unwrap(), store.lease_grant(LONG).await.unwrap());
    assert_ne!(short, long);
    let before = write(&store, vec![leased("l/1", short), leased("l/2", short), leased("l/3", long)]).await.revision;
    assert_eq!(get(&store, "l/1").await.unwrap().lease, short);
    let mut watch = store.watch(KeyRange::prefix("l/"), before.next()).await.unwrap();
    let mut lines = events(&mut watch, 2).await;
    lines.sort();
    let at = lines[0].0;
    assert_eq!(lines, [(at, "DELETE l/1".to_string()), (at, "DELETE l/2".to_string())]);
    assert_eq!(at, before.0 + 1);
    assert!(get(&store, "l/1").await.is_none() && get(&store, "l/3").await.is_some());
    assert_eq!(store.lease_time_to_live(short).await.unwrap(), None);
    assert!(matches!(store.lease_keep_alive(short).await, Err(Error::LeaseGone(lease)) if lease == short));
}

pub(super) async fn keeping_alive_keeps_alive_and_writes_nothing(store: Store) {
    let (kept, other) = (store.lease_grant(SHORTEST).await.unwrap(), store.lease_grant(SHORTEST).await.unwrap());
    let before = write(&store, vec![leased("kept", kept), leased("other", other)]).await.revision;
    let (store, kept) = (&store, kept);
    eventually("the lease that nobody keeps expires", || async move {
        assert_eq!(store.lease_keep_alive(kept).await.unwrap(), SHORTEST);
        get(store, "other").await.is_none()
    })
    .await;
    let again = std::time::Instant::now() + SHORTEST;
    eventually("its time passes once more", || async move {
        store.lease_keep_alive(kept).await.unwrap();
        std::time::Instant::now() > again
    })
    .await;
    assert!(get(store, "kept").await.is_some());
    assert_eq!(store.revision().await.unwrap(), before.next(), "only the expiry of the other was written");
}

pub(super) async fn a_revoked_lease_takes_its_keys_at_once(store: Store) {
    let lease = store.lease_grant(LONG).await.unwrap();
    let before = write(&store, vec![leased("r/1", lease), leased("r/2", lease)]).await.revision;
    store.lease_revoke(lease).await.unwrap();
    assert!(get(&store, "r/1").await.is_none() && get(&store, "r/2").await.is_none());
    assert_eq!(store.revision().await.unwrap(), before.next());
    store.lease_revoke(lease).await.expect("a lease that is gone already is no error");
    let mut watch = store.watch(KeyRange::prefix("r/"), before.next()).await.unwrap();
    assert_eq!(events(&mut watch, 2).await.len(), 2);
}

pub(super) async fn a_put_decides_its_lease_anew(store: Store) {
    let (first, second) = (store.lease_grant(LONG).await.unwrap(), store.lease_grant(LONG).await.unwrap());
    write(&store, vec![leased("free", first), leased("moved", first), leased("stays", first)]).await;
    put(&store, "free", "v").await;
    write(&store, vec![leased("moved", second)]).await;
    assert_eq!(get(&store, "free").await.unwrap().lease, LeaseId(0));
    store.lease_revoke(first).await.unwrap();
    assert!(get(&store, "stays").await.is_none());
    assert!(get(&store, "free").await.is_some() && get(&store, "moved").await.is_some());
    store.lease_revoke(second).await.unwrap();
    assert!(get(&store, "moved").await.is_none());
}

pub(super) async fn a_lease_that_is_gone_is_refused(store: Store) {
    let lease = store.lease_grant(LONG).await.unwrap();
    store.lease_revoke(lease).await.unwrap();
    assert!(matches!(store.lease_keep_alive(lease).await, Err(Error::LeaseGone(gone)) if gone == lease));
    assert_eq!(store.lease_time_to_live(lease).await.unwrap(), None);
    let txn = crate::Txn { then: vec![leased("k", lease)], ..crate::Txn::default() };
    let refused = store.txn(txn, crate::Durability::Durable).await;
    assert!(matches!(refused, Err(Error::LeaseGone(gone)) if gone == lease), "{refused:?}");
}

pub(super) async fn time_to_live_counts_down(store: Store) {
    let granted = Duration::from_secs(60);
    let lease = store.lease_grant(granted).await.unwrap();
    let (left, of) = store.lease_time_to_live(lease).await.unwrap().unwrap();
    assert_eq!(of, granted);
    assert!(left <= granted && left > granted / 2, "{left:?}");
    let store = &store;
    eventually("it counts down", || async move {
        store.lease_time_to_live(lease).await.unwrap().unwrap().0 < granted - Duration::from_millis(900)
    })
    .await;
    store.lease_keep_alive(lease).await.unwrap();
    let (left, _) = store.lease_time_to_live(lease).await.unwrap().unwrap();
    assert!(left > granted - Duration::from_millis(1500), "{left:?}");
    store.lease_revoke(lease).await.unwrap();
}
