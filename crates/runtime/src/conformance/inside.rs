//! Cases of what runs inside of a workload, and of who watches it from outside.

use super::{
    Case,
    subject::{Behaviour, Inside, Subject, started, wanted, within},
};
use crate::port::*;
use eru_types::EngineId;
use futures::{FutureExt, StreamExt};
use std::time::Duration;
use tokio::io::AsyncWriteExt;

const SIGKILL: i32 = 9;
/// As [`within`] has it.
const PATIENCE: Duration = Duration::from_secs(20);
/// More than any buffer between a process and us.
const FLOOD_BYTES: u64 = 8 * 1024 * 1024;

/// These cases.
pub(super) const CASES: &[Case] = cases![
    wait_ends_with_the_workload,
    a_command_inside_has_two_outputs_and_an_exit_code,
    a_command_inside_reads_its_input,
    a_terminal_inside_is_one_output_with_a_size,
    a_terminal_inside_reads_its_input,
    nothing_of_a_large_output_is_lost,
    what_is_attached_before_the_start_misses_nothing,
    inside_of_what_does_not_run_is_an_error,
];

async fn in_time<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, work).await.unwrap_or_else(|_| panic!("not within {PATIENCE:?}: {what}"))
}

/// All of standard output and of standard error.
async fn outputs(session: &mut Session) -> (Vec<u8>, Vec<u8>) {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let all = async {
        while let Some(piece) = session.output.next().await {
            let (stream, data) = piece.expect("output");
            if stream == Stream::Stdout { &mut out } else { &mut err }.extend_from_slice(&data);
        }
    };
    in_time("the output ends", all).await;
    (out, err)
}

async fn exec(s: &dyn Subject, id: &EngineId, what: Inside, terminal: bool, stdin: bool) -> Session {
    let request = ExecRequest { command: s.inside(&what), terminal, stdin, ..ExecRequest::default() };
    s.runtime().exec(id, &request).await.expect("exec")
}

/// Whether it can be tested; where not, it must say so.
async fn can(s: &dyn Subject, id: &EngineId) -> bool {
    if s.abilities().inside {
        return true;
    }
    let request = ExecRequest { command: vec!["x".into()], ..ExecRequest::default() };
    let refused = [
        s.runtime().exec(id, &request).await.map(drop).expect_err("exec"),
        s.runtime().attach(id).await.map(drop).expect_err("attach"),
    ];
    assert!(refused.iter().all(|error| matches!(error, Error::Unsupported { .. })), "{refused:?}");
    false
}

async fn wait_ends_with_the_workload(s: &dyn Subject) {
    let runtime = s.runtime();
    let id = started(s, "app_web_aaaaaa", &Behaviour::Runs(vec![])).await;
    let mut waiting = runtime.wait(&id);
    assert!((&mut waiting).now_or_never().is_none(), "it runs");
    s.kill(&id).await;
    let exit = in_time("the end is seen", waiting).await.expect("wait");
    assert_eq!((exit.code, exit.signal), (128 + SIGKILL, SIGKILL));
    assert_eq!(in_time("it has ended", runtime.wait(&id)).await.expect("wait again"), exit);
    let id = started(s, "app_web_aaaaab", &Behaviour::Exits(vec!["x"], 3)).await;
    assert_eq!(in_time("the end is seen", runtime.wait(&id)).await.expect("wait").code, 3);
    let id = runtime.create(&wanted(s, "app_web_aaaaac", &Behaviour::Runs(vec![]))).await.expect("create");
    let error = in_time("it was never started", runtime.wait(&id)).await.expect_err("wait");
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
    runtime.remove(&id, false).await.expect("remove");
    let error = in_time("it is gone", runtime.wait(&id)).await.expect_err("wait");
    assert!(matches!(error, Error::NotFound(_)), "{error:?}");
}

async fn a_command_inside_has_two_outputs_and_an_exit_code(s: &dyn Subject) {
    let id = started(s, "app_web_aaaaaa", &Behaviour::Runs(vec![])).await;
    if !can(s, &id).await {
        return;
    }
    for code in [0, 1, 7, 255] {
        let mut session = exec(s, &id, Inside::Says("out", "err", code), false, false).await;
        assert!(session.input.is_none(), "none was asked for");
        assert_eq!(outputs(&mut session).await, (b"out\n".to_vec(), b"err\n".to_vec()));
        assert_eq!(session.control.exit_code().await.expect("exit code"), i32::from(code));
        assert_eq!(session.control.exit_code().await.expect("exit code"), i32::from(code), "it can be asked again");
    }
    assert_eq!(s.runtime().inspect(&id).await.expect("inspect").state, State::Running);
}

