//! An engine that is away, and an agent in a container that has lost it.

use crate::bench::{Bench, create, engine};
use crate::core::Book;
use eru_agent::{EngineSocket, Error};
use eru_runtime::{Runtime, conformance::within};
use std::{
    sync::atomic::Ordering,
    time::{Duration, Instant},
};
use tokio::net::UnixListener;

#[tokio::test]
async fn while_the_engine_is_away_nothing_is_reported_as_dead() {
    let bench = Bench::start().await;
    let ids = [bench.run("app_web_000001").await, bench.run("app_web_000002").await];
    bench.until("both run", |b| ids.iter().all(|id| b.now(id.as_str()) == "running healthy")).await;
    let vitals = bench.handle.clone().unwrap();
    let subscriptions = vitals.vitals().subscriptions.get();
    let beats = bench.book.lock().unwrap().beats.len();
    bench.engine.set_down(true);
    bench.until("core is told so", |b| b.beats[beats..].iter().filter(|beat| !beat.runtime_ok).count() >= 3).await;
    assert!(!vitals.vitals().runtime().answers);
    // The node is to keep its lease for a while, which is said once.
    let asked =
        |b: &Book| b.beats[beats..].iter().filter(|beat| !beat.runtime_ok).map(|b| b.lease_ttl_ms).collect::<Vec<_>>();
    let asked = asked(&bench.book.lock().unwrap());
    assert!((50_000..=60_000).contains(&asked[0]) && asked[1..].iter().all(|ms| *ms == 0), "{asked:?}");
    // Asked for everything meanwhile, it waits for the engine: what it does not know it does not say.
    bench.book.lock().unwrap().report_all = true;
    bench.until("it has heard it", |b| !b.report_all).await;
    bench.engine.set_down(false);
    within("it subscribes again", async || (vitals.vitals().subscriptions.get() > subscriptions).then_some(())).await;
    bench.until("everything is reported", |b| b.full_calls() >= 2).await;
    for id in &ids {
        let story = bench.book.lock().unwrap().story(id.as_str());
        assert!(story.iter().all(|word| word == "running healthy"), "{story:?}");
    }
    // And then the truth: a death is seen again.
    bench.engine.kill(&ids[0], 7);
    bench.until("a death is told", |b| b.now(ids[0].as_str()) == "dead 7").await;
    assert!(vitals.vitals().runtime().answers);
}

#[tokio::test]
async fn a_workload_that_the_engine_hangs_on_is_no_less_there_and_hides_no_other() {
    let engine = engine();
    let ids = [
        create(&engine, "app_web_000001", &[], &["sleep"]).await,
        create(&engine, "app_web_000002", &[], &["sleep"]).await,
    ];
    let [hung, other] = &ids;
    for id in &ids {
        engine.start(id).await.unwrap();
    }
    let tune = |options: &mut eru_agent::AgentOptions| options.call_timeout = Duration::from_millis(20);
    let mut bench = Bench::start_tuned(engine, Book::default(), Box::new(tune)).await;
    bench.until("both run", |b| ids.iter().all(|id| b.now(id.as_str()) == "running healthy")).await;
    bench.stop_agent().await.unwrap();
    // The next agent has only what lists say; something happens to the workload while it lists.
    *bench.gate.hangs.lock().unwrap() = Some(hung.clone());
    bench.gate.closed.store(true, Ordering::SeqCst);
    let (lists, looks) = (bench.gate.lists.load(Ordering::SeqCst), bench.gate.looks.load(Ordering::SeqCst));
    let full = bench.book.lock().unwrap().full_calls();
    bench.start_agent();
    within("it lists", async || (bench.gate.lists.load(Ordering::SeqCst) > lists).then_some(())).await;
    bench.engine.stop(hung, Duration::ZERO).await.unwrap();
    bench.engine.start(hung).await.unwrap();
    within("it looks", async || (bench.gate.looks.load(Ordering::SeqCst) > looks + 1).then_some(())).await;
    bench.gate.closed.store(false, Ordering::SeqCst);
    bench.until("everything is reported", |b| b.full_calls() > full).await;
    bench
        .until("both are in it", |b| {
            let call = b.calls.iter().rfind(|call| call.full).unwrap();
            ids.iter().all(|id| call.reports.iter().any(|report| report.id == id.as_str() && report.running))
        })
        .await;
    // An end that the event tells of is not held up by looks that are not answered, and others go on.
    bench.engine.kill(other, 3);
    bench.until("the other's death", |b| b.now(other.as_str()) == "dead 3").await;
    // Inspected again, it is as it is.
    *bench.gate.hangs.lock().unwrap() = None;
    bench.engine.kill(hung, 4);
    bench.until("its own death", |b| b.now(hung.as_str()) == "dead 4").await;
}

#[tokio::test]
async fn subscriptions_that_break_again_and_again_are_made_less_and_less_often() {
    const TIMES: u64 = 10;
    let mut bench = Bench::start().await;
    bench.stop_agent().await.unwrap();
    bench.gate.breaks.store(true, Ordering::SeqCst);
    let begun = Instant::now();
    bench.start_agent();
    let handle = bench.handle.clone().unwrap();
    within("it subscribes", async || (handle.vitals().subscriptions.get() >= TIMES).then_some(())).await;
    // With the first wait each time, 100 ms at most, it would take less.
    assert!(begun.elapsed() > Duration::from_millis(100) * (TIMES as u32 - 1), "{:?}", begun.elapsed());
    let id = bench.run("app_web_000001").await;
    bench.gate.breaks.store(false, Ordering::SeqCst);
    bench.until("what runs is found", |b| b.now(id.as_str()) == "running healthy").await;
}

#[tokio::test]
async fn without_the_engines_socket_it_ends_with_an_error_and_without_a_good_bye() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("engine.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let socket = EngineSocket { path: path.clone(), patience: Duration::from_millis(100) };
    let tune = move |options: &mut eru_agent::AgentOptions| options.engine_socket = Some(socket.clone());
    let mut bench = Bench::start_tuned(engine(), Book::default(), Box::new(tune)).await;
    // As long as somebody listens it stays, for longer than its patience.
    for _ in 0..8 {
        listener.accept().await.unwrap();
    }
    bench.until("it beats", |b| !b.beats.is_empty()).await;
    // The file stays, as a mount in a container does; nobody listens.
    drop(listener);
    let error = bench.ended().await.unwrap_err();
    assert_eq!(error, Error::EngineSocketGone { path, patience_s: 0, cause: "connection refused".into() });
    assert!(error.to_string().contains("mounts the new one"), "{error}");
    assert!(bench.book.lock().unwrap().leaves.is_empty());
}

#[tokio::test]
async fn told_to_end_silently_it_leaves_its_lease_alone() {
    let mut bench = Bench::start().await;
    bench.until("it beats", |b| !b.beats.is_empty()).await;
    bench.handle.as_ref().unwrap().end_silently();
    bench.stop_agent().await.unwrap();
    assert!(bench.book.lock().unwrap().leaves.is_empty());
}
