//! Several agents on one engine.

use crate::bench::{Bench, create, engine};
use crate::core::Book;
use eru_runtime::{Fake, Runtime};
use eru_types::{EngineId, NodeName};
use std::sync::Arc;

/// The agent of a node with `--check-only-mine`, on an engine that others use as well.
async fn agent_of(engine: &Arc<Fake>, node: &'static str, core_id: &str) -> Bench {
    let book = Book { core_id: core_id.into(), ..Book::default() };
    let tune = move |options: &mut eru_agent::AgentOptions| {
        options.nodename = NodeName::new(node).unwrap();
        options.only_mine = true;
    };
    Bench::start_tuned(engine.clone(), book, Box::new(tune)).await
}

async fn run_on(engine: &Fake, name: &str, node: &str, core_id: &str) -> EngineId {
    let id = create(engine, name, &[("eru.nodename", node), ("eru.coreid", core_id)], &["sleep"]).await;
    engine.start(&id).await.unwrap();
    id
}

/// Everything that was ever said of a workload, in any call.
fn is_named(book: &Book, id: &EngineId) -> bool {
    book.calls.iter().flat_map(|call| &call.reports).any(|report| report.id == id.as_str())
}

#[tokio::test]
async fn agents_that_share_an_engine_speak_for_their_own_only() {
    let engine = engine();
    let one = run_on(&engine, "app_web_000001", "n1", "c").await;
    let two = run_on(&engine, "app_web_000002", "n2", "c").await;
    // Of another cluster, which calls its node by the same name.
    let foreign = run_on(&engine, "app_web_000003", "n1", "d").await;
    let benches = [agent_of(&engine, "n1", "c").await, agent_of(&engine, "n2", "c").await];
    benches[0].until("n1 reports", |b| b.full_calls() == 1 && b.now(one.as_str()) == "running healthy").await;
    benches[1].until("n2 reports", |b| b.full_calls() == 1 && b.now(two.as_str()) == "running healthy").await;
    // Everything happens to everybody, and a last event shows that all before it has been looked at.
    for id in [&one, &two, &foreign] {
        engine.kill(id, 3);
        engine.remove(id, true).await.unwrap();
    }
    let last = [run_on(&engine, "app_web_000004", "n1", "c").await, run_on(&engine, "app_web_000005", "n2", "c").await];
    for (bench, (own, last)) in benches.iter().zip([(&one, &last[0]), (&two, &last[1])]) {
        bench.until("its own is gone", |b| b.now(own.as_str()) == "gone").await;
        bench.until("its last runs", |b| b.now(last.as_str()) == "running healthy").await;
        bench.book.lock().unwrap().report_all = true;
        bench.until("everything is reported again", |b| b.full_calls() == 2).await;
        let book = bench.book.lock().unwrap();
        for other in [&one, &two, &foreign].into_iter().filter(|id| *id != own) {
            assert!(!is_named(&book, other), "{:?}", book.calls);
        }
    }
}

#[tokio::test]
async fn without_the_option_another_nodes_workloads_are_left_alone_too() {
    let engine = engine();
    let other = run_on(&engine, "app_web_000001", "n2", "c").await;
    let bench = Bench::start_with(engine.clone(), Book { core_id: "c".into(), ..Book::default() }).await;
    let own = bench.run("app_web_000002").await;
    bench.until("its own runs", |b| b.now(own.as_str()) == "running healthy" && b.full_calls() == 1).await;
    assert!(!is_named(&bench.book.lock().unwrap(), &other));
}
