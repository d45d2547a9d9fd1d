//! Runs to the end.

use super::{all, engine, said, script, support, within};
use bytes::Bytes;
use eru_api::pb::{
    self, RunAndWaitOptions,
    StdStreamType::{Eruerror, Stderr, Stdout, Typeworkloadid},
};
use eru_runtime::{Action, Runtime, fake::Operation};
use eru_types::{EngineId, Labels};
use futures::StreamExt;
use std::time::Duration;
use support::{TestCore, deploy, eventually, start, start_with};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming};

type Messages = Streaming<pb::AttachWorkloadMessage>;
type Typing = mpsc::Sender<RunAndWaitOptions>;

fn asked(words: &[&str], count: i32) -> RunAndWaitOptions {
    let mut deploy = deploy("lambda", count);
    let entrypoint = deploy.entrypoint.as_mut().unwrap();
    entrypoint.command.clear();
    entrypoint.commands = script(words);
    RunAndWaitOptions { deploy_options: Some(deploy), ..Default::default() }
}

fn change(mut options: RunAndWaitOptions, change: impl FnOnce(&mut pb::DeployOptions)) -> RunAndWaitOptions {
    change(options.deploy_options.as_mut().unwrap());
    options
}

async fn run(core: &TestCore, first: RunAndWaitOptions) -> Result<(Typing, Messages), Status> {
    let (typing, messages) = mpsc::channel(8);
    typing.send(first).await.unwrap();
    let answer = within(core.client.clone().run_and_wait(ReceiverStream::new(messages))).await?;
    Ok((typing, answer.into_inner()))
}

