//! `/healthz`, `/version`, `/metrics`.

use crate::bench::{Bench, engine};
use crate::core::Book;
use eru_runtime::conformance::within;
use std::{net::SocketAddr, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

async fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn bench_at(address: SocketAddr, book: Book) -> Bench {
    Bench::start_tuned(engine(), book, Box::new(move |options| options.api = Some(address))).await
}

/// One request, and the whole answer; nothing when nobody listens or the connection is closed.
async fn ask(address: SocketAddr, request: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}

async fn get(address: SocketAddr, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    within("an answer", async || ask(address, &request).await).await
}

/// The value of a metric.
fn value(page: &str, name: &str) -> f64 {
    let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {name} in {page}")).parse().unwrap()
}

#[tokio::test]
async fn it_is_healthy_when_core_and_runtime_answer() {
    let address = free().await;
    let bench = bench_at(address, Book { refuse_register: true, ..Book::default() }).await;
    bench.until("it asks", |b| b.registers >= 1).await;
    let sick = within("it says so", async || {
        Some(get(address, "/healthz").await).filter(|page| page.contains("n1 is not there"))
    });
    let sick = sick.await;
    assert!(sick.starts_with("HTTP/1.1 503 ") && sick.contains("runtime: ok\ncore: no answer for "), "{sick}");
    bench.book.lock().unwrap().refuse_register = false;
    let healthy = within("it is healthy", async || {
        Some(get(address, "/healthz").await).filter(|page| page.starts_with("HTTP/1.1 200 "))
    });
    assert!(healthy.await.ends_with("\r\n\r\nruntime: ok\ncore: ok\n"));
    bench.engine.set_down(true);
    within("it names the runtime", async || {
        let page = get(address, "/healthz").await;
        (page.starts_with("HTTP/1.1 503 ") && page.contains("core: ok\n") && page.contains("runtime: no answer"))
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let address = free().await;
    let bench = bench_at(address, Book::default()).await;
    let ids = [bench.run("app_web_000001").await, bench.run("app_web_000002").await];
    bench.create("app_web_000003", &[], &["sleep"]).await;
    bench.until("both run", |b| ids.iter().all(|id| b.now(id.as_str()) == "running healthy")).await;
    bench.engine.kill(&ids[1], 1);
    bench.until("one is dead", |b| b.now(ids[1].as_str()) == "dead 1").await;
    bench.book.lock().unwrap().report_all = true;
    bench.until("everything is reported", |b| b.full_calls() == 2).await;
    let page = within("all is acknowledged", async || {
        let page = get(address, "/metrics").await;
        (value(&page, "eru_agent_reports_queued") == 0.0).then_some(page)
    });
    let page = page.await;
    assert!(page.contains("content-type: text/plain; version=0.0.4"), "{page}");
    for (name, wanted) in [
        ("eru_agent_workloads{state=\"healthy\"}", 1.0),
        ("eru_agent_workloads{state=\"unhealthy\"}", 0.0),
        ("eru_agent_workloads{state=\"stopped\"}", 1.0),
        ("eru_agent_workloads{state=\"created\"}", 1.0),
        ("eru_agent_core_connected", 1.0),
        ("eru_agent_runtime_connected", 1.0),
        ("eru_agent_subscriptions_total", 1.0),
        ("eru_agent_reports_refused_total", 0.0),
    ] {
        assert_eq!(value(&page, name), wanted, "{name}");
    }
    let sent: usize = bench.book.lock().unwrap().calls.iter().map(|call| call.reports.len()).sum();
    assert_eq!(value(&page, "eru_agent_reports_sent_total"), sent as f64);
    // One at the start, one for each full report; the first two may be one.
    assert!((2.0..=3.0).contains(&value(&page, "eru_agent_lists_total")));
    assert!(value(&page, "eru_agent_events_total{action=\"died\"}") >= 1.0);
    assert!(value(&page, "eru_agent_process_resident_memory_bytes") > 1e6);
    let age = value(&page, "eru_agent_last_beat_age_seconds");
    assert!((0.0..20.0).contains(&age), "{age}");
    // Every family says what it is, once.
    let families = page.lines().filter(|line| line.starts_with("# TYPE ")).count();
    assert!(families >= 20 && families == page.lines().filter(|line| line.starts_with("# HELP ")).count());
}

#[tokio::test]
async fn other_paths_and_methods_are_refused() {
    let address = free().await;
    let _bench = bench_at(address, Book::default()).await;
    for path in ["/", "/log/?app=x", "/debug/pprof/", "/metricsx", "//healthz"] {
        let page = get(address, path).await;
        assert!(
            page.starts_with("HTTP/1.1 404 ") && page.ends_with("/healthz, /version and /metrics\n"),
            "{path}: {page}"
        );
    }
    let version = get(address, "/version/?x=1").await;
    assert!(version.starts_with("HTTP/1.1 200 ") && version.contains("content-type: application/json"), "{version}");
    let body: serde_json::Value = serde_json::from_str(version.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!((&body["node"], &body["name"]), (&"n1".into(), &"eru-agent".into()));
    let posted = ask(address, "POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n").await.unwrap();
    assert!(posted.starts_with("HTTP/1.1 405 ") && posted.contains("allow: GET, HEAD"), "{posted}");
    let head = ask(address, "HEAD /version HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    assert!(head.starts_with("HTTP/1.1 200 ") && head.ends_with("\r\n\r\n"), "{head}");
    let huge = format!("GET /version HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(64 * 1024));
    // Closed in the middle of it, or told why.
    assert!(ask(address, &huge).await.is_none_or(|page| page.is_empty() || page.starts_with("HTTP/1.1 431 ")));
}

#[tokio::test]
async fn those_who_hold_on_do_not_keep_others_out() {
    let address = free().await;
    let _bench = bench_at(address, Book::default()).await;
    get(address, "/version").await;
    let mut slow = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /ver").await.unwrap();
        slow.push(stream);
        // The system's queue of those who wait to be accepted is short.
        tokio::task::yield_now().await;
    }
    let answer = tokio::time::timeout(Duration::from_secs(5), get(address, "/version")).await.expect("it is answered");
    assert!(answer.starts_with("HTTP/1.1 200 "));
}

#[tokio::test]
async fn a_port_that_another_holds_is_taken_when_it_is_free() {
    let holder = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = holder.local_addr().unwrap();
    let bench = bench_at(address, Book::default()).await;
    // The work goes on meanwhile.
    let id = bench.run("app_web_000001").await;
    bench.until("it is reported", |b| b.now(id.as_str()) == "running healthy").await;
    drop(holder);
    assert!(get(address, "/version").await.contains("eru-agent"));
}
