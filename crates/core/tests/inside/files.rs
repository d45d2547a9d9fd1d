//! Files out of workloads and into them.

use super::{all, engine, support};
use bytes::Bytes;
use eru_api::pb;
use eru_runtime::fake::Operation;
use eru_types::EngineId;
use std::{collections::BTreeMap, io::Read};
use support::{TestCore, deploy, start};
use tonic::Code;

async fn rig() -> (TestCore, Vec<String>) {
    let mut core = start().await.with_nodes(&["n1", "n2"]).await;
    let ids = core.deployed(deploy("app", 2)).await;
    (core, ids)
}

fn files(files: &[(&str, &'static [u8])]) -> BTreeMap<String, Bytes> {
    files.iter().map(|(path, data)| ((*path).to_owned(), Bytes::from_static(data))).collect()
}

async fn send(core: &TestCore, options: pb::SendOptions) -> Vec<(String, String, String)> {
    let mut messages = core.client.clone().send(options).await.unwrap().into_inner();
    all(&mut messages).await.into_iter().map(|m| (m.id, m.path, m.error)).collect()
}

/// Archives and errors by workload and path.
async fn copy(core: &TestCore, targets: &[(&str, &[&str])]) -> BTreeMap<(String, String), (Vec<u8>, String)> {
    let paths = |paths: &[&str]| pb::CopyPaths { paths: paths.iter().map(|p| (*p).to_owned()).collect() };
    let targets = targets.iter().map(|(id, list)| ((*id).to_owned(), paths(list))).collect();
    let mut messages = core.client.clone().copy(pb::CopyOptions { targets }).await.unwrap().into_inner();
    let mut copied: BTreeMap<_, (Vec<u8>, String)> = BTreeMap::new();
    for message in all(&mut messages).await {
        assert!(message.data.len() <= 65_536);
        let entry = copied.entry((message.id, message.path)).or_default();
        entry.0.extend_from_slice(&message.data);
        entry.1.push_str(&message.error);
    }
    copied
}

fn unpacked(archive: &[u8]) -> Vec<(String, Vec<u8>, u32)> {
    let mut archive = tar::Archive::new(archive);
    let read = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut data = Vec::new();
        entry.read_to_end(&mut data).unwrap();
        (entry.path().unwrap().to_string_lossy().into_owned(), data, entry.header().mode().unwrap())
    });
    read.collect()
}

#[tokio::test]
async fn what_is_sent_comes_back() {
    let (core, ids) = rig().await;
    let options = pb::SendOptions {
        ids: vec![ids[0].clone(), "nope".into(), ids[1].clone()],
        data: files(&[("/www/a", b"one"), ("/www/b", b"two")]),
        modes: [("/www/b".to_owned(), pb::FileMode { mode: 0o640 })].into(),
        ..Default::default()
    };
    let mut sent = send(&core, options).await;
    sent.sort();
    let good = |id: &str, path: &str| (id.to_owned(), path.to_owned(), String::new());
    let lost = ("nope".to_owned(), String::new(), "bad `Count` value: key: /workloads/nope".to_owned());
    let mut want = vec![lost];
    for id in &ids {
        want.extend([good(id, "/www/a"), good(id, "/www/b")]);
    }
    want.sort();
    assert_eq!(sent, want);
    let paths: &[&str] = &["/www/a", "/nosuch", "x", "/www"];
    let copied = copy(&core, &[(&ids[0], paths), ("nope", &["/a", "/b"]), (&ids[1], &["/www/b"])]).await;
    let of = |id: &str, path: &str| copied[&(id.to_owned(), path.to_owned())].clone();
    assert_eq!(unpacked(&of(&ids[0], "/www/a").0), [("a".into(), b"one".to_vec(), 0o755)]);
    assert_eq!(unpacked(&of(&ids[1], "/www/b").0), [("b".into(), b"two".to_vec(), 0o640)]);
    assert_eq!(unpacked(&of(&ids[0], "/www").0).len(), 2);
    assert!(of(&ids[0], "/nosuch").1.contains("no path \"/nosuch\""));
    assert!(of(&ids[0], "x").1.contains("path must be an absolute path"));
    for path in ["/a", "/b"] {
        assert_eq!(of("nope", path).1, "bad `Count` value: key: /workloads/nope");
    }
    assert_eq!(copied.len(), 7);
    core.stop().await;
}

