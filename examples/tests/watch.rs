//! The watch application against a core that does as the test says.

#![allow(clippy::unwrap_used)]

#[allow(dead_code)]
#[path = "../../crates/client/tests/client/support.rs"]
mod support;

use eru_api::pb::workload_status_stream_message::Kind;
use std::process::Stdio;
use support::{FakeCore, PATIENCE, mark, removal, workload};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{ChildStdout, Command},
    time::timeout,
};

async fn expect(lines: &mut Lines<BufReader<ChildStdout>>, wanted: &str) {
    let line = timeout(PATIENCE, lines.next_line()).await.unwrap_or_else(|_| panic!("{wanted}")).unwrap();
    assert_eq!(line.as_deref(), Some(wanted));
}

#[tokio::test]
async fn it_says_what_happens() {
    let mut core = FakeCore::start().await;
    let mut watch = Command::new(env!("CARGO_BIN_EXE_watch"))
        .args([&core.address, "app"])
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(watch.stdout.take().unwrap()).lines();
    let stream = core.accept().await;
    assert_eq!(stream.request.appname, "app");
    stream.send(workload(Kind::Snapshot, "a", 1, true)).await;
    stream.send(mark(Kind::Synced, "", 1)).await;
    expect(&mut lines, "new     app_web_00000a on n1 \"\"").await;
    expect(&mut lines, "-- 1 workloads are watched").await;
    let mut dead = workload(Kind::Change, "a", 2, false);
    let status = dead.status.as_mut().unwrap();
    (status.running, status.reason) = (false, "killed\x1b[2J".into());
    stream.send(dead).await;
    expect(&mut lines, "ALARM   app_web_00000a on n1 \"killed\\u{1b}[2J\"").await;
    stream.send(removal("a", 3)).await;
    expect(&mut lines, "removed app_web_00000a on n1 \"killed\\u{1b}[2J\"").await;
}

#[test]
fn it_is_short() {
    let lines = include_str!("../src/bin/watch.rs").lines().count();
    assert!(lines < 40, "{lines} lines");
}
