//! What a simulated engine lets one do inside of workloads, and with images and networks.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use eru_runtime::{
    Error, ExecRequest, Fake, FakeOptions, Runtime, SentFile, Session, Stream,
    conformance::request,
    fake::script::{PATTERN, PROGRAM},
};
use eru_types::{EngineId, NodeName};
use futures::StreamExt;
use std::{io::Read, time::Duration};
use tokio::io::AsyncWriteExt;

async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it did not end in time")
}

async fn running(command: &[&str], terminal: bool) -> (Fake, EngineId) {
    let engine = Fake::new(FakeOptions::new(NodeName::new("n1").unwrap()));
    let mut wanted = request("a_b_000001", command);
    wanted.extras.terminal = terminal;
    let id = engine.create(&wanted).await.unwrap();
    (engine, id)
}

fn command(words: &[&str]) -> ExecRequest {
    let command = [PROGRAM].iter().chain(words).map(|word| (*word).to_owned()).collect();
    ExecRequest { command, ..ExecRequest::default() }
}

async fn read_all(session: &mut Session) -> (Vec<u8>, Vec<u8>) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some(piece) = within(session.output.next()).await {
        match piece.unwrap() {
            (Stream::Stdout, data) => out.extend_from_slice(&data),
            (Stream::Stderr, data) => err.extend_from_slice(&data),
        }
    }
    (out, err)
}

#[tokio::test]
async fn a_command_has_two_outputs_and_an_exit_code() {
    let (engine, id) = running(&["x"], false).await;
    assert!(engine.exec(&id, &command(&[])).await.is_err(), "it does not run");
    engine.start(&id).await.unwrap();
    let mut session = engine.exec(&id, &command(&["print:a", "eprint:b", "write:c", "exit:3"])).await.unwrap();
    assert_eq!(read_all(&mut session).await, (b"a\nc".to_vec(), b"b\n".to_vec()));
    assert_eq!(session.control.exit_code().await.unwrap(), 3);
    let plain = ExecRequest { command: vec!["echo".into(), "hi".into()], ..ExecRequest::default() };
    let mut session = engine.exec(&id, &plain).await.unwrap();
    assert_eq!(read_all(&mut session).await.0, b"echo hi\n");
    assert!(matches!(engine.exec(&id, &command(&["what"])).await, Err(Error::Start { .. })));
}

#[tokio::test]
async fn input_comes_back_and_a_terminal_has_a_size() {
    let (engine, id) = running(&["x"], false).await;
    engine.start(&id).await.unwrap();
    let asked = ExecRequest { terminal: true, stdin: true, ..command(&["size", "await-size", "cat", "eprint:e"]) };
    let mut session = engine.exec(&id, &asked).await.unwrap();
    assert_eq!(engine.open_sessions(), (1, 1));
    let first = within(session.output.next()).await.unwrap().unwrap();
    assert_eq!(first, (Stream::Stdout, "0x0\n".into()));
    session.control.resize(24, 80).await.unwrap();
    let mut input = session.input.take().unwrap();
    input.write_all(b"hello").await.unwrap();
    input.shutdown().await.unwrap();
    assert_eq!(read_all(&mut session).await, (b"24x80\nhelloe\n".to_vec(), Vec::new()));
    drop(session);
    assert_eq!(engine.open_sessions(), (0, 0));
}

#[tokio::test]
async fn output_that_nobody_reads_is_not_made() {
    let (engine, id) = running(&["x"], false).await;
    engine.start(&id).await.unwrap();
    let mut session = engine.exec(&id, &command(&["bytes:100000000"])).await.unwrap();
    let (_, first) = session.output.next().await.unwrap().unwrap();
    assert_eq!(first[300], (300 % PATTERN) as u8);
    assert!(engine.session_bytes() < 100_000);
}

#[tokio::test]
async fn a_session_ends_with_its_workload_and_with_its_engine() {
    let (engine, id) = running(&["x"], false).await;
    engine.start(&id).await.unwrap();
    let mut session = engine.exec(&id, &command(&["hang"])).await.unwrap();
    engine.kill(&id, 1);
    assert!(within(session.output.next()).await.is_none());
    assert_eq!(session.control.exit_code().await.unwrap(), 137);
    engine.start(&id).await.unwrap();
    let mut session = engine.exec(&id, &ExecRequest { stdin: true, ..command(&["cat"]) }).await.unwrap();
    engine.set_down(true);
    assert!(matches!(within(session.output.next()).await, Some(Err(Error::Unavailable { .. }))));
    assert!(within(session.output.next()).await.is_none());
}