#[tokio::test]
async fn large_files_are_whole() {
    let (core, ids) = rig().await;
    let large: Vec<u8> = (0..10_000_000_u32).map(|n| (n % 251) as u8).collect();
    let data = [("/large".to_owned(), Bytes::from(large.clone()))].into();
    let sent = send(&core, pb::SendOptions { ids: ids.clone(), data, ..Default::default() }).await;
    assert!(sent.iter().all(|(_, _, error)| error.is_empty()) && sent.len() == 2);
    let copied = copy(&core, &[(&ids[0], &["/large"])]).await;
    assert_eq!(unpacked(&copied.values().next().unwrap().0)[0].1, large);
    core.stop().await;
}

#[tokio::test]
async fn engines_and_workloads_that_vanish_are_errors_of_their_items() {
    let (core, ids) = rig().await;
    for node in ["n1", "n2"] {
        engine(&core, node).vanish(&EngineId::new(&ids[0]).unwrap());
    }
    let data = files(&[("/a", b"x"), ("/b", b"y")]);
    let sent = send(&core, pb::SendOptions { ids: ids.clone(), data: data.clone(), ..Default::default() }).await;
    for (id, path, error) in &sent {
        assert_eq!(error.is_empty(), *id == ids[1], "{id} {path}: {error}");
    }
    assert_eq!(sent.len(), 4);
    for node in ["n1", "n2"] {
        engine(&core, node).fail_next(Operation::Files, 1);
    }
    let sent = send(&core, pb::SendOptions { ids: vec![ids[1].clone()], data, ..Default::default() }).await;
    let failed: Vec<_> = sent.iter().map(|(_, path, error)| (path.as_str(), error.is_empty())).collect();
    assert_eq!(failed, [("/a", false), ("/b", true)], "one file that fails does not stop the others");
    core.stop().await;
}

#[tokio::test]
async fn an_archive_that_breaks_off_ends_with_an_error() {
    let (core, ids) = rig().await;
    let data = [("/large".to_owned(), Bytes::from(vec![7; 10_000_000]))].into();
    send(&core, pb::SendOptions { ids: ids.clone(), data, ..Default::default() }).await;
    let targets = [(ids[0].clone(), pb::CopyPaths { paths: vec!["/large".into()] })].into();
    let mut messages = core.client.clone().copy(pb::CopyOptions { targets }).await.unwrap().into_inner();
    let first = messages.message().await.unwrap().unwrap();
    assert!(!first.data.is_empty());
    for node in ["n1", "n2"] {
        engine(&core, node).set_down(true);
    }
    let rest = all(&mut messages).await;
    assert!(rest.last().unwrap().error.contains("does not answer"), "{:?}", rest.last());
    core.stop().await;
}

#[tokio::test]
async fn bad_requests_are_refused_in_words() {
    let (core, ids) = rig().await;
    let empty = core.client.clone().copy(pb::CopyOptions::default()).await.unwrap_err();
    assert_eq!((empty.code(), empty.message()), (Code::InvalidArgument, "no files to copy"));
    let mut client = core.client.clone();
    let none = client.send(pb::SendOptions { ids, ..Default::default() }).await.unwrap_err();
    assert_eq!((none.code(), none.message()), (Code::InvalidArgument, "no files to send"));
    let nobody = client.send(pb::SendOptions { data: files(&[("/a", b"")]), ..Default::default() }).await.unwrap_err();
    assert_eq!(nobody.message(), "No workload ids given");
    core.stop().await;
}
