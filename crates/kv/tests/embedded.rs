//! The embedded store: the suite of the port, and what only it promises.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use eru_kv::conformance::{self, PATIENCE, Store};
use eru_kv::{
    Durability, Embedded, EmbeddedOptions, Error, GuardedPut, KeyRange, KeyValue, Kv, LeaseId, Op, RangeOptions,
    RangeReply, Revision, Txn, Watch, WatchItem,
};
use futures::StreamExt;

fn open(folder: &Path) -> Arc<Embedded> {
    Embedded::open(folder, EmbeddedOptions::default()).expect("the store opens")
}

async fn write(store: &Embedded, then: Vec<Op>, durability: Durability) -> Result<Revision, Error> {
    store.txn(Txn { then, ..Txn::default() }, durability).await.map(|reply| reply.revision)
}

async fn put(store: &Embedded, key: &str, value: &str) -> Revision {
    let ops = vec![Op::put(key.to_string(), value.to_string())];
    write(store, ops, Durability::Durable).await.expect("a put succeeds")
}

async fn all(store: &Embedded) -> RangeReply {
    let everything = KeyRange { start: "\0".into(), end: "\0".into() };
    store.range(&everything, RangeOptions::default()).await.expect("a read succeeds")
}

async fn next(watch: &mut Watch) -> Option<Result<WatchItem, Error>> {
    tokio::time::timeout(PATIENCE, watch.next()).await.expect("the watch yields in time")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn embedded_conforms() {
    let root = tempfile::tempdir().expect("a temporary folder");
    conformance::run_all(|name| {
        let folder = root.path().join(name.replace(':', "_"));
        async move { open(&folder) as Arc<_> as Store }
    })
    .await;
}

#[tokio::test]
async fn a_folder_has_one_holder() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(folder.path());
    match Embedded::open(folder.path(), EmbeddedOptions::default()).map(|_| ()) {
        Err(Error::Locked(said)) => assert_eq!(said, folder.path().display().to_string()),
        other => panic!("{other:?}"),
    }
    store.close().await.expect("it closes");
    drop(open(folder.path()));
    drop(open(folder.path()));
}

#[tokio::test]
async fn everything_survives_a_clean_stop() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(folder.path());
    let identity = store.identity();
    let lease = store.lease_grant(Duration::from_secs(5)).await.expect("a lease");
    put(&store, "a", "1").await;
    put(&store, "a", "2").await;
    put(&store, "gone", "").await;
    let leased = Op::Put { key: "leased".into(), value: "v".into(), lease };
    write(&store, vec![leased, Op::delete("gone")], Durability::Observed).await.expect("a write");
    let last = write(&store, vec![Op::put("b", vec![0, 255])], Durability::Observed).await.expect("a write");
    let before = all(&store).await.kvs;
    store.close().await.expect("it closes");
    store.close().await.expect("it closes twice");

    let store = open(folder.path());
    assert_eq!(store.identity(), identity, "a clean stop loses nothing, so the epoch stays");
    assert_eq!(all(&store).await.kvs, before);
    assert_eq!(store.revision().await.expect("a revision"), last);
    let (left, granted) = store.lease_time_to_live(lease).await.expect("an answer").expect("the lease is there");
    assert!(granted == Duration::from_secs(5) && left > Duration::from_secs(4), "its time starts again: {left:?}");
    // History begins anew.
    let mut watch = store.watch(KeyRange::prefix("a"), last).await.expect("a watch");
    assert_eq!(next(&mut watch).await.expect("an item").expect("no error"), WatchItem::Compacted(last.next()));
    let early = RangeOptions { at: Some(Revision(last.0 - 1)), limit: 0 };
    let refused = store.range(&KeyRange::key("a"), early).await;
    assert!(matches!(refused, Err(Error::Compacted(at)) if at == last), "{refused:?}");
    let mut watch = store.watch(KeyRange::prefix("leased"), last.next()).await.expect("a watch");
    assert_eq!(put(&store, "a", "3").await, last.next());
    let KeyValue { version, create_revision, .. } = all(&store).await.kvs.swap_remove(0);
    assert_eq!((version, create_revision), (3, before[0].create_revision), "a key goes on counting");
    store.lease_revoke(lease).await.expect("it ends");
    assert!(matches!(next(&mut watch).await, Some(Ok(WatchItem::Events { events, .. })) if events.len() == 1));
}