/// Nothing is left: neither in the store nor in the engine.
async fn nothing_is_left(core: &TestCore) {
    eventually("everything to be removed", async || {
        let list = core.client.clone().list_workloads(pb::ListWorkloadsOptions::default()).await.unwrap();
        let listed = all(&mut list.into_inner()).await.len();
        let objects = engine(core, "n1").list(&Labels::default()).await.map_or(0, |objects| objects.len());
        (listed + objects == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn ids_come_first_then_output_and_exit_codes_and_nothing_is_left() {
    let core = start().await.with_nodes(&["n1"]).await;
    let (_typing, mut messages) = run(&core, asked(&["print:out", "eprint:err", "exit:5"], 3)).await.unwrap();
    let messages = all(&mut messages).await;
    let (ids, rest) = messages.split_at(3);
    assert!(
        ids.iter().all(|m| m.std_stream_type() == Typeworkloadid && m.data.is_empty() && !m.workload_id.is_empty())
    );
    for id in ids {
        let of_it: Vec<_> = rest.iter().filter(|m| m.workload_id == id.workload_id).map(said).collect();
        let want =
            [(Stdout, "out\n".into(), None), (Stderr, "err\n".into(), None), (Stdout, "[exitcode] 5".into(), Some(5))];
        assert_eq!(of_it, want);
    }
    assert_eq!(rest.len(), 9);
    // The stream ends when they are removed, so there is nothing to wait for.
    assert_eq!(engine(&core, "n1").list(&Labels::default()).await.unwrap().len(), 0);
    nothing_is_left(&core).await;
    core.stop().await;
}

#[tokio::test]
async fn what_the_engine_writes_down_late_is_told_too() {
    let core = start().await.with_nodes(&["n1"]).await;
    for printed in [0, 1, 200, 900] {
        let words: Vec<String> = (0..printed).map(|n| format!("print:{n}")).collect();
        let words: Vec<&str> = words.iter().map(String::as_str).chain(["late:last", "exit:0"]).collect();
        let (_typing, mut messages) = run(&core, asked(&words, 1)).await.unwrap();
        let said: Vec<_> = all(&mut messages).await.iter().map(said).collect();
        assert_eq!(said.len(), printed + 3, "each line once, the id, the late one and the end");
        assert_eq!(said[printed + 1..], [(Stdout, "last\n".into(), None), (Stdout, "[exitcode] 0".into(), Some(0))]);
    }
    core.stop().await;
}

#[tokio::test]
async fn an_instance_that_cannot_be_made_is_told_and_the_others_run() {
    let core = start().await.with_nodes(&["n1"]).await;
    engine(&core, "n1").fail_next(Operation::Create, 1);
    let (_typing, mut messages) = run(&core, asked(&["exit:0"], 2)).await.unwrap();
    let messages: Vec<_> = all(&mut messages).await;
    let made: Vec<_> = messages.iter().take(2).map(|m| (m.std_stream_type(), m.workload_id.is_empty())).collect();
    assert!(made.contains(&(Typeworkloadid, true)) && made.contains(&(Typeworkloadid, false)), "{messages:?}");
    let (kind, text, _) = said(&messages[2]);
    assert!(kind == Eruerror && text.starts_with("Create workload failed ") && messages[2].workload_id.is_empty());
    assert!(messages[3].exited && messages.len() == 4);
    nothing_is_left(&core).await;
    core.stop().await;
}

#[tokio::test]
async fn a_pipe_is_passed_on_byte_for_byte_and_both_outputs_stay_apart() {
    let core = start().await.with_nodes(&["n1"]).await;
    let wanted = change(asked(&["eprint:err", "cat", "exit:7"], 1), |deploy| deploy.open_stdin = true);
    let (typing, mut messages) = run(&core, RunAndWaitOptions { no_terminal: true, ..wanted }).await.unwrap();
    let sent = Bytes::from_static(b"\x1d\x03\x04\0no end of line");
    typing.send(RunAndWaitOptions { input: sent.clone(), close_input: true, ..Default::default() }).await.unwrap();
    let messages = all(&mut messages).await;
    let of = |kind: pb::StdStreamType| -> Vec<u8> {
        let these = messages.iter().filter(|m| m.std_stream_type() == kind && !m.exited);
        these.flat_map(|m| m.data.to_vec()).collect()
    };
    assert_eq!((of(Stdout), of(Stderr)), (sent.to_vec(), b"err\n".to_vec()));
    assert_eq!(messages.last().unwrap().exit_code, 7);
    let refused = run(&core, RunAndWaitOptions { no_terminal: true, ..asked(&["exit:0"], 1) }).await.unwrap_err();
    assert!(refused.message().contains("no_terminal needs deploy_options.open_stdin"), "{refused:?}");
    nothing_is_left(&core).await;
    core.stop().await;
}

#[tokio::test]
async fn one_with_input_is_attached_before_it_starts() {
    let core = start().await.with_nodes(&["n1"]).await;
    let wanted = change(asked(&["print:ready", "cat", "exit:7"], 1), |deploy| deploy.open_stdin = true);
    let (typing, mut messages) = run(&core, wanted).await.unwrap();
    let first = within(messages.message()).await.unwrap().unwrap();
    assert_eq!(first.std_stream_type(), Typeworkloadid);
    let ready = within(messages.message()).await.unwrap().unwrap();
    assert_eq!(said(&ready), (Stdout, "ready\n".into(), None));
    typing.send(RunAndWaitOptions { cmd: Bytes::from_static(b"hello\n"), ..Default::default() }).await.unwrap();
    let echo = within(messages.message()).await.unwrap().unwrap();
    assert_eq!((echo.workload_id, &echo.data[..]), (first.workload_id, &b"hello\n"[..]));
    typing.send(RunAndWaitOptions { cmd: Bytes::from_static(b"\x1d"), ..Default::default() }).await.unwrap();
    let rest: Vec<_> = all(&mut messages).await.iter().map(said).collect();
    assert_eq!(rest, [(Stdout, "[exitcode] 7".into(), Some(7))]);
    nothing_is_left(&core).await;
    core.stop().await;
}

#[tokio::test]
async fn a_client_that_leaves_ends_and_removes_it() {
    let core = start().await.with_nodes(&["n1"]).await;
    let (typing, mut messages) = run(&core, asked(&["print:x"], 2)).await.unwrap();
    within(messages.message()).await.unwrap().unwrap();
    drop((typing, messages));
    nothing_is_left(&core).await;
    core.stop().await;
}

#[tokio::test]
async fn an_asynchronous_one_goes_on_until_it_ends_or_its_time_is_over() {
    let core = start().await.with_nodes(&["n1"]).await;
    let asynchronous = |seconds| RunAndWaitOptions { r#async: true, async_timeout: seconds, ..asked(&["print:x"], 1) };
    for (seconds, killed) in [(1000, true), (1, false)] {
        let (_typing, mut messages) = run(&core, asynchronous(seconds)).await.unwrap();
        let messages = all(&mut messages).await;
        assert_eq!(messages.len(), 1);
        let id = EngineId::new(&messages[0].workload_id).unwrap();
        if killed {
            assert!(engine(&core, "n1").kill(&id, 3), "it runs although nobody listens");
        }
        nothing_is_left(&core).await;
    }
    core.stop().await;
}

#[tokio::test]
async fn one_that_is_removed_meanwhile_ends() {
    let mut core = start().await.with_nodes(&["n1"]).await;
    let (_typing, mut messages) = run(&core, asked(&["print:x"], 1)).await.unwrap();
    let id = within(messages.message()).await.unwrap().unwrap().workload_id;
    within(messages.message()).await.unwrap().unwrap();
    let remove = pb::RemoveWorkloadOptions { ids: vec![id], force: true, ..Default::default() };
    let mut removed = core.client.remove_workload(remove).await.unwrap().into_inner();
    assert!(within(removed.message()).await.unwrap().unwrap().success);
    let rest = all(&mut messages).await;
    assert_eq!(rest.len(), 1, "{rest:?}");
    nothing_is_left(&core).await;
    core.stop().await;
}

#[tokio::test]
async fn an_engine_that_falls_silent_is_told_and_cleaned_when_it_is_back() {
    let core = start().await.with_nodes(&["n1"]).await;
    let (_typing, mut messages) = run(&core, asked(&["print:x"], 1)).await.unwrap();
    within(messages.message()).await.unwrap().unwrap();
    within(messages.message()).await.unwrap().unwrap();
    engine(&core, "n1").set_down(true);
    let rest = all(&mut messages).await;
    assert!(rest.last().is_some_and(|last| last.std_stream_type() == Eruerror), "{rest:?}");
    engine(&core, "n1").set_down(false);
    nothing_is_left(&core).await;
    core.stop().await;
}

#[tokio::test]
async fn a_core_that_stops_takes_its_runs_with_it() {
    let core = start().await.with_nodes(&["n1"]).await;
    let engine = engine(&core, "n1");
    let wanted = RunAndWaitOptions { r#async: true, async_timeout: 1000, ..asked(&["print:x"], 1) };
    let (_typing, mut messages) = run(&core, wanted).await.unwrap();
    assert_eq!(all(&mut messages).await.len(), 1);
    let mut events = engine.events().await.unwrap();
    core.stop().await;
    while within(events.next()).await.expect("it is removed").action != Action::Removed {}
    assert_eq!(engine.list(&Labels::default()).await.unwrap().len(), 0);
}

#[tokio::test]
async fn one_that_is_asked_for_again_is_not_run_again() {
    let core = start().await.with_nodes(&["n1"]).await;
    let named = || change(asked(&["print:x", "exit:0"], 1), |deploy| deploy.op_id = "once".into());
    let (_typing, mut messages) = run(&core, named()).await.unwrap();
    assert_eq!(all(&mut messages).await.len(), 3);
    let (_typing, mut messages) = run(&core, named()).await.unwrap();
    let again = all(&mut messages).await;
    let (kind, text, _) = said(again.last().unwrap());
    assert!(kind == Eruerror && text.contains("op \"once\" failed or was removed since"), "{text}");
    assert_eq!(engine(&core, "n1").counts().starts, 1);
    core.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn recovery_that_looks_all_the_time_disturbs_no_run() {
    let restless = |options: &mut eru_core::CoreOptions| options.recovery.look_every = Duration::ZERO;
    let core = start_with(restless).await.with_nodes(&["n1"]).await;
    for round in 0..50 {
        let named = || change(asked(&["print:x", "exit:0"], 2), |deploy| deploy.op_id = format!("op{round}"));
        let (_typing, mut messages) = run(&core, named()).await.unwrap();
        let first: Vec<_> = all(&mut messages).await.iter().map(said).collect();
        assert_eq!(first.len(), 6, "{first:?}");
        let (_typing, mut messages) = run(&core, named()).await.unwrap();
        let again: Vec<_> = all(&mut messages).await.iter().map(said).collect();
        let gone = again.iter().filter(|(_, text, _)| text.contains("failed or was removed since")).count();
        assert_eq!((again.len(), gone), (4, 2), "{again:?}");
    }
    assert_eq!(engine(&core, "n1").counts().starts, 100);
    core.stop().await;
}

#[tokio::test]
async fn one_that_another_call_reads_is_left_to_that_call() {
    let core = start().await.with_nodes(&["n1"]).await;
    let named = || change(asked(&["print:x"], 1), |deploy| deploy.op_id = "same".into());
    let (_typing, mut first) = run(&core, named()).await.unwrap();
    let id = within(first.message()).await.unwrap().unwrap().workload_id;
    within(first.message()).await.unwrap().unwrap();
    let (_typing, mut second) = run(&core, named()).await.unwrap();
    let second: Vec<_> = all(&mut second).await.iter().map(said).collect();
    assert_eq!(second.len(), 2);
    assert_eq!((second[0].0, second[1].0), (Typeworkloadid, Eruerror));
    assert!(second[1].1.contains("is the run of another call with op_id \"same\""), "{second:?}");
    let deploy = named().deploy_options.unwrap();
    let refused = core.client.clone().create_workload(deploy).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "a run is no deploy: {refused:?}");
    assert!(engine(&core, "n1").kill(&EngineId::new(&id).unwrap(), 3), "it still runs");
    let rest: Vec<_> = all(&mut first).await.iter().map(said).collect();
    assert_eq!(rest, [(Stdout, "[exitcode] 3".into(), Some(3))]);
    nothing_is_left(&core).await;
    core.stop().await;
}

#[tokio::test]
async fn bad_requests_are_refused_in_words() {
    let core = start().await.with_nodes(&["n1"]).await;
    let stdin = |count| change(asked(&["cat"], count), |deploy| deploy.open_stdin = true);
    for (bad, part) in [
        (RunAndWaitOptions::default(), "No deploy options"),
        (stdin(2), "Count must be 1 if OpenStdin is true"),
        (change(stdin(1), |deploy| deploy.deploy_strategy = 2), "Count must be 1 if OpenStdin is true"),
        (asked(&["exit:0"], 1001), "count of a run must be 1 to 1000, got 1001"),
        (asked(&["exit:0"], 0), "count is 0"),
        (
            change(asked(&[], 1), |deploy| deploy.entrypoint.as_mut().unwrap().restart = "always".into()),
            "entrypoint.restart must be \"no\" for a run to the end, got \"always\"",
        ),
        (RunAndWaitOptions { async_timeout: -1, ..asked(&[], 1) }, "async_timeout must be 0 to 604800 s, got -1"),
    ] {
        let status = run(&core, bad).await.unwrap_err();
        assert!(status.code() == Code::InvalidArgument && status.message().contains(part), "{status:?} lacks {part}");
    }
    let nowhere = change(asked(&[], 1), |deploy| deploy.podname = "nowhere".into());
    assert_eq!(run(&core, nowhere).await.unwrap_err().code(), Code::NotFound);
    core.stop().await;
}
