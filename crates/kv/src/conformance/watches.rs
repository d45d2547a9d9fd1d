//! Watches.

use futures::StreamExt;

use super::{PATIENCE, Store, events, get, item, put, write};
use crate::port::{Durability, GuardedPut, KeyRange, LeaseId, Op, Revision, Watch, WatchItem};

pub(super) async fn a_watch_delivers_from_its_revision_without_gap_or_double(store: Store) {
    let mut written = Vec::new();
    for index in 0..10 {
        let at = put(&store, &format!("w/{}", index % 3), &index.to_string()).await;
        written.push((at.0, format!("PUT w/{}={index}", index % 3)));
    }
    let from = Revision(written[4].0);
    let mut watch = store.watch(KeyRange::prefix("w/"), from).await.unwrap();
    for index in 10..20 {
        let at = put(&store, &format!("w/{}", index % 3), &index.to_string()).await;
        written.push((at.0, format!("PUT w/{}={index}", index % 3)));
    }
    let at = write(&store, vec![Op::delete("w/1")]).await.revision;
    written.push((at.0, "DELETE w/1".to_string()));
    assert_eq!(events(&mut watch, 17).await, written[4..]);
    // A second watch resumes where the first one is.
    let mut resumed = store.watch(KeyRange::prefix("w/"), at.next()).await.unwrap();
    let at = put(&store, "w/9", "end").await;
    let end = [(at.0, "PUT w/9=end".to_string())];
    assert_eq!(events(&mut watch, 1).await, end);
    assert_eq!(events(&mut resumed, 1).await, end);
}

pub(super) async fn a_revision_comes_whole(store: Store) {
    let from = put(&store, "other", "").await.next();
    for round in 0..5 {
        // Large enough that a server may want to cut it into pieces.
        let value = "v".repeat(12_000);
        let ops = (0..100).map(|index| Op::put(format!("t/{index:03}"), format!("{round}{value}")));
        write(&store, ops.collect()).await;
    }
    let mut watch = store.watch(KeyRange::prefix("t/"), from).await.unwrap();
    // `events` fails if two items share a revision.
    let lines = events(&mut watch, 500).await;
    for (round, revision) in lines.chunks(100).enumerate() {
        assert!(revision.iter().all(|(at, _)| *at == revision[0].0), "round {round}");
    }
}

pub(super) async fn a_prefix_ends_where_it_should(store: Store) {
    let from = store.revision().await.unwrap().next();
    let mut app = store.watch(KeyRange::prefix("s/app/"), from).await.unwrap();
    let mut app1 = store.watch(KeyRange::prefix("s/app1/"), from).await.unwrap();
    let mut both = store.watch(KeyRange::prefix("s/app"), from).await.unwrap();
    for key in ["s/app1/x", "s/app", "s/app/x", "s/app0", "s/apq", "s/app1/y", "s/app/y"] {
        put(&store, key, "").await;
    }
    let names = |lines: Vec<(i64, String)>| lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>();
    assert_eq!(names(events(&mut app, 2).await), ["PUT s/app/x=", "PUT s/app/y="]);
    assert_eq!(names(events(&mut app1, 2).await), ["PUT s/app1/x=", "PUT s/app1/y="]);
    assert_eq!(events(&mut both, 6).await.len(), 6);
}

pub(super) async fn one_key_is_watched_alone(store: Store) {
    let from = store.revision().await.unwrap().next();
    let mut watch = store.watch(KeyRange::key("k"), from).await.unwrap();
    write(&store, vec![Op::put("k", "1"), Op::put("k2", "1"), Op::put("j", "1")]).await;
    let at = put(&store, "k", "2").await.0;
    assert_eq!(events(&mut watch, 2).await, [(at - 1, "PUT k=1".to_string()), (at, "PUT k=2".to_string())]);
}

pub(super) async fn a_watch_of_the_future_waits_for_it(store: Store) {
    let now = put(&store, "k", "old").await;
    let mut watch = store.watch(KeyRange::key("k"), Revision(now.0 + 3)).await.unwrap();
    put(&store, "k", "1").await;
    put(&store, "k", "2").await;
    let at = put(&store, "k", "3").await.0;
    assert_eq!(events(&mut watch, 1).await, [(at, "PUT k=3".to_string())]);
}

async fn progress(watch: &mut Watch) -> Revision {
    match tokio::time::timeout(PATIENCE, watch.next()).await.expect("progress in time").unwrap().unwrap() {
        WatchItem::Progress(revision) => revision,
        other => panic!("{other:?}"),
    }
}