async fn a_command_inside_reads_its_input(s: &dyn Subject) {
    let id = started(s, "app_web_aaaaaa", &Behaviour::Runs(vec![])).await;
    if !can(s, &id).await {
        return;
    }
    let mut session = exec(s, &id, Inside::Echoes, false, true).await;
    let mut input = session.input.take().expect("input");
    // Bytes that look like the headers of frames.
    let text = [&b"one\n\x01\x00\x00\x00"[..], &[2, 0, 0, 0, 0, 0, 0, 9], b"two"].concat();
    input.write_all(&text).await.expect("write");
    input.flush().await.expect("flush");
    let mut seen = Vec::new();
    while seen.len() < text.len() {
        let piece = in_time("it comes back", session.output.next()).await.expect("it goes on").expect("output");
        seen.extend_from_slice(&piece.1);
    }
    assert_eq!(seen, text);
    assert!(session.output.next().now_or_never().is_none(), "it waits for more");
    input.shutdown().await.expect("the end of the input");
    assert_eq!(outputs(&mut session).await, (vec![], vec![]));
    assert_eq!(session.control.exit_code().await.expect("exit code"), 0);
}

async fn a_terminal_inside_is_one_output_with_a_size(s: &dyn Subject) {
    let id = started(s, "app_web_aaaaaa", &Behaviour::Runs(vec![])).await;
    if !can(s, &id).await {
        return;
    }
    let mut session = exec(s, &id, Inside::Says("out", "err", 3), true, true).await;
    let (out, err) = outputs(&mut session).await;
    let text = String::from_utf8_lossy(&out);
    assert!(text.contains("out") && text.contains("err") && err.is_empty(), "{text:?}");
    assert_eq!(session.control.exit_code().await.expect("exit code"), 3);
    let mut session = exec(s, &id, Inside::TellsSize, true, true).await;
    session.control.resize(50, 132).await.expect("resize");
    let (out, _) = outputs(&mut session).await;
    let text = String::from_utf8_lossy(&out);
    assert!(text.contains("50") && text.contains("132"), "{text:?}");
    assert_eq!(session.control.exit_code().await.expect("exit code"), 0);
}

async fn a_terminal_inside_reads_its_input(s: &dyn Subject) {
    let id = started(s, "app_web_aaaaaa", &Behaviour::Runs(vec![])).await;
    if !can(s, &id).await {
        return;
    }
    let mut session = exec(s, &id, Inside::Echoes, true, true).await;
    let mut input = session.input.take().expect("input");
    input.write_all(b"hello\n").await.expect("write");
    input.flush().await.expect("flush");
    input.shutdown().await.expect("the end of the input");
    let (out, _) = outputs(&mut session).await;
    assert!(String::from_utf8_lossy(&out).contains("hello"), "{out:?}");
    assert_eq!(session.control.exit_code().await.expect("exit code"), 0);
}

async fn nothing_of_a_large_output_is_lost(s: &dyn Subject) {
    let id = started(s, "app_web_aaaaaa", &Behaviour::Runs(vec![])).await;
    if !can(s, &id).await {
        return;
    }
    let mut session = exec(s, &id, Inside::Floods(FLOOD_BYTES), false, false).await;
    let mut length = 0;
    while let Some(piece) = in_time("it goes on", session.output.next()).await {
        length += piece.expect("output").1.len() as u64;
    }
    assert_eq!(length, FLOOD_BYTES);
    assert_eq!(session.control.exit_code().await.expect("exit code"), 0);
}

async fn what_is_attached_before_the_start_misses_nothing(s: &dyn Subject) {
    let runtime = s.runtime();
    let id =
        runtime.create(&wanted(s, "app_web_aaaaaa", &Behaviour::Exits(vec!["one", "two"], 5))).await.expect("create");
    if !can(s, &id).await {
        return;
    }
    let mut session = runtime.attach(&id).await.expect("attach");
    runtime.start(&id).await.expect("start");
    assert_eq!(outputs(&mut session).await, (vec![], b"one\ntwo\n".to_vec()));
    assert_eq!(in_time("its code is known", session.control.exit_code()).await.expect("exit code"), 5);
}

async fn inside_of_what_does_not_run_is_an_error(s: &dyn Subject) {
    let runtime = s.runtime();
    let id = started(s, "app_web_aaaaaa", &Behaviour::Exits(vec![], 0)).await;
    if !can(s, &id).await {
        return;
    }
    within("it has ended", async || {
        (runtime.inspect(&id).await.expect("inspect").state == State::Exited).then_some(())
    })
    .await;
    let request = ExecRequest { command: s.inside(&Inside::Echoes), ..ExecRequest::default() };
    runtime.exec(&id, &request).await.map(drop).expect_err("it does not run");
    runtime.remove(&id, false).await.expect("remove");
    let gone = [
        runtime.exec(&id, &request).await.map(drop).expect_err("it is gone"),
        runtime.attach(&id).await.map(drop).expect_err("it is gone"),
    ];
    assert!(gone.iter().all(|error| matches!(error, Error::NotFound(_))), "{gone:?}");
}
