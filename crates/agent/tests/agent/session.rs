//! The agent's standing with core.

use crate::bench::{Bench, engine};
use crate::core::{Book, FakeCore};
use eru_agent::Error;
use eru_runtime::conformance::within;
use tokio::net::TcpListener;

/// Binds a port that another one is about to let go.
async fn bind(address: &str) -> TcpListener {
    within("the port is free", async || TcpListener::bind(address).await.ok()).await
}

#[tokio::test]
async fn it_registers_when_the_node_is_there_and_beats() {
    let bench = Bench::start_with(engine(), Book { refuse_register: true, ..Book::default() }).await;
    bench.until("it asks again", |b| b.registers >= 2).await;
    bench.book.lock().unwrap().refuse_register = false;
    bench.until("it beats", |b| b.beats.len() >= 3 && b.beats.iter().all(|beat| beat.runtime_ok)).await;
    let book = bench.book.lock().unwrap();
    assert!(book.beats.iter().all(|b| b.nodename == "n1" && b.incarnation == 1));
    // Even with nothing to tell: core learns that nothing runs.
    assert!(book.full_calls() <= 1);
}

#[tokio::test]
async fn a_core_that_was_started_again_hears_everything() {
    let mut bench = Bench::start().await;
    let id = bench.run("app_web_000001").await;
    bench.until("it runs", |b| b.now(id.as_str()) == "running healthy").await;
    let address = bench.core.take().unwrap().address.clone();
    // While core is away one dies and another starts.
    bench.engine.kill(&id, 3);
    let other = bench.run("app_web_000002").await;
    {
        // The new core has forgotten the registration and the reports.
        let mut book = bench.book.lock().unwrap();
        *book = Book { incarnation: 7, ..Book::default() };
    }
    bench.core = Some(FakeCore::start_at(address, bench.book.clone()).await);
    bench.until("it registers again", |b| b.incarnation == 8).await;
    bench.until("everything is reported", |b| b.full_calls() >= 1).await;
    bench.until("the death", |b| b.now(id.as_str()) == "dead 3").await;
    bench.until("the start", |b| b.now(other.as_str()) == "running healthy").await;
    let book = bench.book.lock().unwrap();
    assert!(book.calls.iter().all(|c| c.incarnation == 8));
    assert_eq!(book.reports[0].1.seq, 1, "sequence numbers begin again");
}

#[tokio::test]
async fn a_core_that_only_fell_silent_hears_everything_too() {
    let mut bench = Bench::start().await;
    let id = bench.run("app_web_000001").await;
    bench.until("it runs", |b| b.now(id.as_str()) == "running healthy" && b.full_calls() == 1).await;
    let address = bench.core.take().unwrap().address.clone();
    // A beat is tried twice: after four connections that were dropped one of them has failed.
    let listener = bind(&address).await;
    for _ in 0..4 {
        drop(listener.accept().await.unwrap());
    }
    drop(listener);
    // It comes back with the registration, but the newest report was lost.
    bench.book.lock().unwrap().newest.clear();
    bench.core = Some(FakeCore::start_at(address, bench.book.clone()).await);
    bench.until("it is reported again", |b| b.now(id.as_str()) == "running healthy").await;
    assert_eq!(bench.book.lock().unwrap().registers, 1);
}

#[tokio::test]
async fn everything_is_reported_when_core_asks() {
    let bench = Bench::start().await;
    let id = bench.run("app_web_000001").await;
    bench.until("it runs", |b| b.now(id.as_str()) == "running healthy" && b.full_calls() == 1).await;
    bench.book.lock().unwrap().report_all = true;
    bench.until("everything again", |b| b.full_calls() == 2).await;
    assert!(bench.book.lock().unwrap().calls.last().unwrap().reports.iter().any(|r| r.id == id.as_str()));
}

#[tokio::test]
async fn an_agent_that_was_superseded_stops_with_an_error_and_without_a_word() {
    let mut bench = Bench::start().await;
    bench.until("it beats", |b| !b.beats.is_empty()).await;
    bench.book.lock().unwrap().superseded = true;
    let error = bench.ended().await.unwrap_err();
    assert_eq!(error, Error::Superseded { nodename: "n1".into() });
    assert!(error.to_string().starts_with("node n1: another agent"));
    assert!(bench.book.lock().unwrap().leaves.is_empty());
}

#[tokio::test]
async fn a_refused_report_makes_it_ask_at_once() {
    let mut bench = Bench::start().await;
    bench.until("everything was reported", |b| b.full_calls() == 1).await;
    bench.book.lock().unwrap().superseded = true;
    bench.run("app_web_000001").await;
    assert!(bench.ended().await.is_err());
}

#[tokio::test]
async fn it_says_good_bye_and_what_it_still_has_to_tell() {
    let mut bench = Bench::start().await;
    let id = bench.run("app_web_000001").await;
    bench.until("it runs", |b| b.now(id.as_str()) == "running healthy").await;
    bench.stop_agent().await.unwrap();
    let leaves = bench.book.lock().unwrap().leaves.clone();
    assert_eq!(leaves.len(), 1);
    assert_eq!((leaves[0].incarnation, leaves[0].lease_ttl_ms), (1, 60_000));
    // The next one finds what runs.
    bench.engine.kill(&id, 4);
    bench.start_agent();
    bench.until("the next agent", |b| b.incarnation == 2 && b.now(id.as_str()) == "dead 4").await;
}

#[tokio::test]
async fn it_ends_at_once_when_core_is_away() {
    let mut bench = Bench::start().await;
    bench.until("it beats", |b| !b.beats.is_empty()).await;
    bench.core.take();
    bench.stop_agent().await.unwrap();
}