pub(super) async fn progress_comes_when_asked_for(store: Store) {
    let from = store.revision().await.unwrap().next();
    let mut watch = store.watch(KeyRange::prefix("w/"), from).await.unwrap();
    let at = put(&store, "elsewhere", "").await;
    store.request_progress().await.unwrap();
    assert_eq!(progress(&mut watch).await, at, "what happened elsewhere counts as delivered");
    put(&store, "w/1", "").await;
    events(&mut watch, 1).await;
    let at = put(&store, "elsewhere", "").await;
    store.request_progress().await.unwrap();
    assert_eq!(progress(&mut watch).await, at);
}

pub(super) async fn progress_is_never_ahead_of_events(store: Store) {
    let from = store.revision().await.unwrap().next();
    let mut watch = store.watch(KeyRange::prefix("w/"), from).await.unwrap();
    let writer = {
        let store = store.clone();
        async move {
            for index in 0..300 {
                put(&store, &format!("w/{index:03}"), "").await;
                store.request_progress().await.unwrap();
            }
        }
    };
    let reader = async {
        let (mut seen, mut up_to) = (0, Revision(0));
        while seen < 300 {
            match tokio::time::timeout(PATIENCE, watch.next()).await.expect("in time").unwrap().unwrap() {
                WatchItem::Progress(revision) => up_to = up_to.max(revision),
                WatchItem::Events { events, revision } => {
                    assert!(events.iter().all(|event| super::line(event).0 > up_to.0), "{events:?} after {up_to}");
                    seen += events.len();
                    up_to = revision;
                }
                other => panic!("{other:?}"),
            }
        }
    };
    futures::join!(writer, reader);
}

pub(super) async fn a_compacted_watch_says_so_and_ends(store: Store) {
    let first = put(&store, "k", "1").await;
    put(&store, "k", "2").await;
    let kept = put(&store, "k", "3").await;
    store.compact(kept).await.unwrap();
    let mut watch = store.watch(KeyRange::key("k"), first).await.unwrap();
    assert_eq!(item(&mut watch).await, WatchItem::Compacted(kept));
    let end = tokio::time::timeout(PATIENCE, watch.next()).await.expect("it ends in time");
    assert!(end.is_none(), "{end:?}");
}

pub(super) async fn a_watch_from_the_compacted_revision_is_complete(store: Store) {
    put(&store, "k", "1").await;
    let kept = put(&store, "k", "2").await;
    put(&store, "k", "3").await;
    store.compact(kept).await.unwrap();
    let mut watch = store.watch(KeyRange::key("k"), kept).await.unwrap();
    assert_eq!(events(&mut watch, 2).await, [(kept.0, "PUT k=2".into()), (kept.0 + 1, "PUT k=3".into())]);
}

pub(super) async fn a_slow_watcher_gets_everything_and_holds_up_nobody(store: Store) {
    let from = store.revision().await.unwrap().next();
    let mut slow = store.watch(KeyRange::prefix("w/"), from).await.unwrap();
    let mut live = store.watch(KeyRange::prefix("w/"), from).await.unwrap();
    let mut lines = Vec::new();
    for round in 0..20 {
        let puts = (0..100).map(|index| GuardedPut {
            guards: vec![],
            key: format!("w/{index:02}").into(),
            value: format!("{round}-{}", "v".repeat(500)).into(),
            lease: LeaseId(0),
        });
        store.put_each(puts.collect(), Durability::Observed).await.unwrap();
        lines.extend(events(&mut live, 100).await);
    }
    assert_eq!(events(&mut slow, 2000).await, lines);
    assert!(get(&store, "w/99").await.is_some());
}

pub(super) async fn many_watchers_see_the_same(store: Store) {
    let from = store.revision().await.unwrap().next();
    let mut watches = Vec::new();
    for _ in 0..20 {
        watches.push(store.watch(KeyRange::prefix("w/"), from).await.unwrap());
    }
    let lease = store.lease_grant(std::time::Duration::from_secs(60)).await.unwrap();
    let leased = |key: &'static str| Op::Put { key: key.into(), value: "v".into(), lease };
    write(&store, vec![Op::put("w/1", "a"), leased("w/2")]).await;
    write(&store, vec![Op::Delete(KeyRange::prefix("w/1")), leased("w/3")]).await;
    store.lease_revoke(lease).await.unwrap();
    let first = events(&mut watches[0], 6).await;
    for watch in &mut watches[1..] {
        assert_eq!(events(watch, 6).await, first);
    }
}
