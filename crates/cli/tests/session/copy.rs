//! `workload copy`.

use crate::child::{end, start};
use crate::core::{Core, ID};
use eru_api::pb;
use std::path::Path;
use tonic::Status;

async fn core() -> Core<pb::CopyOptions, pb::CopyMessage> {
    Core::serving("Copy").await
}

fn piece(path: &str, data: &'static [u8]) -> pb::CopyMessage {
    let name = path.rsplit('/').next().unwrap().to_owned();
    pb::CopyMessage { id: ID.into(), name, path: path.into(), data: data.into(), ..Default::default() }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = entries.collect();
    names.sort();
    names
}

pub async fn what_is_whole_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().to_str().unwrap();
    let mut core = core().await;
    let target = format!("{ID}:/etc/passwd,/nosuch,/www,/www");
    let child = start(&core.address, &["-o", "json", "workload", "copy", "-d", folder, &target]);
    let mut call = core.accept().await;
    assert_eq!(call.hear().await.unwrap().targets[ID].paths, ["/etc/passwd", "/nosuch", "/www"]);
    call.say(piece("/etc/passwd", b"root")).await;
    call.say(piece("/www", b"w")).await;
    let error = "Error: No such container:path: /nosuch".into();
    call.say(pb::CopyMessage { error, ..piece("/nosuch", b"") }).await;
    call.say(piece("/etc/passwd", b":x")).await;
    drop(call);
    let (out, err, code) = end(child).await;
    assert!(err.contains("[Copy] Failed 76bc45a26893 /nosuch Error: No such container:path"), "{err}");
    assert!(err.ends_with("2 of 3 copied\n"), "{err}");
    assert_eq!(code, 1);
    let names = names(dir.path());
    assert!(names[0].starts_with("76bc45a26893-passwd-20") && names[0].ends_with(".tar"), "{names:?}");
    assert!(names[1].starts_with("76bc45a26893-www-20") && names.len() == 2, "{names:?}");
    assert_eq!(std::fs::read(dir.path().join(&names[0])).unwrap(), b"root:x");
    let told: Vec<serde_json::Value> =
        String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(told[0]["path"], "/etc/passwd");
    assert_eq!(told[0]["file"], format!("{folder}/{}", names[0]));
}

pub async fn a_broken_stream_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut core = core().await;
    let target = format!("{ID}:/big");
    let child = start(&core.address, &["workload", "copy", "--dir", dir.path().to_str().unwrap(), &target]);
    let call = core.accept().await;
    call.say(piece("/big", b"begun")).await;
    call.refuse(Status::internal("the engine went away")).await;
    drop(call);
    let (_, err, code) = end(child).await;
    assert!(err.ends_with("the engine went away\n"), "{err}");
    assert_eq!((code, names(dir.path())), (70, Vec::new()));
}
