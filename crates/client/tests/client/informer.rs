//! The informer over a real connection to a core that does as the test says.

use crate::support::{FakeCore, PATIENCE, mark, removal, workload};
use eru_api::pb::workload_status_stream_message::Kind;
use eru_client::{Change, Client, ClientOptions, Filter, Informer, InformerOptions};
use std::time::Duration;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::Status;

fn start(addresses: &[&str], shutdown: &CancellationToken) -> Informer {
    start_with(addresses, Duration::from_millis(100), shutdown)
}

fn start_with(addresses: &[&str], bookmark_interval: Duration, shutdown: &CancellationToken) -> Informer {
    let client = Client::connect(addresses, ClientOptions::default()).unwrap();
    let filter = Filter { app: "app".into(), ..Filter::default() };
    let options = InformerOptions { bookmark_interval, ..InformerOptions::default() };
    Informer::start(client, filter, options, shutdown.clone())
}

/// Waits until the informer shows what is wanted.
async fn until(informer: &mut Informer, what: &str, wanted: impl Fn(&Informer) -> bool) {
    let wait = async {
        while !wanted(informer) {
            informer.changed().await.unwrap();
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}"));
}

fn ids(informer: &Informer) -> Vec<String> {
    informer.snapshot().keys().map(|k| k.to_string()).collect()
}

#[tokio::test]
async fn a_life_with_a_silent_core_a_cut_snapshot_and_a_resync() {
    let shutdown = CancellationToken::new();
    let mut core = FakeCore::start().await;
    let mut informer = start(&[&core.address], &shutdown);
    let stream = core.accept().await;
    assert!(stream.request.snapshot && stream.request.resume_token.is_empty());
    assert_eq!((stream.request.appname.as_str(), stream.request.bookmark_interval_ms), ("app", 100));
    stream.send(workload(Kind::Snapshot, "a", 1, true)).await;
    drop(stream);

    // The snapshot was cut short: nothing of it may show, and it is asked for again.
    let stream = core.accept().await;
    assert!(!informer.is_synced() && informer.snapshot().is_empty());
    assert!(stream.request.resume_token.is_empty());
    stream.send(workload(Kind::Snapshot, "b", 1, true)).await;
    stream.send(mark(Kind::Synced, "", 1)).await;
    timeout(PATIENCE, informer.synced()).await.unwrap().unwrap();
    assert_eq!(ids(&informer), ["b"]);
    stream.send(workload(Kind::Change, "c", 2, false)).await;
    until(&mut informer, "c is added", |i| ids(i) == ["b", "c"]).await;

    // Silence: three bookmarks are missed.
    stream.abandoned().await;
    let stream = core.accept().await;
    assert_eq!(stream.request.resume_token, "1");
    assert!(informer.is_synced() && !informer.is_live() && informer.problem().is_some());
    stream.send(removal("b", 3)).await;
    stream.send(mark(Kind::Synced, "", 3)).await;
    until(&mut informer, "b is removed", |i| ids(i) == ["c"] && i.is_live()).await;
    assert!(informer.revision() == 3 && informer.problem().is_none());

    stream.send(mark(Kind::Resync, "", 0)).await;
    stream.send(workload(Kind::Snapshot, "d", 4, true)).await;
    stream.send(mark(Kind::Synced, "", 4)).await;
    until(&mut informer, "d is all there is", |i| ids(i) == ["d"]).await;
    shutdown.cancel();
    timeout(PATIENCE, informer.join()).await.unwrap();
    assert!(informer.changed().await.is_err());
}

#[tokio::test]
async fn bookmarks_keep_a_quiet_stream_alive() {
    let shutdown = CancellationToken::new();
    let mut core = FakeCore::start().await;
    // Dead after 1.2 s of silence; bookmarks come for longer than that, with room for a slow machine.
    let mut informer = start_with(&[&core.address], Duration::from_millis(400), &shutdown);
    let stream = core.accept().await;
    stream.send(mark(Kind::Synced, "", 1)).await;
    for revision in 2..12 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        stream.send(mark(Kind::Bookmark, "", revision)).await;
    }
    stream.send(workload(Kind::Change, "a", 12, true)).await;
    until(&mut informer, "the first stream still works", |i| i.revision() == 12).await;
}

#[tokio::test]
async fn the_next_core_is_asked_after_the_token_of_the_first() {
    let shutdown = CancellationToken::new();
    let (mut first, mut second) = (FakeCore::start().await, FakeCore::start().await);
    let mut informer = start(&[&first.address, &second.address], &shutdown);
    let stream = first.accept().await;
    stream.send(workload(Kind::Snapshot, "a", 1, true)).await;
    stream.send(mark(Kind::Synced, "", 7)).await;
    informer.synced().await.unwrap();
    drop((stream, first));
    let stream = second.accept().await;
    assert_eq!(stream.request.resume_token, "7");
    stream.send(mark(Kind::Synced, "", 7)).await;
    until(&mut informer, "live again", |i| i.is_live()).await;
    assert_eq!(ids(&informer), ["a"]);
}

