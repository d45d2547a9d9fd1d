//! A client that knows the page's five fields, and nothing else.

use super::*;
use crate::record::{PlacementState::*, Verdict};
use eru_types::WorkloadStatus;

fn world() -> World {
    let mut world = World::new(TombstoneLimits::default());
    world.pod("p1").node("n1").node("n2").alive("n1", true);
    world.place("n1", "a_web_AAAAAA", Running, Some("a1")).report("n1", "a1", true, 0).send();
    world
}

/// Nothing of ours is on the message itself.
fn assert_plain(message: &WorkloadStatusStreamMessage) {
    assert_eq!((message.kind, message.revision), (0, 0));
    assert!(message.resume_token.is_empty() && message.reason.is_empty());
}

#[tokio::test]
async fn changes_come_from_now_on_and_in_the_page_s_form() {
    let mut world = world();
    let mut reader = Reader::open(&world, options());
    assert!(reader.drain().is_empty(), "nothing of before");
    world.report("n1", "a1", false, 0).send();
    let got = reader.drain();
    assert_eq!(ids(&got), ["a1"]);
    assert_plain(&got[0]);
    let workload = got[0].workload.clone().unwrap();
    assert_eq!(workload.status, got[0].status);
    assert_eq!((workload.name.as_str(), workload.nodename.as_str()), ("a_web_AAAAAA", "n1"));
    assert!(!running(&got[0]) && !got[0].delete && got[0].error.is_empty());
}

#[tokio::test]
async fn what_a_plain_client_cannot_see_is_no_message() {
    let mut world = world();
    let mut reader = Reader::open(&world, options());
    world.report("n1", "a1", true, 0).send();
    assert!(reader.drain().is_empty(), "the same status again");
    let status = |restarts, observed_at_ms| WorkloadStatus {
        running: true,
        healthy: true,
        networks: [("loopback".to_owned(), "127.64.0.2".to_owned())].into(),
        extension: br#"{"ERU":"1"}"#.to_vec(),
        restarts,
        observed_at_ms,
        ..WorkloadStatus::default()
    };
    world.report_status("n1", "a1", status(1, 99), 0).send();
    assert!(reader.drain().is_empty(), "only fields of ours");
    world.place("n1", "a_web_AAAAAA", Removing, Some("a1")).send();
    world.place("n1", "a_web_BBBBBB", Planned, None).send();
    world.place("n1", "a_web_BBBBBB", Created, Some("a2")).send();
    assert!(reader.drain().is_empty(), "only placements");
    world.alive("n1", false).send();
    assert!(reader.drain().is_empty(), "a suspicion is not a status");
    world.report("n1", "a2", true, 0).send();
    assert_eq!(ids(&reader.drain()), ["a2"], "its first status");
}

#[tokio::test]
async fn a_placement_that_changes_hides_no_status() {
    let mut world = world();
    let mut reader = Reader::open(&world, options());
    // The status first, then the placement: the workload is read once, at its last change.
    world.report("n1", "a1", false, 0).commit();
    world.place("n1", "a_web_AAAAAA", Removing, Some("a1")).commit();
    world.send();
    assert_eq!(ids(&reader.drain()), ["a1"]);
    world.place("n1", "a_web_AAAAAA", Running, Some("a1")).send();
    assert!(reader.drain().is_empty(), "and not again");
    // The same while the reader is in the midst of a revision.
    world.place("n1", "a_web_BBBBBB", Running, Some("a2")).report("n1", "a2", true, 0).send();
    let mut reader = Reader::open_narrow(&world, options());
    assert!(reader.drain().is_empty());
    world.report("n1", "a1", true, 0).report("n1", "a2", false, 0).send();
    assert_eq!(reader.try_next().unwrap().id, "a1");
    world.place("n1", "a_web_AAAAAA", Removing, Some("a1")).place("n1", "a_web_BBBBBB", Removing, Some("a2")).send();
    let rest = reader.drain();
    assert_eq!(rest.iter().filter(|message| message.id == "a2" && !running(message)).count(), 1);
}

