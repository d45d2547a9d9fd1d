//! The lives of workloads, as core is told of them.

use crate::bench::{Bench, create, engine};
use crate::core::Book;
use eru_runtime::{Runtime, conformance::within, fake::Operation};
use eru_types::{EngineId, ExitStatus};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU16, AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// A server whose status code can be turned; 0 = it takes the request and never answers. Counts what it was asked.
async fn server(code: u16) -> (u16, Arc<AtomicU16>, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (code, asked) = (Arc::new(AtomicU16::new(code)), Arc::new(AtomicU32::new(0)));
    let (code_of, asked_of) = (code.clone(), asked.clone());
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let (code, asked) = (code_of.clone(), asked_of.clone());
            tokio::spawn(async move {
                let _ = connection.read(&mut [0; 1024]).await;
                asked.fetch_add(1, Ordering::SeqCst);
                while code.load(Ordering::SeqCst) == 0 {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                let answer = format!("HTTP/1.1 {} x\r\n\r\n", code.load(Ordering::SeqCst));
                let _ = connection.write_all(answer.as_bytes()).await;
            });
        }
    });
    (port, code, asked)
}

fn meta(port: u16) -> String {
    format!(
        r#"{{"Publish":null,"HealthCheck":{{"TCPPorts":["{port}"],"HTTPPort":"{port}","HTTPURL":"/","HTTPCode":200}}}}"#
    )
}

