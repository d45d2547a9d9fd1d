//! Revisions and ranges.

use super::{Store, get, put, text, write};
use crate::limits::RANGE_BYTES_MAX;
use crate::port::{Durability, Error, KeyRange, KeyValue, Op, RangeOptions, Revision, Txn};

async fn keys(store: &Store, range: &KeyRange, at: Option<Revision>) -> Vec<String> {
    let reply = store.range(range, RangeOptions { at, limit: 0 }).await.unwrap();
    reply.kvs.iter().map(|kv| format!("{}={}", text(&kv.key), text(&kv.value))).collect()
}

pub(super) async fn a_write_raises_the_revision_and_a_read_does_not(store: Store) {
    let before = store.revision().await.unwrap();
    assert!(before.0 >= 1);
    assert_eq!(put(&store, "k", "1").await, before.next());
    assert_eq!(store.revision().await.unwrap(), before.next());
    let reply = store.range(&KeyRange::key("k"), RangeOptions::default()).await.unwrap();
    assert_eq!(reply.revision, before.next());
    let nothing = Txn { then: vec![Op::delete("none"), Op::Get(KeyRange::key("k"))], ..Txn::default() };
    assert_eq!(store.txn(nothing, Durability::Durable).await.unwrap().revision, before.next(), "nothing was changed");
}

pub(super) async fn a_key_knows_its_revisions_and_its_version(store: Store) {
    let made = put(&store, "k", "1").await;
    put(&store, "other", "1").await;
    let written = put(&store, "k", "2").await;
    let KeyValue { key, value, create_revision, mod_revision, version, lease } = get(&store, "k").await.unwrap();
    assert_eq!((&key[..], &value[..]), (&b"k"[..], &b"2"[..]));
    assert_eq!((create_revision, mod_revision, version, lease.0), (made, written, 2, 0));
    write(&store, vec![Op::delete("k")]).await;
    assert_eq!(get(&store, "k").await, None);
    let again = put(&store, "k", "3").await;
    let kv = get(&store, "k").await.unwrap();
    assert_eq!((kv.create_revision, kv.mod_revision, kv.version), (again, again, 1), "a key that returns is a new one");
}

pub(super) async fn a_range_is_sorted_and_ends_before_its_end(store: Store) {
    for key in ["b", "a", "d", "c", "ca"] {
        put(&store, key, "").await;
    }
    let range = |start: &str, end: &str| KeyRange { start: start.to_string().into(), end: end.to_string().into() };
    assert_eq!(keys(&store, &range("a", "d"), None).await, ["a=", "b=", "c=", "ca="]);
    assert_eq!(keys(&store, &range("aa", "c"), None).await, ["b="]);
    assert_eq!(keys(&store, &KeyRange::prefix("c"), None).await, ["c=", "ca="]);
    assert_eq!(keys(&store, &range("c", "\0"), None).await, ["c=", "ca=", "d="], "a zero byte is the end of all");
    assert!(keys(&store, &range("c", "c"), None).await.is_empty());
    assert!(keys(&store, &range("d", "a"), None).await.is_empty(), "the end is before the start");
    assert!(keys(&store, &KeyRange::key("x"), None).await.is_empty());
}

pub(super) async fn a_limit_cuts_a_range_and_says_so(store: Store) {
    for key in ["k1", "k2", "k3"] {
        put(&store, key, "").await;
    }
    for (limit, count, more) in [(1, 1, true), (2, 2, true), (3, 3, false), (4, 3, false), (0, 3, false)] {
        let reply = store.range(&KeyRange::prefix("k"), RangeOptions { at: None, limit }).await.unwrap();
        assert_eq!((reply.kvs.len(), reply.more), (count, more), "limit {limit}");
    }
}