#[tokio::test]
async fn an_expiry_says_delete_without_error_and_with_the_workload() {
    let mut world = world();
    let mut reader = Reader::open(&world, options());
    world.expire("n1", "a1").send();
    let got = reader.drain();
    assert_eq!(ids(&got), ["a1"]);
    assert_plain(&got[0]);
    assert!(got[0].delete && got[0].error.is_empty() && got[0].workload.is_some());
    let status = got[0].status.clone().unwrap();
    assert_eq!((status.id.as_str(), status.running, status.networks.len()), ("", false, 0));
    assert!(status.expired);
}

#[tokio::test]
async fn a_removal_says_delete_and_the_original_s_error_to_whom_it_concerns() {
    let mut world = world();
    world.place_labelled("n1", "b_web_BBBBBB", Running, Some("b1"), "y").send();
    let mut all = Reader::open(&world, options());
    let labelled = |value: &str| WorkloadStatusStreamOptions {
        labels: [("label".to_owned(), value.to_owned())].into(),
        ..options()
    };
    let (mut mine, mut others) = (Reader::open(&world, labelled("x")), Reader::open(&world, labelled("y")));
    world.remove("n1", "a_web_AAAAAA", Some("a1")).send();
    for reader in [&mut all, &mut mine] {
        let got = reader.drain();
        assert_eq!(ids(&got), ["a1"], "once, though report and placement went");
        assert_plain(&got[0]);
        assert!(got[0].delete && got[0].status.is_none());
        assert_eq!(got[0].error, "bad `Count` value: key: /workloads/a1");
        assert_eq!(got[0].workload.clone().unwrap().name, "a_web_AAAAAA");
    }
    assert!(others.drain().is_empty(), "labels count for removals too");
    world.remove("n1", "b_web_BBBBBB", Some("b1")).send();
    assert_eq!(ids(&others.drain()), ["b1"], "even of one that never reported");
}

#[tokio::test]
async fn every_filter_works_alone_and_together() {
    let mut world = world();
    world.place_labelled("n2", "a_db_BBBBBB", Running, Some("a2"), "y");
    world.place_labelled("n2", "b_web_CCCCCC", Running, Some("b1"), "x").send();
    let label = |value: &str| [("label".to_owned(), value.to_owned())].into();
    let cases = [
        (options(), &["a1", "a2", "b1"][..]),
        (WorkloadStatusStreamOptions { appname: "a".into(), ..options() }, &["a1", "a2"]),
        (WorkloadStatusStreamOptions { entrypoint: "web".into(), ..options() }, &["a1", "b1"]),
        (WorkloadStatusStreamOptions { nodename: "n2".into(), ..options() }, &["a2", "b1"]),
        (WorkloadStatusStreamOptions { labels: label("x"), ..options() }, &["a1", "b1"]),
        (WorkloadStatusStreamOptions { appname: "a".into(), nodename: "n2".into(), ..options() }, &["a2"]),
        (WorkloadStatusStreamOptions { entrypoint: "web".into(), labels: label("x"), ..options() }, &["a1", "b1"]),
        (WorkloadStatusStreamOptions { appname: "zz".into(), ..options() }, &[]),
    ];
    let mut readers: Vec<_> = cases.iter().map(|(wanted, _)| Reader::open(&world, wanted.clone())).collect();
    world.report("n1", "a1", false, 0).commit();
    world.report("n2", "a2", true, 0).commit();
    world.report("n2", "b1", true, 0).send();
    for ((wanted, want), reader) in cases.iter().zip(&mut readers) {
        assert_eq!(ids(&reader.drain()), *want, "{wanted:?}");
    }
    // An app that nobody knew when the stream was opened.
    let mut early = Reader::open(&world, WorkloadStatusStreamOptions { appname: "new".into(), ..options() });
    assert!(early.drain().is_empty());
    world.place("n2", "new_web_DDDDDD", Running, Some("d1")).report("n2", "d1", true, 0).send();
    assert_eq!(ids(&early.drain()), ["d1"]);
}

