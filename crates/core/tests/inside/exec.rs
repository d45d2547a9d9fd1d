//! Commands inside of workloads.

use super::{Said, all, engine, said, script, settled, support, within};
use bytes::Bytes;
use eru_api::pb::{
    self, ExecuteWorkloadOptions,
    StdStreamType::{Eruerror, Stderr, Stdout},
};
use eru_runtime::{Runtime, fake::script::PATTERN};
use eru_types::EngineId;
use support::{TestCore, deploy, eventually, start};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

type Messages = Streaming<pb::AttachWorkloadMessage>;
type Typing = mpsc::Sender<ExecuteWorkloadOptions>;

async fn rig() -> (TestCore, String) {
    let mut core = start().await.with_nodes(&["n1"]).await;
    let id = core.deployed(deploy("app", 1)).await.remove(0);
    (core, id)
}

fn asked(id: &str, words: &[&str]) -> ExecuteWorkloadOptions {
    ExecuteWorkloadOptions { workload_id: id.into(), commands: script(words), ..Default::default() }
}

async fn exec(core: &TestCore, first: ExecuteWorkloadOptions) -> Result<(Typing, Messages), Status> {
    let (typing, messages) = mpsc::channel(8);
    typing.send(first).await.unwrap();
    let mut client = core.client.clone();
    let answer = within(client.execute_workload(ReceiverStream::new(messages))).await?;
    Ok((typing, answer.into_inner()))
}

/// All that a command without input says.
async fn run(core: &TestCore, first: ExecuteWorkloadOptions) -> Vec<Said> {
    let (_typing, mut messages) = exec(core, first).await.unwrap();
    all(&mut messages).await.iter().map(said).collect()
}

fn line(text: &str) -> Said {
    (Stdout, text.to_owned(), None)
}

fn end(code: i32) -> Said {
    (Stdout, format!("[exitcode] {code}"), Some(code))
}

async fn next(messages: &mut Messages) -> Said {
    said(&within(messages.message()).await.unwrap().expect("it goes on"))
}

#[tokio::test]
async fn a_message_is_a_line_and_the_last_one_the_exit_code() {
    let (core, id) = rig().await;
    let words = ["print:a b", "eprint:wrong", "write:c", "write:d\r\ne", "print:[exitcode] 7", "write:last", "exit:3"];
    let lines = run(&core, asked(&id, &words)).await;
    let wrong = (Stderr, "wrong\n".to_owned(), None);
    assert_eq!(lines, [line("a b\n"), wrong, line("cd\r\n"), line("e[exitcode] 7\n"), line("last"), end(3)]);
    let given = ExecuteWorkloadOptions {
        envs: vec!["A=1".into(), "B=x y".into()],
        workdir: "/www".into(),
        ..asked(&id, &["env", "dir"])
    };
    assert_eq!(run(&core, given).await, [line("A=1\n"), line("B=x y\n"), line("/www\n"), end(0)]);
    core.stop().await;
}

#[tokio::test]
async fn long_lines_and_binary_output_are_passed_on_to_the_last_byte() {
    const LEN: u64 = 20_000_000;
    let (core, id) = rig().await;
    let long = format!("print:{}", "x".repeat(200_000));
    let lines = run(&core, asked(&id, &[&long])).await;
    let lens: Vec<_> = lines.iter().map(|(_, text, _)| text.len()).collect();
    assert_eq!(lens, [65_536, 65_536, 65_536, 3_393, "[exitcode] 0".len()]);
    for raw in [true, false] {
        let wanted = ExecuteWorkloadOptions { raw, ..asked(&id, &[&format!("bytes:{LEN}")]) };
        let (_typing, mut messages) = exec(&core, wanted).await.unwrap();
        let (mut at, mut ended) = (0, false);
        while let Some(message) = within(messages.message()).await.unwrap() {
            assert!(!ended && message.data.len() <= 65_536);
            if message.exited {
                ended = true;
                continue;
            }
            let right = message.data.iter().zip(at..).all(|(byte, place)| u64::from(*byte) == place % PATTERN);
            assert!(right, "the bytes from {at} on are others");
            at += message.data.len() as u64;
        }
        assert_eq!((at, ended), (LEN, true), "raw: {raw}");
    }
    core.stop().await;
}

