//! From its start to its end.

use crate::{
    core::{Book, FakeCore},
    program::{Running, run},
};
use eru_testkit::port;
use rustix::process::Signal;
use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    sync::{Arc, Mutex},
};

fn book() -> Arc<Mutex<Book>> {
    Arc::default()
}

/// The status line of a page; nothing when nobody answers.
fn status(address: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").ok()?;
    let mut text = String::new();
    stream.read_to_string(&mut text).ok()?;
    text.lines().next().map(str::to_owned)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_starts_before_core_and_leaves_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let core = format!("127.0.0.1:{}", port::free().unwrap());
    let api = format!("127.0.0.1:{}", port::free().unwrap());
    let mut agent = Running::start(folder.path(), &core, &["--api-addr", &api]);
    agent.logged("cannot register with core, trying again").await;
    assert_eq!(agent.pid_file(), Some(agent.pid().to_string()));
    agent.until("it is unhealthy", || status(&api, "/healthz").is_some_and(|line| line.contains(" 503 "))).await;

    // Core comes, but the node has not been added.
    let book = book();
    book.lock().unwrap().refuse_register = true;
    let _core = FakeCore::start_at(core, book.clone()).await;
    agent.logged("waiting for the node to be added").await;
    book.lock().unwrap().refuse_register = false;
    agent.until("it beats", || book.lock().unwrap().beats.iter().any(|beat| beat.runtime_ok)).await;
    agent.until("it is healthy", || status(&api, "/healthz").is_some_and(|line| line.contains(" 200 "))).await;
    agent.until("it reports", || book.lock().unwrap().full_calls() == 1).await;

    agent.signal(Signal::TERM);
    assert_eq!(agent.ended(), Some(0), "{}", agent.log());
    assert_eq!(agent.pid_file(), None);
    let leaves = book.lock().unwrap().leaves.clone();
    assert_eq!(leaves.iter().map(|leave| (&*leave.nodename, leave.lease_ttl_ms)).collect::<Vec<_>>(), [("n1", 60_000)]);
    let log = agent.log();
    assert!(log.contains("password: ***") && !log.contains("hunter2"), "{log}");
    assert_eq!(log.matches("cannot register with core").count(), 1, "one line as long as nothing changes: {log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_signal_ends_it_as_it_says() {
    for (signal, leaves) in [(Signal::INT, 1), (Signal::QUIT, 1), (Signal::USR1, 0)] {
        let folder = tempfile::tempdir().unwrap();
        let book = book();
        let core = FakeCore::start(book.clone()).await;
        let mut agent = Running::start(folder.path(), &core.address, &[]);
        agent.until("it beats", || !book.lock().unwrap().beats.is_empty()).await;
        agent.signal(signal);
        assert_eq!(agent.ended(), Some(0), "{signal:?}: {}", agent.log());
        assert_eq!((book.lock().unwrap().leaves.len(), agent.pid_file()), (leaves, None), "{signal:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_one_is_kept_out_and_one_that_was_killed_keeps_nobody_out() {
    let folder = tempfile::tempdir().unwrap();
    let book = book();
    let core = FakeCore::start(book.clone()).await;
    let mut first = Running::start(folder.path(), &core.address, &[]);
    first.until("it beats", || !book.lock().unwrap().beats.is_empty()).await;
    let pid_file = folder.path().join("agent.pid");
    let pid_file = pid_file.to_str().unwrap();
    let args = ["--hostname", "n1", "--runtime", "fake", "--core-endpoint", &core.address, "--pidfile", pid_file];
    let second = run(&args, &[]);
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{said}");
    assert!(said.contains(&format!("another agent runs as pid {}", first.pid())), "{said}");
    assert_eq!(book.lock().unwrap().registers, 1);
    first.signal(Signal::KILL);
    assert_eq!(first.ended(), None);
    assert!(Path::new(pid_file).exists());
    let third = Running::start(folder.path(), &core.address, &[]);
    third.until("the next registers", || book.lock().unwrap().registers == 2).await;
    assert_eq!(third.pid_file(), Some(third.pid().to_string()));
    third.logged("replacing a pid file that nobody holds any more").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_was_superseded_fails() {
    let folder = tempfile::tempdir().unwrap();
    let book = book();
    let core = FakeCore::start(book.clone()).await;
    let mut agent = Running::start(folder.path(), &core.address, &[]);
    agent.until("it beats", || !book.lock().unwrap().beats.is_empty()).await;
    book.lock().unwrap().superseded = true;
    assert_eq!(agent.ended(), Some(1));
    assert!(agent.log().contains("node n1: another agent has registered for it"), "{}", agent.log());
    assert_eq!((book.lock().unwrap().leaves.len(), agent.pid_file()), (0, None));
}