#[tokio::test]
async fn a_lost_node_takes_its_workloads_with_it_by_one_write() {
    let mut world = world();
    world.place("n1", "a_web_BBBBBB", Running, Some("a2")).report("n1", "a2", true, 0);
    world.place("n2", "a_web_CCCCCC", Running, Some("a3")).report("n2", "a3", true, 0).send();
    let mut reader = Reader::open(&world, options());
    world.verdict("n1", Verdict::Lost, 1).send();
    let got = reader.drain();
    assert_eq!(ids(&got), ["a1", "a2"]);
    assert!(got.iter().all(|message| !running(message) && !message.delete && message.status.is_some()));
    // Back again: what was said before the loss does not count until it is said again.
    world.alive("n1", true).verdict("n1", Verdict::Fine, 1).send();
    assert!(reader.drain().is_empty(), "still not running");
    world.report("n1", "a1", true, 1).send();
    let got = reader.drain();
    assert_eq!(ids(&got), ["a1"]);
    assert!(running(&got[0]));
}

#[tokio::test]
async fn a_reader_that_stops_reading_costs_nothing_and_gets_the_newest_state_once() {
    const WORKLOADS: usize = 10_000;
    let mut world = World::new(TombstoneLimits::default());
    world.pod("p1").node("n1").alive("n1", true);
    for n in 0..WORKLOADS {
        world.place("n1", &format!("a_web_{n:06}"), Running, Some(&format!("id{n:06}")));
    }
    world.send();
    let mut stalled = Reader::open(&world, options());
    assert!(stalled.drain().is_empty());
    for round in 0..5 {
        for n in 0..WORKLOADS {
            world.report("n1", &format!("id{n:06}"), round % 2 == 0, 0).commit();
        }
        world.send();
        let lane_len = world.cache.read().index.lane(None).unwrap().changes_len();
        assert_eq!(lane_len, WORKLOADS, "the index holds each workload once");
    }
    let mut seen = std::collections::BTreeSet::new();
    for message in stalled.drain() {
        assert!(running(&message), "the newest state");
        assert!(seen.insert(message.id), "once");
    }
    assert_eq!(seen.len(), WORKLOADS);
}

#[tokio::test]
async fn a_stream_ends_with_a_word_and_there_are_only_so_many() {
    let world = world();
    let mut reader = Reader::open(&world, options());
    assert!(reader.drain().is_empty());
    reader.shutdown.cancel();
    let status = reader.stream.next().await.unwrap().unwrap_err();
    assert_eq!((status.code(), status.message()), (tonic::Code::Unavailable, "core is stopping"));
    assert!(reader.stream.next().await.is_none());
    // The feeder's end ends streams as well, and those that are opened afterwards.
    let mut other = Reader::open(&world, options());
    assert!(other.drain().is_empty());
    world.cache.signals().close();
    assert_eq!(other.stream.next().await.unwrap().unwrap_err().code(), tonic::Code::Unavailable);
    let mut late = Reader::open(&world, options());
    assert_eq!(late.stream.next().await.unwrap().unwrap_err().code(), tonic::Code::Unavailable);

    let limits = StreamLimits::new(1);
    let plain = Subscribe::parse(options(), &limits).unwrap();
    let open = || subscribe(world.cache.clone(), plain.clone(), &limits, CancellationToken::new());
    let first = open().unwrap();
    assert_eq!(limits.open_len(), 1);
    let refused = open().err().unwrap();
    assert_eq!(refused.code(), tonic::Code::ResourceExhausted);
    assert!(refused.message().contains("at most 1 streams (max_streams)"), "{}", refused.message());
    drop(first);
    assert!(open().is_ok(), "room is given back");
}