#[tokio::test]
async fn a_terminal_echoes_is_resized_and_closed() {
    let (core, id) = rig().await;
    let wanted = ExecuteWorkloadOptions { open_stdin: true, ..asked(&id, &["await-size", "cat", "size", "exit:2"]) };
    let (typing, mut messages) = exec(&core, wanted).await.unwrap();
    let type_in = async |bytes: &[u8]| {
        let message = ExecuteWorkloadOptions { repl_cmd: Bytes::copy_from_slice(bytes), ..Default::default() };
        typing.send(message).await.unwrap();
    };
    type_in(b"\x80nonsense").await;
    type_in(b"\x80{\"Row\":24,\"Col\":80}").await;
    assert_eq!(next(&mut messages).await, line("24x80\n"));
    type_in(b"h").await;
    assert_eq!(next(&mut messages).await, line("h"), "nobody waits for the end of a line");
    type_in(b"\x80{\"Row\":50,\"Col\":132}").await;
    type_in(b"\x1d").await;
    assert_eq!(next(&mut messages).await, line("50x132\n"));
    assert_eq!(next(&mut messages).await, end(2));
    assert!(within(messages.message()).await.unwrap().is_none());
    eventually("the session to be closed", async || (engine(&core, "n1").open_sessions() == (0, 0)).then_some(()))
        .await;
    core.stop().await;
}

#[tokio::test]
async fn input_without_a_terminal_may_be_anything_and_ends_with_the_requests() {
    let (core, id) = rig().await;
    for close in [false, true] {
        let wanted = ExecuteWorkloadOptions {
            open_stdin: true,
            no_terminal: true,
            input: Bytes::from_static(b"\x80first"),
            ..asked(&id, &["eprint:e", "cat", "exit:1"])
        };
        let (typing, mut messages) = exec(&core, wanted).await.unwrap();
        assert_eq!(next(&mut messages).await, (Stderr, "e\n".into(), None), "both outputs are apart");
        let input = Bytes::from_static(b"\x1d\0\xffx\n");
        typing.send(ExecuteWorkloadOptions { input, close_input: close, ..Default::default() }).await.unwrap();
        if !close {
            drop(typing);
        }
        let rest = all(&mut messages).await;
        let bytes: Vec<u8> = rest.iter().filter(|m| !m.exited).flat_map(|m| m.data.to_vec()).collect();
        assert_eq!(bytes, b"\x80first\x1d\0\xffx\n");
        assert_eq!(said(rest.last().unwrap()), end(1));
    }
    core.stop().await;
}

#[tokio::test]
async fn what_prevents_it_is_a_message_and_what_is_malformed_a_status() {
    let (core, id) = rig().await;
    let failed = |text: &str| vec![(Eruerror, text.to_owned(), None)];
    let nope = run(&core, asked("nope", &["print:x"])).await;
    assert_eq!(nope, failed("bad `Count` value: key: /workloads/nope"));
    let unknown = run(&core, asked(&id, &["nonsense"])).await;
    assert!(unknown.len() == 1 && unknown[0].0 == Eruerror && unknown[0].1.contains("cannot start"), "{unknown:?}");
    engine(&core, "n1").kill(&EngineId::new(&id).unwrap(), 1);
    let dead = run(&core, asked(&id, &["print:x"])).await;
    assert!(dead.len() == 1 && dead[0].1.contains("is not running"), "{dead:?}");
    engine(&core, "n1").set_down(true);
    let down = run(&core, asked(&id, &["print:x"])).await;
    assert!(down.len() == 1 && down[0].1.contains("does not answer"), "{down:?}");
    for (bad, part) in [
        (ExecuteWorkloadOptions { commands: vec![], ..asked(&id, &[]) }, "commands are empty"),
        (ExecuteWorkloadOptions { envs: vec!["x".into()], ..asked(&id, &[]) }, "envs: must be NAME=VALUE"),
        (ExecuteWorkloadOptions { workdir: "../x".into(), ..asked(&id, &[]) }, "workdir must be an absolute path"),
    ] {
        let status = exec(&core, bad).await.unwrap_err();
        assert!(status.code() == Code::InvalidArgument && status.message().contains(part), "{status:?}");
    }
    let nothing = core.client.clone().execute_workload(tokio_stream::empty()).await.unwrap_err();
    assert!(nothing.message().contains("no message came"), "{nothing:?}");
    core.stop().await;
}