#[tokio::test]
async fn what_is_attached_before_the_start_misses_nothing() {
    let (engine, id) = running(&[PROGRAM, "print:ready", "cat", "exit:7"], true).await;
    let mut session = engine.attach(&id).await.unwrap();
    engine.start(&id).await.unwrap();
    let mut input = session.input.take().unwrap();
    input.write_all(b"one\ntwo").await.unwrap();
    input.shutdown().await.unwrap();
    assert_eq!(read_all(&mut session).await.0, b"ready\none\ntwo");
    assert_eq!(session.control.exit_code().await.unwrap(), 7);
    assert_eq!(engine.wait(&id).await.unwrap().code, 7);
}

#[tokio::test]
async fn waiting_ends_with_the_workload() {
    let (engine, id) = running(&["x"], false).await;
    assert!(engine.wait(&id).await.is_err(), "it was never started");
    engine.start(&id).await.unwrap();
    let (code, killed) = tokio::join!(within(engine.wait(&id)), async {
        tokio::task::yield_now().await;
        engine.kill(&id, 5)
    });
    assert!(killed);
    assert_eq!(code.unwrap().code, 5);
    engine.start(&id).await.unwrap();
    let (gone, ()) = tokio::join!(within(engine.wait(&id)), async {
        tokio::task::yield_now().await;
        engine.remove(&id, true).await.unwrap();
    });
    assert!(matches!(gone, Err(Error::NotFound(_)) | Ok(_)));
}

#[tokio::test]
async fn files_go_in_and_come_out_as_an_archive() {
    let (engine, id) = running(&["x"], false).await;
    let file = |path: &str, data: &'static [u8]| SentFile {
        path: path.into(),
        data: data.into(),
        mode: 0o640,
        uid: 5,
        gid: 6,
    };
    engine.send_files(&id, &[file("/www/a", b"one"), file("/www/b/c", b"two")]).await.unwrap();
    let names = async |path: &str| {
        let mut pieces = engine.copy_from(&id, path).await.unwrap();
        let mut archive = Vec::new();
        while let Some(piece) = pieces.next().await {
            archive.extend_from_slice(&piece.unwrap());
        }
        let mut archive = tar::Archive::new(&archive[..]);
        let read = archive.entries().unwrap().map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_string_lossy().into_owned();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (name, text, entry.header().mode().unwrap(), entry.header().uid().unwrap())
        });
        read.collect::<Vec<_>>()
    };
    assert_eq!(names("/www/a").await, [("a".into(), "one".into(), 0o640, 5)]);
    assert_eq!(names("/www/").await.iter().map(|e| e.0.as_str()).collect::<Vec<_>>(), ["www/a", "www/b/c"]);
    assert!(engine.copy_from(&id, "/nosuch").await.is_err());
}

#[tokio::test]
async fn images_are_fetched_listed_and_removed() {
    let (engine, _) = running(&["x"], false).await;
    assert!(engine.image("app:1").await.unwrap().is_none());
    let steps: Vec<_> = engine.pull("app:1", None).await.unwrap().collect().await;
    assert!(steps.len() == 4 && steps.iter().all(Result::is_ok));
    assert_eq!(engine.images("app").await.unwrap(), engine.images("").await.unwrap());
    assert_eq!(engine.images("other").await.unwrap(), []);
    engine.refuse_image("bad", "manifest unknown");
    let steps: Vec<_> = engine.pull("bad", None).await.unwrap().collect().await;
    assert!(steps.last().unwrap().as_ref().unwrap_err().to_string().contains("manifest unknown"));
    assert_eq!(engine.remove_image("app:1").await.unwrap(), ["app:1"]);
    assert!(matches!(engine.remove_image("app:1").await, Err(Error::NoImage(_))));
    engine.prune_images().await.unwrap();
    assert_eq!(engine.image_counts(), (2, 1));
}

#[tokio::test]
async fn workloads_join_networks_and_leave_them() {
    let (engine, id) = running(&["x"], false).await;
    engine.start(&id).await.unwrap();
    engine.add_network("net1", "overlay", "172.30.0.0/24");
    assert_eq!(engine.networks("overlay").await.unwrap()[0].subnets, ["172.30.0.0/24"]);
    assert_eq!(engine.networks("").await.unwrap().len(), 2);
    assert_eq!(engine.connect("net1", &id, "172.30.0.9", "").await.unwrap(), ["172.30.0.9"]);
    assert!(engine.connect("net1", &id, "", "").await.is_err(), "it is in it");
    assert!(engine.connect("nonet", &id, "", "").await.is_err());
    assert_eq!(engine.inspect(&id).await.unwrap().networks["net1"], "172.30.0.9");
    engine.disconnect("net1", &id, false).await.unwrap();
    assert!(engine.disconnect("net1", &id, false).await.is_err());
    assert!(!engine.inspect(&id).await.unwrap().networks.contains_key("net1"));
}