#[tokio::test]
async fn a_life_without_a_check() {
    let bench = Bench::start().await;
    let id = bench.create("app_web_000001", &[("zone", "a")], &["eru-fake", "eprint:boom"]).await;
    bench.engine.start(&id).await.unwrap();
    bench.until("it runs", |b| b.now(id.as_str()) == "running healthy").await;
    bench.engine.kill(&id, 137);
    bench.until("it is dead", |b| b.now(id.as_str()) == "dead 137").await;
    {
        let book = bench.book.lock().unwrap();
        let dead = &book.newest[id.as_str()];
        assert_eq!((dead.exit.unwrap().signal, dead.last_lines.as_slice()), (9, ["boom".to_owned()].as_slice()));
        assert!(dead.networks.is_empty() && dead.reason == "boom" && dead.observed_at_ms > 0);
        assert_eq!(dead.extension, r#"{"ERU":"1","zone":"a"}"#.as_bytes());
        let first = &book.reports.iter().find(|(_, r)| r.id == id.as_str() && r.running).unwrap().1;
        assert_eq!(first.networks.len(), 1);
        let seqs: Vec<_> = book.reports.iter().map(|(_, r)| r.seq).collect();
        assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
    }
    bench.engine.start(&id).await.unwrap();
    bench.until("it runs again", |b| b.now(id.as_str()) == "running healthy").await;
    bench.engine.remove(&id, true).await.unwrap();
    bench.until("it is gone", |b| b.now(id.as_str()) == "gone").await;
}

#[tokio::test]
async fn a_start_is_reported_at_once_and_health_when_it_is_known() {
    let bench = Bench::start().await;
    let (port, code, asked) = server(0).await;
    let id = bench.create("app_web_000001", &[("ERU_META", &meta(port))], &["sleep"]).await;
    bench.engine.start(&id).await.unwrap();
    // The probe is under way and has no answer yet.
    within("it is probed", async || (asked.load(Ordering::SeqCst) > 0).then_some(())).await;
    bench.until("it runs", |b| b.now(id.as_str()) == "running").await;
    code.store(200, Ordering::SeqCst);
    bench.until("it is healthy", |b| b.now(id.as_str()) == "running healthy").await;
    code.store(503, Ordering::SeqCst);
    bench.until("it is not healthy", |b| b.now(id.as_str()) == "running").await;
    let reason = bench.book.lock().unwrap().newest[id.as_str()].reason.clone();
    assert_eq!(reason, format!("http 127.0.0.1:{port}/: answered 503, wanted 200"));
    code.store(200, Ordering::SeqCst);
    bench.until("it is healthy again", |b| b.now(id.as_str()) == "running healthy").await;
    assert_eq!(bench.book.lock().unwrap().newest[id.as_str()].reason, "");
}

#[tokio::test]
async fn a_probe_that_began_before_a_death_says_nothing_after_it() {
    let bench = Bench::start().await;
    let (port, code, asked) = server(0).await;
    let id = bench.create("app_web_000001", &[("ERU_META", &meta(port))], &["sleep"]).await;
    bench.engine.start(&id).await.unwrap();
    within("it is probed", async || (asked.load(Ordering::SeqCst) > 0).then_some(())).await;
    bench.engine.kill(&id, 1);
    code.store(200, Ordering::SeqCst);
    bench.until("it is dead", |b| b.now(id.as_str()) == "dead 1").await;
    // Another workload goes through its whole life: whatever was under way is through by then.
    let other = bench.run("app_web_000002").await;
    bench.until("another one runs", |b| b.now(other.as_str()) == "running healthy").await;
    assert_eq!(bench.book.lock().unwrap().story(id.as_str()).last().unwrap(), "dead 1");
    assert!(!bench.book.lock().unwrap().story(id.as_str()).contains(&"running healthy".to_owned()));
}

#[tokio::test]
async fn a_workload_that_core_does_not_know_yet_is_reported_until_it_does() {
    let bench = Bench::start().await;
    bench.until("everything was reported", |b| b.full_calls() == 1).await;
    let id = bench.create("app_web_000001", &[], &["sleep"]).await;
    bench.book.lock().unwrap().unknown.insert(id.to_string());
    bench.engine.start(&id).await.unwrap();
    bench.until("it is reported again", |b| b.story(id.as_str()).len() >= 3).await;
    let other = bench.run("app_web_000002").await;
    bench.until("others do not wait", |b| b.now(other.as_str()) == "running healthy").await;
    bench.book.lock().unwrap().unknown.clear();
    bench.until("it is stored", |b| b.now(id.as_str()) == "running healthy").await;
    let waits: Vec<_> = {
        let book = bench.book.lock().unwrap();
        let at: Vec<_> = book.reports.iter().filter(|(_, r)| r.id == id.as_str()).map(|(at, _)| *at).collect();
        at.windows(2).map(|w| w[1] - w[0]).collect()
    };
    assert!(waits.iter().all(|w| *w >= Duration::from_millis(90)), "{waits:?}");
}

#[tokio::test]
async fn a_workload_that_is_gone_and_unknown_to_core_is_forgotten() {
    let bench = Bench::start().await;
    let id = bench.create("app_web_000001", &[], &["sleep"]).await;
    bench.book.lock().unwrap().unknown.insert(id.to_string());
    bench.engine.start(&id).await.unwrap();
    bench.until("it is reported", |b| !b.story(id.as_str()).is_empty()).await;
    bench.engine.remove(&id, true).await.unwrap();
    bench.until("it is reported gone", |b| b.story(id.as_str()).last().is_some_and(|w| w == "gone")).await;
    bench.book.lock().unwrap().report_all = true;
    bench.until("everything is reported", |b| b.calls.last().is_some_and(|c| c.full && c.reports.is_empty())).await;
    assert_eq!(bench.book.lock().unwrap().story(id.as_str()).iter().filter(|w| *w == "gone").count(), 1);
}

#[tokio::test]
async fn what_happened_while_nobody_looked_is_found_by_the_next_list() {
    let engine = engine();
    let before = create(&engine, "app_web_000001", &[], &["sleep"]).await;
    engine.start(&before).await.unwrap();
    let made = create(&engine, "app_web_000002", &[], &["sleep"]).await;
    let foreign = create(&engine, "app_web_000003", &[("eru.nodename", "n2")], &["sleep"]).await;
    engine.start(&foreign).await.unwrap();
    let bench = Bench::start_with(engine, Book::default()).await;
    bench.until("the first list", |b| b.full_calls() == 1).await;
    {
        let book = bench.book.lock().unwrap();
        let full = &book.calls.iter().find(|c| c.full).unwrap().reports;
        let mut ids: Vec<_> = full.iter().map(|r| r.id.as_str()).collect();
        ids.sort_unstable();
        let mut wanted = [before.as_str(), made.as_str()];
        wanted.sort_unstable();
        assert_eq!(ids, wanted);
        assert_eq!(book.now(made.as_str()), "dead ?");
    }
    // The engine is down: events are lost. It comes back with other workloads.
    bench.engine.set_down(true);
    bench.until("the beat says so", |b| b.beats.last().is_some_and(|beat| !beat.runtime_ok)).await;
    let during = {
        // Nobody is subscribed while it is down, so nothing of this is told.
        let mut options = bench.engine.options();
        options.knobs.down = false;
        options.knobs.failures.insert(Operation::Inspect, 3);
        bench.engine.set_options(options);
        bench.engine.kill(&before, 1);
        let during = bench.create("app_web_000004", &[], &["sleep"]).await;
        bench.engine.start(&during).await.unwrap();
        during
    };
    bench.until("the death is found", |b| b.now(before.as_str()) == "dead 1").await;
    bench.until("the start is found", |b| b.now(during.as_str()) == "running healthy").await;
    assert!(bench.book.lock().unwrap().story(foreign.as_str()).is_empty());
}

#[tokio::test]
async fn a_workload_that_vanished_without_a_word_is_noticed() {
    let bench = Bench::start().await;
    let id = bench.run("app_web_000001").await;
    bench.until("it runs", |b| b.now(id.as_str()) == "running healthy").await;
    // The subscription breaks, and the removal falls into the gap.
    bench.engine.set_down(true);
    let mut options = bench.engine.options();
    options.knobs.down = false;
    bench.engine.set_options(options);
    bench.engine.remove(&id, true).await.unwrap();
    bench.until("it is gone", |b| b.now(id.as_str()) == "gone").await;
}

#[tokio::test]
async fn an_old_list_does_not_bring_back_what_died_meanwhile() {
    let bench = Bench::start().await;
    let id = bench.run("app_web_000001").await;
    bench.until("it runs", |b| b.now(id.as_str()) == "running healthy" && b.full_calls() == 1).await;
    let lists = bench.gate.lists.load(Ordering::SeqCst);
    bench.gate.closed.store(true, Ordering::SeqCst);
    bench.book.lock().unwrap().report_all = true;
    within("a list is made", async || (bench.gate.lists.load(Ordering::SeqCst) > lists).then_some(())).await;
    bench.engine.kill(&id, 1);
    bench.until("it is dead", |b| b.now(id.as_str()) == "dead 1").await;
    bench.gate.closed.store(false, Ordering::SeqCst);
    bench.until("the list is through", |b| b.full_calls() == 2).await;
    let story = bench.book.lock().unwrap().story(id.as_str());
    let dead = story.iter().position(|w| w == "dead 1").unwrap();
    assert!(story[dead..].iter().all(|w| w == "dead 1"), "{story:?}");
}

#[tokio::test]
async fn many_changes_while_core_is_busy_are_one_report_each() {
    let bench = Bench::start().await;
    let ids = [bench.run("app_web_000001").await, bench.run("app_web_000002").await];
    bench.until("both run", |b| ids.iter().all(|id| b.now(id.as_str()) == "running healthy")).await;
    bench.book.lock().unwrap().hold_reports = true;
    for code in 1..50 {
        for id in &ids {
            bench.engine.kill(id, code);
            bench.engine.start(id).await.unwrap();
        }
        tokio::task::yield_now().await;
    }
    bench.engine.kill(&ids[0], 50);
    let before = bench.book.lock().unwrap().reports.len();
    bench.book.lock().unwrap().hold_reports = false;
    bench.until("the newest state is told", |b| b.now(ids[0].as_str()) == "dead 50").await;
    bench.until("of both", |b| b.now(ids[1].as_str()) == "running healthy").await;
    let told = bench.book.lock().unwrap().reports.len() - before;
    assert!(told <= 6, "{told} reports for 200 changes");
}

/// An end with this code, so long after the start that the newest report of the workload tells of.
fn end(bench: &Bench, id: &EngineId, code: i32, after_ms: i64) -> ExitStatus {
    let at_ms = bench.book.lock().unwrap().newest[id.as_str()].started_at_ms + after_ms;
    ExitStatus { code, signal: 0, oom_killed: false, at_ms }
}

const HOUR_MS: i64 = 3_600_000;

#[tokio::test]
async fn a_death_is_told_before_the_engine_lets_it_be_looked_at() {
    let bench = Bench::start().await;
    let id = bench.run("app_web_000001").await;
    bench.until("it runs", |b| b.now(id.as_str()) == "running healthy" && b.full_calls() == 1).await;
    let told = end(&bench, &id, 4, HOUR_MS);
    *bench.gate.exit.lock().unwrap() = Some(told);
    bench.engine.kill(&id, 4);
    bench.until("it is told", |b| b.now(id.as_str()) == "dead 4").await;
    let before = bench.book.lock().unwrap().story(id.as_str()).len();
    *bench.gate.exit.lock().unwrap() = None;
    // What the look finds is the same end, and no news but for the lines that it wrote.
    bench.book.lock().unwrap().report_all = true;
    bench.until("everything is reported", |b| b.full_calls() == 2).await;
    let book = bench.book.lock().unwrap();
    assert_eq!(book.newest[id.as_str()].exit.unwrap().at_ms, told.at_ms);
    let news = book.story(id.as_str()).len() - before;
    assert!(news <= 2, "the full report, and one with its last lines: {:?}", book.story(id.as_str()));
}

#[tokio::test]
async fn a_death_is_told_while_a_look_from_before_it_waits_for_the_runtime() {
    let tune = |options: &mut eru_agent::AgentOptions| options.call_timeout = Duration::from_millis(20);
    let bench = Bench::start_tuned(engine(), Book::default(), Box::new(tune)).await;
    let id = bench.run("app_web_000001").await;
    bench.until("it runs", |b| b.now(id.as_str()) == "running healthy" && b.full_calls() == 1).await;
    *bench.gate.hangs.lock().unwrap() = Some(id.clone());
    // Events without an end: only a look could tell more.
    bench.engine.stop(&id, Duration::ZERO).await.unwrap();
    bench.engine.start(&id).await.unwrap();
    within("it is looked at", async || (bench.gate.looks.load(Ordering::SeqCst) > 0).then_some(())).await;
    *bench.gate.exit.lock().unwrap() = Some(end(&bench, &id, 4, HOUR_MS));
    bench.engine.kill(&id, 4);
    bench.until("it is told", |b| b.now(id.as_str()) == "dead 4").await;
}

#[tokio::test]
async fn a_death_that_was_before_the_start_is_not_told() {
    let bench = Bench::start().await;
    let id = bench.run("app_web_000001").await;
    bench.until("it runs", |b| b.now(id.as_str()) == "running healthy").await;
    *bench.gate.exit.lock().unwrap() = Some(end(&bench, &id, 5, -HOUR_MS));
    bench.engine.kill(&id, 4);
    // Its letter has been read when the runtime is asked.
    within("it is looked at", async || (bench.gate.looks.load(Ordering::SeqCst) > 0).then_some(())).await;
    *bench.gate.exit.lock().unwrap() = None;
    bench.until("the look tells", |b| b.now(id.as_str()) == "dead 4").await;
    assert!(!bench.book.lock().unwrap().story(id.as_str()).contains(&"dead 5".to_owned()));
}

#[tokio::test]
async fn a_death_is_told_within_milliseconds() {
    let bench = Bench::start().await;
    let mut took = Vec::new();
    for n in 0..40 {
        let id = bench.run(&format!("app_web_{n:06}")).await;
        bench.until("it runs", |b| b.now(id.as_str()) == "running healthy").await;
        let killed = Instant::now();
        bench.engine.kill(&id, 9);
        bench.until("it is dead", |b| b.now(id.as_str()) == "dead 9").await;
        let book = bench.book.lock().unwrap();
        took.push(book.reports.iter().find(|(_, r)| r.id == id.as_str() && !r.running).unwrap().0 - killed);
    }
    took.sort_unstable();
    println!("death -> report: median {:?}, worst {:?}", took[20], took[39]);
    // A batching delay or a poll would show; a busy machine does not.
    assert!(took[10] < Duration::from_millis(20), "{took:?}");
}

#[tokio::test]
async fn a_new_agent_takes_no_health_back_before_it_has_looked() {
    let mut bench = Bench::start().await;
    let (port, code, _) = server(200).await;
    let id = bench.create("app_web_000001", &[("ERU_META", &meta(port))], &["sleep"]).await;
    bench.engine.start(&id).await.unwrap();
    bench.until("it is healthy", |b| b.now(id.as_str()) == "running healthy").await;
    for (answer, now) in [(200, "running healthy"), (500, "running")] {
        bench.stop_agent().await.unwrap();
        code.store(answer, Ordering::SeqCst);
        let (told, full) = {
            let book = bench.book.lock().unwrap();
            (book.story(id.as_str()).len(), book.full_calls())
        };
        bench.start_agent();
        bench.until("everything is reported", |b| b.full_calls() > full).await;
        let story = bench.book.lock().unwrap().story(id.as_str()).split_off(told);
        assert!(!story.is_empty() && story.iter().all(|word| word == now), "{answer}: {story:?}");
    }
}
