//! A client that knows our fields: snapshot, changes, bookmarks, resume.

use super::{client::*, *};
use crate::{
    cache::WorkloadFilter,
    record::{PlacementState::*, Verdict},
};
use bytes::Bytes;
use eru_api::pb::workload_status_stream_message::Kind;
use eru_kv::{Revision, StoreIdentity};
use std::time::Duration;

fn world(tombstones_max: usize) -> World {
    let mut world = World::new(TombstoneLimits { count_max: tombstones_max, ..TombstoneLimits::default() });
    world.pod("p1").node("n1").alive("n1", true);
    world.place("n1", "a_web_AAAAAA", Running, Some("a1")).report("n1", "a1", true, 0);
    world.place("n1", "b_web_BBBBBB", Running, Some("b1")).send();
    world
}

fn kinds(messages: &[WorkloadStatusStreamMessage]) -> Vec<Kind> {
    messages.iter().map(|message| message.kind()).collect()
}

fn resume(token: &Bytes) -> WorkloadStatusStreamOptions {
    WorkloadStatusStreamOptions { resume_token: token.clone(), ..options() }
}

fn token(id: &str, epoch: i64, revision: i64) -> Bytes {
    Token::encode(&StoreIdentity { id: id.into(), epoch }, Revision(revision))
}

#[tokio::test]
async fn a_snapshot_then_synced_then_changes() {
    let mut world = world(10);
    let mut reader = Reader::open(&world, snapshot());
    let got = reader.drain();
    assert_eq!(kinds(&got), [Kind::Snapshot, Kind::Snapshot, Kind::Synced]);
    assert_eq!(ids(&got), ["a1", "b1", ""]);
    assert_eq!(got[2].revision, world.cache.revision().0);
    // Steps of a placement and the node's state are changes to who knows our fields.
    world.place("n1", "a_web_CCCCCC", Planned, None).send();
    assert!(reader.drain().is_empty(), "nobody sees what the engine does not know");
    let revision = world.place("n1", "a_web_CCCCCC", Created, Some("a2")).send();
    let got = reader.drain();
    assert_eq!((kinds(&got), ids(&got), got[0].revision), (vec![Kind::Change], vec!["a2"], revision.0));
    assert_eq!(got[0].workload.clone().unwrap().state, "created");
    world.alive("n1", false).send();
    let got = reader.drain();
    assert_eq!(ids(&got), ["a1", "b1", "a2"]);
    assert!(got.iter().all(|message| message.status.clone().unwrap().node_state == "suspect"));
    assert!(running(&got[0]), "a suspicion takes nothing away");
    world.verdict("n1", Verdict::Lost, 1).send();
    assert!(reader.drain().iter().all(|message| !running(message)));
    // What expired is still there.
    world.expire("n1", "a1").send();
    let mut late = Reader::open(&world, snapshot());
    let got = late.drain();
    assert!(!got[0].delete && got[0].status.clone().unwrap().expired);
}

#[tokio::test(start_paused = true)]
async fn bookmarks_come_by_time_and_carry_what_was_sent() {
    let mut world = world(10);
    let wanted = WorkloadStatusStreamOptions { bookmark_interval_ms: 1000, ..options() };
    let mut reader = Reader::open(&world, wanted);
    let synced = reader.next().await;
    assert_eq!(synced.kind(), Kind::Synced, "asked for neither snapshot nor resume: in step at once");
    let begin = tokio::time::Instant::now();
    for _ in 0..3 {
        assert_eq!(reader.next().await.kind(), Kind::Bookmark);
    }
    assert_eq!(begin.elapsed().as_secs(), 3);
    // A stream that is never idle gets them as well.
    let mut bookmarks = 0;
    for n in 0..50 {
        world.report("n1", "a1", n % 2 == 0, 0).send();
        tokio::time::advance(Duration::from_millis(100)).await;
        bookmarks += reader.drain().iter().filter(|message| message.kind() == Kind::Bookmark).count();
    }
    assert!((4..=5).contains(&bookmarks), "{bookmarks} in five seconds");
    // By itself every ten seconds.
    let mut quiet = Reader::open(&world, snapshot());
    quiet.drain();
    let begin = tokio::time::Instant::now();
    assert_eq!(quiet.next().await.kind(), Kind::Bookmark);
    assert_eq!(begin.elapsed().as_secs(), 10);
}