#[tokio::test]
async fn a_closed_store_says_so_and_ends_its_watches() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let store = open(folder.path());
    let mut watch = store.watch(KeyRange::prefix("a"), Revision(1)).await.expect("a watch");
    put(&store, "a", "1").await;
    store.close().await.expect("it closes");
    assert!(matches!(next(&mut watch).await, Some(Ok(WatchItem::Events { .. }))), "what was published is delivered");
    assert!(matches!(next(&mut watch).await, Some(Err(Error::Unavailable { .. }))));
    assert!(next(&mut watch).await.is_none());
    let error = write(&store, vec![Op::put("a", "2")], Durability::Observed).await.expect_err("it is closed");
    assert!(error.to_string().contains(&folder.path().display().to_string()), "{error}");
    assert!(store.revision().await.is_err() && store.lease_grant(Duration::from_secs(9)).await.is_err());
}

#[tokio::test]
async fn a_full_store_heals_when_room_is_made() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = EmbeddedOptions { quota_bytes: 10_000, ..EmbeddedOptions::default() };
    let store = Embedded::open(folder.path(), options.clone()).expect("it opens");
    let value = vec![0; 4000];
    let large = |key: &str| vec![Op::put(key.to_string(), value.clone())];
    write(&store, large("1"), Durability::Durable).await.expect("there is room");
    write(&store, large("2"), Durability::Observed).await.expect("there is room");
    for durability in [Durability::Durable, Durability::Observed] {
        let error = write(&store, large("3"), durability).await.expect_err("it is full");
        assert!(matches!(error, Error::Full(_)) && error.to_string().contains("10000"), "{error}");
    }
    let each = GuardedPut { guards: vec![], key: "3".into(), value: value.clone().into(), lease: LeaseId(0) };
    let refused = store.put_each(vec![each], Durability::Observed).await;
    assert!(matches!(refused, Err(Error::Full(_))), "{refused:?}");
    assert_eq!(all(&store).await.kvs.len(), 2, "nothing was half done");
    store.compact(store.revision().await.expect("a revision")).await.expect("compaction is allowed");
    write(&store, vec![Op::delete("1")], Durability::Durable).await.expect("removal is allowed");
    write(&store, large("3"), Durability::Durable).await.expect("there is room again");
    drop(store);
    let store = Embedded::open(folder.path(), options).expect("it opens");
    assert!(matches!(write(&store, large("4"), Durability::Durable).await, Err(Error::Full(_))), "the count survives");
}

#[tokio::test]
async fn history_has_a_bound_and_a_watch_beyond_it_is_told() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let options = EmbeddedOptions { history_bytes_max: 100_000, ..EmbeddedOptions::default() };
    let store = Embedded::open(folder.path(), options).expect("it opens");
    let mut behind = store.watch(KeyRange::prefix("k"), Revision(1)).await.expect("a watch");
    let mut last = Revision(0);
    for index in 0..500 {
        let ops = vec![Op::put("k", format!("{index}{}", "v".repeat(1000)))];
        last = write(&store, ops, Durability::Observed).await.expect("a write");
    }
    let Some(Ok(WatchItem::Compacted(horizon))) = next(&mut behind).await else { panic!("history has no bound") };
    assert!(next(&mut behind).await.is_none());
    assert!(horizon < last && horizon.0 > last.0 - 100, "{horizon} of {last}");
    let mut watch = store.watch(KeyRange::prefix("k"), horizon).await.expect("a watch");
    let Some(Ok(WatchItem::Events { revision, events })) = next(&mut watch).await else { panic!("no events") };
    assert_eq!((revision, events.len() as i64), (last, last.0 - horizon.0 + 1));
    let at = RangeOptions { at: Some(horizon), limit: 0 };
    assert_eq!(store.range(&KeyRange::key("k"), at).await.expect("it is there").kvs[0].mod_revision, horizon);
}

#[test]
fn what_is_no_store_is_named() {
    let root = tempfile::tempdir().expect("a temporary folder");
    let file = root.path().join("file");
    std::fs::write(&file, "x").expect("a file");
    let folder = root.path().join("folder");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("store.redb"), "this is no database").expect("a file");
    for path in [&file, &folder] {
        match Embedded::open(path, EmbeddedOptions::default()).map(|_| ()) {
            Err(Error::Storage(said)) => assert!(said.contains(&path.display().to_string()), "{said}"),
            other => panic!("{other:?}"),
        }
    }
}