pub(super) async fn a_large_range_comes_in_pages(store: Store) {
    let value = vec![b'v'; 900_000];
    for index in 0..6 {
        write(&store, vec![Op::put(format!("big/{index}"), value.clone())]).await;
    }
    for index in 0..3000 {
        let ops = (0..100).map(|part| Op::put(format!("many/{index:04}{part:02}"), "v"));
        if index % 100 == 0 {
            write(&store, ops.collect()).await;
        }
    }
    for (prefix, count) in [("big/", 6), ("many/", 3000)] {
        let mut range = KeyRange::prefix(prefix);
        let (mut seen, mut pages) = (0, 0);
        loop {
            let page = store.range(&range, RangeOptions::default()).await.unwrap();
            let bytes: usize = page.kvs.iter().map(|kv| kv.key.len() + kv.value.len()).sum();
            assert!(bytes <= RANGE_BYTES_MAX, "a page of {bytes} bytes");
            seen += page.kvs.len();
            pages += 1;
            let Some(last) = page.kvs.last().filter(|_| page.more) else { break };
            range.start = [&last.key[..], b"\0"].concat().into();
        }
        assert_eq!(seen, count, "{prefix} in {pages} pages");
    }
}

pub(super) async fn a_range_at_a_revision_shows_the_past(store: Store) {
    let first = put(&store, "k1", "a").await;
    let second = write(&store, vec![Op::put("k1", "b"), Op::put("k2", "c")]).await.revision;
    let third = write(&store, vec![Op::delete("k1")]).await.revision;
    let fourth = put(&store, "k1", "d").await;
    let all = KeyRange::prefix("k");
    assert_eq!(keys(&store, &all, Some(first)).await, ["k1=a"]);
    assert_eq!(keys(&store, &all, Some(second)).await, ["k1=b", "k2=c"]);
    assert_eq!(keys(&store, &all, Some(third)).await, ["k2=c"]);
    assert_eq!(keys(&store, &all, Some(fourth)).await, ["k1=d", "k2=c"]);
    let reply = store.range(&all, RangeOptions { at: Some(first), limit: 0 }).await.unwrap();
    assert_eq!(reply.revision, fourth, "the reply's revision is the store's, not the wanted one");
}

pub(super) async fn the_future_is_refused(store: Store) {
    let now = put(&store, "k", "1").await;
    let ahead = RangeOptions { at: Some(Revision(now.0 + 1000)), limit: 0 };
    match store.range(&KeyRange::key("k"), ahead).await {
        Err(Error::Future(at)) => assert_eq!(at, now),
        other => panic!("{other:?}"),
    }
    match store.compact(Revision(now.0 + 1000)).await {
        Err(Error::Future(at)) => assert_eq!(at, now),
        other => panic!("{other:?}"),
    }
}

pub(super) async fn a_compacted_revision_is_reported_with_the_first_that_is_there(store: Store) {
    let first = put(&store, "k", "1").await;
    put(&store, "gone", "1").await;
    write(&store, vec![Op::delete("gone")]).await;
    let kept = put(&store, "k", "2").await;
    put(&store, "k", "3").await;
    store.compact(kept).await.unwrap();
    store.compact(kept).await.expect("what is forgotten already is no error");
    store.compact(first).await.expect("what is forgotten already is no error");
    match store.range(&KeyRange::key("k"), RangeOptions { at: Some(first), limit: 0 }).await {
        Err(Error::Compacted(at)) => assert_eq!(at, kept),
        other => panic!("{other:?}"),
    }
    assert_eq!(keys(&store, &KeyRange::key("k"), Some(kept)).await, ["k=2"], "the horizon itself can be read");
    assert_eq!(keys(&store, &KeyRange::key("k"), None).await, ["k=3"]);
    assert!(keys(&store, &KeyRange::key("gone"), Some(kept)).await.is_empty());
}

pub(super) async fn values_are_any_bytes(store: Store) {
    let (key, value) = (vec![0xff, 0, b'/', 0x80], vec![0, 0xff, 0xfe]);
    write(&store, vec![Op::put(key.clone(), value.clone()), Op::put("empty", "")]).await;
    let reply = store.range(&KeyRange::key(key), RangeOptions::default()).await.unwrap();
    assert_eq!(&reply.kvs[0].value[..], value);
    assert_eq!(get(&store, "empty").await.unwrap().value.len(), 0);
}