#[tokio::test]
async fn a_resumed_stream_gets_what_it_missed_and_nothing_else() {
    let mut world = world(10);
    let mut known = Known::default();
    let mut reader = Reader::open(&world, snapshot());
    reader.drain().into_iter().for_each(|message| known.take(message));
    drop(reader);
    world.report("n1", "a1", false, 0).send();
    world.remove("n1", "b_web_BBBBBB", Some("b1")).send();
    world.place("n1", "c_web_CCCCCC", Running, Some("c1")).send();
    let mut reader = Reader::open(&world, resume(&known.token));
    let got = reader.drain();
    assert_eq!(kinds(&got), [Kind::Change, Kind::Change, Kind::Change, Kind::Synced]);
    assert_eq!(ids(&got), ["a1", "b1", "c1", ""]);
    assert!(got[1].delete && got[1].error == "bad `Count` value: key: /workloads/b1");
    known.is_synced = false;
    got.into_iter().for_each(|message| known.take(message));
    assert_eq!(known.workloads, listed(&world, &WorkloadFilter::default()));
    // Nothing was missed: in step at once.
    let mut reader = Reader::open(&world, resume(&known.token));
    assert_eq!(kinds(&reader.drain()), [Kind::Synced]);
}

#[tokio::test(start_paused = true)]
async fn a_token_of_no_use_is_answered_by_a_snapshot_and_the_reason() {
    let mut world = world(1);
    let now = world.cache.revision().0;
    world.remove("n1", "b_web_BBBBBB", Some("b1")).send();
    world.place("n1", "c_web_CCCCCC", Running, Some("c1")).send();
    world.remove("n1", "c_web_CCCCCC", Some("c1")).send();
    for (bad, reason) in [
        (token("other", 0, now), "another store"),
        (token("test", 1, now), "unclean stop"),
        (token("test", 0, now + 1000), "ahead of the store"),
        (token("test", 0, now), "older than what is kept"),
        (Bytes::from_static(&[9]), "another version"),
    ] {
        let mut reader = Reader::open(&world, resume(&bad));
        let first = reader.next().await;
        assert_eq!(first.kind(), Kind::Resync);
        assert!(first.reason.contains(reason), "{}", first.reason);
        assert_eq!(kinds(&reader.drain()), [Kind::Snapshot, Kind::Synced]);
    }
    // The one tombstone that is kept still counts.
    let mut reader = Reader::open(&world, resume(&token("test", 0, now + 1)));
    assert_eq!(ids(&reader.drain()), ["c1", ""]);
}

#[tokio::test(start_paused = true)]
async fn a_token_that_another_core_gave_waits_for_this_one_to_catch_up() {
    let mut world = world(10);
    let ahead = world.report("n1", "a1", false, 0).commit();
    let mut reader = Reader::open(&world, resume(&token("test", 0, ahead.0)));
    assert!(reader.try_next().is_none());
    world.send();
    let first = reader.next().await;
    assert_eq!((first.kind(), first.revision), (Kind::Synced, ahead.0));
}

#[tokio::test]
async fn who_falls_behind_what_is_kept_begins_again() {
    let mut world = world(1);
    let mut reader = Reader::open(&world, snapshot());
    let mut plain = Reader::open(&world, options());
    let mut known = Known::default();
    reader.drain().into_iter().for_each(|message| known.take(message));
    world.remove("n1", "a_web_AAAAAA", Some("a1")).send();
    world.remove("n1", "b_web_BBBBBB", Some("b1")).send();
    reader.drain().into_iter().for_each(|message| known.take(message));
    assert_eq!((known.resyncs, known.workloads.len()), (1, 0));
    assert_eq!(ids(&plain.drain()), ["b1"], "who knows no RESYNC goes on with what is there");
}

#[tokio::test]
async fn a_store_that_went_back_in_time_begins_a_new_history() {
    let mut world = world(10);
    let mut known = Known::default();
    let (mut reader, mut plain) = (Reader::open(&world, snapshot()), Reader::open(&world, options()));
    reader.drain().into_iter().for_each(|message| known.take(message));
    assert!(plain.drain().is_empty());
    let backup = world.kvs.clone();
    for n in 0..20 {
        world.report("n1", "a1", n % 2 == 0, 0).send();
    }
    world.place("n1", "c_web_CCCCCC", Running, Some("c1")).send();
    reader.drain().into_iter().for_each(|message| known.take(message));
    plain.drain();
    world.kvs = backup;
    world.revision = Revision(5);
    world.reload();
    reader.drain().into_iter().for_each(|message| known.take(message));
    assert_eq!(known.resyncs, 1);
    assert_eq!(known.workloads, listed(&world, &WorkloadFilter::default()));
    assert!(plain.drain().is_empty());
    world.report("n1", "a1", false, 0).send();
    assert_eq!((ids(&plain.drain()), ids(&reader.drain())), (vec!["a1"], vec!["a1"]));
}