#[tokio::test]
async fn readers_begin_with_everything_and_end_with_the_informer() {
    let shutdown = CancellationToken::new();
    let mut core = FakeCore::start().await;
    let mut informer = start(&[&core.address], &shutdown);
    let mut early = informer.changes();
    let stream = core.accept().await;
    stream.send(workload(Kind::Snapshot, "a", 1, true)).await;
    stream.send(mark(Kind::Synced, "", 1)).await;
    assert!(matches!(early.next().await, Some(Change::Added(e)) if e.id() == "a"));
    assert_eq!(early.next().await, Some(Change::Synced));
    let mut late = informer.changes();
    assert!(matches!(late.try_next(), Some(Change::Added(e)) if e.healthy()));
    assert_eq!(late.try_next(), Some(Change::Synced));
    // A reader that does not read is told the newest only.
    for revision in 2..50 {
        stream.send(workload(Kind::Change, "a", revision, revision % 2 == 1)).await;
    }
    until(&mut informer, "all are in", |i| i.revision() == 49).await;
    assert!(late.waiting() <= 1);
    match late.try_next() {
        Some(Change::Updated { old, new }) => assert!(old.revision == 1 && new.revision == 49),
        other => panic!("{other:?}"),
    }
    shutdown.cancel();
    let drained = async { while early.next().await.is_some() {} };
    timeout(PATIENCE, drained).await.unwrap();
}

#[tokio::test]
async fn a_live_informer_says_who_has_not_read_its_whole_yet() {
    let shutdown = CancellationToken::new();
    let mut core = FakeCore::start().await;
    let mut informer = start(&[&core.address], &shutdown);
    let mut reader = informer.changes();
    let progress = reader.progress();
    assert!(!progress.is_caught_up(), "there is no whole yet");
    let stream = core.accept().await;
    stream.send(workload(Kind::Snapshot, "a", 1, true)).await;
    stream.send(workload(Kind::Snapshot, "b", 1, true)).await;
    stream.send(mark(Kind::Synced, "", 1)).await;
    until(&mut informer, "live", |i| i.is_live()).await;
    for _ in ["a", "b"] {
        assert!(!progress.is_caught_up());
        assert!(matches!(reader.next().await, Some(Change::Added(_))));
    }
    assert!(!progress.is_caught_up());
    assert_eq!(reader.next().await, Some(Change::Synced));
    assert!(progress.is_caught_up());
    // What changes later is read as it comes; a new whole has to be read through again.
    stream.send(workload(Kind::Change, "a", 2, false)).await;
    until(&mut informer, "it has changed", |i| i.revision() == 2).await;
    assert!(progress.is_caught_up());
    stream.send(mark(Kind::Resync, "", 0)).await;
    stream.send(mark(Kind::Synced, "", 3)).await;
    until(&mut informer, "a new whole", |i| i.revision() == 3).await;
    assert!(!progress.is_caught_up());
    while reader.next().await != Some(Change::Synced) {}
    assert!(progress.is_caught_up());
    drop(reader);
    assert!(!progress.is_caught_up(), "nobody reads");
}

#[tokio::test]
async fn a_token_that_is_refused_is_not_sent_for_ever() {
    let shutdown = CancellationToken::new();
    let mut core = FakeCore::start().await;
    let mut informer = start(&[&core.address], &shutdown);
    let stream = core.accept().await;
    stream.send(workload(Kind::Snapshot, "a", 1, true)).await;
    stream.send(mark(Kind::Synced, "", 7)).await;
    informer.synced().await.unwrap();
    stream.fail(Status::unavailable("shutting down")).await;
    // A core that cannot answer has not judged the token.
    let stream = core.accept().await;
    assert_eq!(stream.request.resume_token, "7");
    stream.fail(Status::internal("try again")).await;
    let stream = core.accept().await;
    assert_eq!(stream.request.resume_token, "7");
    stream.fail(Status::out_of_range("the token is too old")).await;
    let stream = core.accept().await;
    assert!(stream.request.resume_token.is_empty());
    assert_eq!(ids(&informer), ["a"], "what is known stays until there is a new whole");
    stream.send(workload(Kind::Snapshot, "b", 8, true)).await;
    stream.send(mark(Kind::Synced, "", 8)).await;
    until(&mut informer, "live again", |i| i.is_live()).await;
    assert_eq!(ids(&informer), ["b"]);
}

#[tokio::test]
async fn the_last_handle_takes_the_stream_along() {
    let shutdown = CancellationToken::new();
    let mut core = FakeCore::start().await;
    let informer = start(&[&core.address], &shutdown);
    let stream = core.accept().await;
    drop(informer);
    stream.abandoned().await;
}
