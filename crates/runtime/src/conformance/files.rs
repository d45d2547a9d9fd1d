//! Cases of files that go into a workload and come out of it.

use super::{
    Case,
    subject::{Behaviour, Subject, started, wanted},
};
use crate::port::*;
use bytes::Bytes;
use eru_types::EngineId;
use futures::{FutureExt, StreamExt};
use std::io::Read;

/// These cases.
pub(super) const CASES: &[Case] = cases![files_come_out_as_they_went_in, bad_files_are_refused];

fn file(path: &str, data: &'static [u8], mode: u32) -> SentFile {
    SentFile { path: path.into(), data: Bytes::from_static(data), mode, uid: 5, gid: 6 }
}

/// Path, content, mode and owner of the regular files at `path`.
async fn read(s: &dyn Subject, id: &EngineId, path: &str) -> Vec<(String, String, u32, u64)> {
    let mut pieces = s.runtime().copy_from(id, path).await.expect("copy");
    let mut archive = Vec::new();
    while let Some(piece) = pieces.next().await {
        archive.extend_from_slice(&piece.expect("a piece"));
    }
    let mut archive = tar::Archive::new(&archive[..]);
    let entries = archive.entries().expect("an archive").map(|entry| entry.expect("an entry"));
    let files = entries.filter(|entry| entry.header().entry_type().is_file()).map(|mut entry| {
        let mut text = String::new();
        entry.read_to_string(&mut text).expect("text");
        let name = entry.path().expect("a path").to_string_lossy().into_owned();
        let header = entry.header();
        (name, text, header.mode().expect("a mode") & 0o7777, header.uid().expect("an owner"))
    });
    let mut files: Vec<_> = files.collect();
    files.sort();
    files
}

async fn can(s: &dyn Subject, id: &EngineId) -> bool {
    if s.abilities().files {
        return true;
    }
    let refused = [
        s.runtime().send_files(id, &[file("/tmp/a", b"", 0o600)]).await.expect_err("send"),
        s.runtime().copy_from(id, "/tmp").await.map(drop).expect_err("copy"),
    ];
    assert!(refused.iter().all(|error| matches!(error, Error::Unsupported { .. })), "{refused:?}");
    false
}

async fn files_come_out_as_they_went_in(s: &dyn Subject) {
    let running = started(s, "app_web_aaaaaa", &Behaviour::Runs(vec![])).await;
    if !can(s, &running).await {
        return;
    }
    let created = s.runtime().create(&wanted(s, "app_web_aaaaab", &Behaviour::Runs(vec![]))).await.expect("create");
    for id in [running, created] {
        let files = [file("/tmp/www/a", b"one", 0o640), file("/tmp/www/b/c", b"", 0o755)];
        s.runtime().send_files(&id, &files).await.expect("send");
        assert_eq!(read(s, &id, "/tmp/www/a").await, [("a".into(), "one".into(), 0o640, 5)]);
        let folder = read(s, &id, "/tmp/www").await;
        assert_eq!(folder, [("www/a".into(), "one".into(), 0o640, 5), ("www/b/c".into(), String::new(), 0o755, 5)]);
        s.runtime().send_files(&id, &[file("/tmp/www/a", b"other", 0o600)]).await.expect("send over it");
        assert_eq!(read(s, &id, "/tmp/www/a").await, [("a".into(), "other".into(), 0o600, 5)]);
        s.runtime().send_files(&id, &[]).await.expect("nothing is sent");
    }
}

async fn bad_files_are_refused(s: &dyn Subject) {
    let id = started(s, "app_web_aaaaaa", &Behaviour::Runs(vec![])).await;
    if !can(s, &id).await {
        return;
    }
    for path in ["", "tmp/a", "/tmp/../a", "/tmp/a/"] {
        let error = s.runtime().send_files(&id, &[file(path, b"x", 0o600)]).await.expect_err("a bad path");
        assert!(matches!(error, Error::Invalid(_)), "{path:?}: {error:?}");
    }
    for path in ["", "tmp", "/tmp/../a", "/tmp/nosuch"] {
        let error = s.runtime().copy_from(&id, path).await.map(drop).expect_err("a bad path");
        assert!(matches!(error, Error::Invalid(_)), "{path:?}: {error:?}");
    }
    s.runtime().remove(&id, true).await.expect("remove");
    let gone = [
        s.runtime().send_files(&id, &[file("/tmp/a", b"x", 0o600)]).await.expect_err("it is gone"),
        s.runtime().copy_from(&id, "/tmp").await.map(drop).expect_err("it is gone"),
    ];
    assert!(gone.iter().all(|error| matches!(error, Error::NotFound(_))), "{gone:?}");
}
