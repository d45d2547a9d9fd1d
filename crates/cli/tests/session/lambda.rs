//! `lambda`.

use crate::child::{end, start};
use crate::core::Core;
use eru_api::pb;
use eru_api::pb::StdStreamType::{Eruerror, Stderr, Stdout, Typeworkloadid};
use tokio::io::AsyncWriteExt as _;

async fn core() -> Core<pb::RunAndWaitOptions, pb::AttachWorkloadMessage> {
    Core::serving("RunAndWait").await
}

pub async fn two_workloads() {
    let mut core = core().await;
    let options = ["lambda", "--name", "job", "--pod", "p", "--image", "img", "--count", "2", "--workload-id"];
    let more = ["--memory", "32M", "--storage", "10G", "--volume", "AUTO:/d:rw:1G", "-p", "sh", "-c", "exit 2"];
    let child = start(&core.address, &[&options[..], &more].concat());
    let mut call = core.accept().await;
    let first = call.hear().await.unwrap();
    let deploy = first.deploy_options.unwrap();
    let entrypoint = deploy.entrypoint.unwrap();
    let resources = deploy.resource_opts.unwrap();
    assert_eq!((deploy.name.as_str(), entrypoint.name.as_str(), deploy.count), ("lambda", "job", 2));
    assert_eq!((entrypoint.commands, entrypoint.privileged), (["sh", "-c", "exit 2"].map(String::from).to_vec(), true));
    assert_eq!((resources.memory_limit, resources.storage_limit), (32 << 20, 10 << 30));
    assert_eq!(resources.volumes_limit, ["AUTO:/d:rw:1073741824"]);

    call.output("a", Typeworkloadid, b"").await;
    call.output("b", Typeworkloadid, b"b").await;
    call.output("a", Stdout, b"hel").await;
    call.output("b", Stdout, b"one\ntwo\n").await;
    call.output("a", Stdout, b"lo\n").await;
    call.output("a", Stderr, b"oops").await;
    call.exited("a", 2).await;
    call.output("b", Stdout, b"[exitcode] 0").await;
    drop(call);
    let (out, err, code) = end(child).await;
    assert_eq!(String::from_utf8(out).unwrap(), "[b] one\n[b] two\n[a] hello\n");
    let lines: Vec<&str> = err.lines().map(|line| line.split_once("level=").map_or(line, |(_, rest)| rest)).collect();
    assert_eq!(lines, ["info msg=\"[WorkloadID] a\"", "info msg=\"[WorkloadID] b\"", "[a] oops"]);
    assert_eq!(code, 2);
}

pub async fn a_pipe_gets_no_terminal() {
    let mut core = core().await;
    let mut child = start(&core.address, &["lambda", "--name", "sum", "--pod", "p", "--stdin", "md5sum"]);
    let mut call = core.accept().await;
    let first = call.hear().await.unwrap();
    assert!(first.no_terminal && first.deploy_options.unwrap().open_stdin);
    child.stdin.take().unwrap().write_all(b"\x1dx").await.unwrap();
    let typed = call.hear().await.unwrap();
    assert_eq!((&typed.input[..], &typed.cmd[..]), (&b"\x1dx"[..], &b""[..]));
    assert!(call.hear().await.unwrap().close_input);
    call.exited("a", 3).await;
    drop(call);
    assert_eq!(end(child).await.2, 3);
}

pub async fn left_to_run() {
    let mut core = core().await;
    let words = ["lambda", "--name", "job", "--pod", "p", "--async", "--async-timeout", "7", "sleep", "5"];
    let child = start(&core.address, &words);
    let mut call = core.accept().await;
    let first = call.hear().await.unwrap();
    assert_eq!((first.r#async, first.async_timeout), (true, 7));
    call.output("a", Typeworkloadid, b"").await;
    drop(call);
    assert_eq!(end(child).await.2, 0);
}

pub async fn one_is_not_made() {
    let mut core = core().await;
    let child = start(&core.address, &["lambda", "--name", "job", "--pod", "p", "true"]);
    let call = core.accept().await;
    call.output("", Typeworkloadid, b"").await;
    call.output("", Eruerror, b"Create workload failed no space").await;
    drop(call);
    let (_, err, code) = end(child).await;
    assert!(err.contains("[Error From ERU] Create workload failed no space"), "{err}");
    assert!(!err.contains("[WorkloadID]"), "{err}");
    assert_eq!(code, 125);
}
