//! Networks that are joined and left while a workload runs.

use crate::bench::{Bench, create, engine};
use crate::core::Book;
use eru_runtime::{Runtime, conformance::within};
use std::sync::atomic::Ordering;

fn networks(book: &Book, id: &str) -> Vec<String> {
    book.newest.get(id).map(|report| report.networks.keys().cloned().collect()).unwrap_or_default()
}

#[tokio::test]
async fn are_reported_at_once() {
    let bench = Bench::start().await;
    let id = bench.run("app_web_000001").await;
    bench.until("it runs", |b| b.now(id.as_str()) == "running healthy").await;
    let before = networks(&bench.book.lock().unwrap(), id.as_str());
    bench.engine.add_network("extra", "bridge", "10.9.0.0/16");
    // The next list is ten minutes away.
    bench.engine.connect("extra", &id, "", "").await.unwrap();
    bench.until("it has joined", |b| networks(b, id.as_str()).contains(&"extra".to_owned())).await;
    bench.engine.disconnect("extra", &id, false).await.unwrap();
    bench.until("it has left", |b| networks(b, id.as_str()) == before).await;
}

#[tokio::test]
async fn are_newer_than_a_list_that_was_begun_before() {
    let engine = engine();
    let id = create(&engine, "app_web_000001", &[], &["sleep"]).await;
    engine.start(&id).await.unwrap();
    engine.add_network("extra", "bridge", "10.9.0.0/16");
    // It lists after it has registered, so that no second list is wanted.
    let tune = |options: &mut eru_agent::AgentOptions| options.only_mine = true;
    let mut bench = Bench::start_tuned(engine, Book::default(), Box::new(tune)).await;
    bench.until("it runs", |b| b.now(id.as_str()) == "running healthy").await;
    bench.stop_agent().await.unwrap();
    // The next agent has no worker yet when the workload changes behind its first list.
    bench.gate.closed.store(true, Ordering::SeqCst);
    let lists = bench.gate.lists.load(Ordering::SeqCst);
    bench.start_agent();
    within("it lists", async || (bench.gate.lists.load(Ordering::SeqCst) > lists).then_some(())).await;
    bench.engine.connect("extra", &id, "", "").await.unwrap();
    let handle = bench.handle.clone().unwrap();
    let told = async || (handle.vitals().events(eru_runtime::Action::Changed) > 0).then_some(());
    within("it has heard of it", told).await;
    bench.gate.closed.store(false, Ordering::SeqCst);
    bench.until("the truth is told", |b| networks(b, id.as_str()).contains(&"extra".to_owned())).await;
}