#[tokio::test]
async fn it_ends_with_its_workload_and_with_its_engine() {
    let (mut core, id) = rig().await;
    let other = core.deployed(deploy("other", 1)).await.remove(0);
    let (_typing, mut messages) = exec(&core, asked(&id, &["print:x", "hang"])).await.unwrap();
    let (_other_typing, mut other_messages) = exec(&core, asked(&other, &["print:y", "hang"])).await.unwrap();
    assert_eq!((next(&mut messages).await, next(&mut other_messages).await), (line("x\n"), line("y\n")));
    engine(&core, "n1").vanish(&EngineId::new(&id).unwrap());
    assert_eq!(next(&mut messages).await, end(137));
    engine(&core, "n1").set_down(true);
    let (kind, text, _) = next(&mut other_messages).await;
    assert!(kind == Eruerror && text.contains("does not answer"), "{text}");
    assert!(within(other_messages.message()).await.unwrap().is_none());
    core.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_hangs_up() {
    let (core, id) = rig().await;
    let engine = engine(&core, "n1");
    let wanted = ExecuteWorkloadOptions { open_stdin: true, ..asked(&id, &["print:x", "cat"]) };
    let (typing, mut messages) = exec(&core, wanted).await.unwrap();
    assert_eq!(next(&mut messages).await, line("x\n"));
    assert_eq!(engine.open_sessions(), (1, 1));
    drop((typing, messages));
    eventually("the session to be closed", async || (engine.open_sessions() == (0, 0)).then_some(())).await;
    // A size that takes its time does not hold up what is typed.
    let wanted = ExecuteWorkloadOptions { open_stdin: true, ..asked(&id, &["cat"]) };
    let (typing, mut messages) = exec(&core, wanted).await.unwrap();
    let resize = Bytes::from_static(b"\x80{\"Row\":24,\"Col\":80}");
    typing.send(ExecuteWorkloadOptions { repl_cmd: resize, ..Default::default() }).await.unwrap();
    typing.send(ExecuteWorkloadOptions { input: "k".into(), close_input: true, ..Default::default() }).await.unwrap();
    assert_eq!(all(&mut messages).await.iter().map(said).collect::<Vec<_>>(), [line("k"), end(0)]);
    core.stop().await;
}

#[tokio::test]
async fn a_reader_that_stops_reading_stops_the_output_and_not_the_input() {
    let (core, id) = rig().await;
    let engine = engine(&core, "n1");
    let wanted = ExecuteWorkloadOptions { open_stdin: true, ..asked(&id, &["bytes:1000000000", "cat"]) };
    let (typing, mut messages) = exec(&core, wanted).await.unwrap();
    within(messages.message()).await.unwrap().unwrap();
    let made = settled(|| engine.session_bytes()).await;
    assert!(made < 4 << 20, "{made} bytes are held for a client that does not read");
    let close = ExecuteWorkloadOptions { close_input: true, ..Default::default() };
    typing.send(close).await.unwrap();
    eventually("the input to be closed", async || (engine.open_sessions() == (1, 0)).then_some(())).await;
    drop((typing, messages));
    eventually("the session to be closed", async || (engine.open_sessions() == (0, 0)).then_some(())).await;
    core.stop().await;
}

#[tokio::test]
async fn a_node_has_only_so_many() {
    let (core, id) = rig().await;
    let mut open = Vec::new();
    for _ in 0..128 {
        open.push(exec(&core, asked(&id, &["hang"])).await.unwrap());
    }
    let status = exec(&core, asked(&id, &["hang"])).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), "node \"n1\" has 128 commands inside of workloads at a time, all are in use");
    drop(open);
    eventually("room for one more", async || exec(&core, asked(&id, &["exit:0"])).await.ok().map(drop)).await;
    core.stop().await;
}

#[tokio::test]
async fn a_core_that_stops_says_so_and_hangs_up() {
    let (core, id) = rig().await;
    let engine = engine(&core, "n1");
    let wanted = ExecuteWorkloadOptions { open_stdin: true, ..asked(&id, &["print:x", "cat"]) };
    let (_typing, mut messages) = exec(&core, wanted).await.unwrap();
    assert_eq!(next(&mut messages).await, line("x\n"));
    core.stop().await;
    assert_eq!(within(messages.message()).await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(engine.open_sessions(), (0, 0));
    assert!(engine.ping().await.is_ok());
}
