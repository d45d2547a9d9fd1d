//! `workload exec` with pipes.

use crate::child::{command, end, exit_code, start};
use crate::core::{Conversation, Core, ID};
use eru_api::pb;
use eru_api::pb::StdStreamType::{Eruerror, Stderr, Stdout};
use rustix::process::{Pid, Signal, kill_process};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Child;
use tonic::Status;

pub type Exec = Conversation<pb::ExecuteWorkloadOptions, pb::AttachWorkloadMessage>;

pub async fn core() -> Core<pb::ExecuteWorkloadOptions, pb::AttachWorkloadMessage> {
    Core::serving("ExecuteWorkload").await
}

pub async fn a_pipe_to_its_end() {
    let mut core = core().await;
    let words = ["workload", "exec", "-i", "-e", "A=1", "-w", "/srv", ID, "--", "cat", "-n"];
    let mut child = start(&core.address, &words);
    let mut call = core.accept().await;
    let first = pb::ExecuteWorkloadOptions {
        workload_id: ID.into(),
        commands: vec!["cat".into(), "-n".into()],
        envs: vec!["A=1".into()],
        workdir: "/srv".into(),
        open_stdin: true,
        raw: true,
        no_terminal: true,
        ..Default::default()
    };
    assert_eq!(call.hear().await.unwrap(), first);

    // Every byte, those that begin messages of another meaning as well, and far more than one message.
    let sent: Vec<u8> = (0..3_000_000u32).map(|n| (n % 251) as u8).chain([0x1d, 0x80]).collect();
    let mut stdin = child.stdin.take().unwrap();
    let bytes = sent.clone();
    let writer = tokio::spawn(async move {
        stdin.write_all(&[0x80]).await.unwrap();
        stdin.write_all(&bytes).await.unwrap();
    });
    let mut received = Vec::new();
    loop {
        let message = call.hear().await.expect("the end is told");
        if message.close_input {
            assert_eq!(message.repl_cmd, &[0x1d][..]);
            break;
        }
        assert!(!matches!(message.repl_cmd.first(), Some(0x80 | 0x1d)), "it would be mistaken");
        received.extend_from_slice(&message.repl_cmd);
        received.extend_from_slice(&message.input);
    }
    writer.await.unwrap();
    assert_eq!((received[0], received[1..] == sent[..]), (0x80, true));

    call.output(ID, Stdout, b"out \xff\0\r\n").await;
    call.output(ID, Stderr, b"err").await;
    call.output(ID, Stdout, b"[exitcode] 9").await;
    call.exited(ID, 3).await;
    drop(call);
    assert_eq!(end(child).await, (b"out \xff\0\r\n[exitcode] 9".to_vec(), "err".into(), 3));
}

pub async fn an_original_core() {
    let mut core = core().await;
    for (said, code) in [(&b"[exitcode] 0"[..], 0), (b"[exitcode] 7", 7), (b"[exitcode] -1", 255)] {
        let child = start(&core.address, &["workload", "exec", ID, "true"]);
        let mut call = core.accept().await;
        let first = call.hear().await.unwrap();
        assert!(!first.open_stdin && !first.no_terminal);
        call.output(ID, Stdout, b"hi\n").await;
        call.output(ID, Stdout, said).await;
        drop(call);
        assert_eq!(end(child).await, (b"hi\n".to_vec(), String::new(), code));
    }
}

pub async fn what_is_not_the_command() {
    let mut core = core().await;
    let words = ["workload", "exec", ID, "true"];

    let child = start(&core.address, &words);
    core.accept().await.output(ID, Eruerror, b"no such file").await;
    let (out, err, code) = end(child).await;
    assert_eq!((out.len(), code), (0, 125));
    assert!(err.contains("[Error From ERU] no such file") && err.ends_with("0 of 1 ended\n"), "{err}");

    let child = start(&core.address, &words);
    drop(core.accept().await);
    let (_, err, code) = end(child).await;
    assert_eq!((err.as_str(), code), ("core said no more, and not how it ended\n", 125));

    let child = start(&core.address, &words);
    core.accept().await.refuse(Status::not_found("bad `Count` value: key: /workloads/nope")).await;
    let (_, err, code) = end(child).await;
    assert_eq!((err.as_str(), code), ("workload not found: nope\n", 125));

    let (_, err, code) = end(start("127.0.0.1:1", &words)).await;
    assert_eq!((err.as_str(), code), ("cannot reach core 127.0.0.1:1: connection refused\n", 125));

    let (_, err, code) = end(start(&core.address, &["workload", "exec", ID])).await;
    assert_eq!((err.as_str(), code), ("missing COMMAND; see --help\n", 125));
}

pub fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_raw(child.id().unwrap() as i32).unwrap(), signal).unwrap();
}

pub async fn ctrl_c() {
    let mut core = core().await;
    let child = start(&core.address, &["workload", "exec", ID, "sleep", "1000"]);
    let mut call = core.accept().await;
    call.hear().await.unwrap();
    signal(&child, Signal::INT);
    call.abandoned().await;
    assert_eq!(end(child).await.2, 130);
}

pub async fn nobody_reads() {
    let mut core = core().await;
    let mut child = start(&core.address, &["workload", "exec", ID, "yes"]);
    drop(child.stdout.take());
    let call = core.accept().await;
    call.output(ID, Stdout, b"y\n").await;
    call.abandoned().await;
    let mut err = String::new();
    child.stderr.take().unwrap().read_to_string(&mut err).await.unwrap();
    assert_eq!((exit_code(&mut child).await, err.as_str()), (125, ""));
}

pub async fn a_reader_that_is_slow() {
    const PIECES: usize = 64;
    let mut core = core().await;
    let mut child = command(&core.address, &["workload", "exec", ID, "yes"]);
    let mut child = child.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap();
    let call = core.accept().await;
    let piece = vec![b'y'; 1 << 20];
    // Nobody reads yet. What does not fit into pipe and windows waits at its source, and is not heaped up on the way.
    let mut sent = 0;
    while tokio::time::timeout(Duration::from_secs(1), call.output(ID, Stdout, &piece)).await.is_ok() {
        sent += 1;
        assert!(sent < PIECES, "all of it was taken");
    }
    let rest = async {
        for _ in sent..PIECES {
            call.output(ID, Stdout, &piece).await;
        }
        call.exited(ID, 0).await;
        drop(call);
    };
    let mut out = child.stdout.take().unwrap();
    let read = async {
        let mut bytes = Vec::new();
        out.read_to_end(&mut bytes).await.unwrap();
        bytes.len()
    };
    let ((), len) = tokio::join!(rest, read);
    assert_eq!((len, exit_code(&mut child).await), (PIECES << 20, 0));
}
