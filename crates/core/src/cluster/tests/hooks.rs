//! Commands that are run inside.

use super::rig::*;
use crate::cluster::control::{Control, ControlOutcome, ControlRequest};
use eru_api::pb;
use eru_runtime::{Runtime, State, fake::Operation};
use eru_types::EngineId;
use std::sync::Arc;

fn with_hooks(after_start: &[&str], before_stop: &[&str], force: bool) -> pb::DeployOptions {
    let texts = |commands: &[&str]| commands.iter().map(|text| (*text).to_owned()).collect();
    let mut options = options(1);
    options.entrypoint.as_mut().unwrap().hook =
        Some(pb::HookOptions { after_start: texts(after_start), before_stop: texts(before_stop), force });
    options
}

async fn control(cluster: &Arc<crate::cluster::Cluster>, id: &str, control: Control, force: bool) -> ControlOutcome {
    let request = ControlRequest { ids: vec![id.to_owned()], control: Some(control), force, owner: None };
    within(cluster.control(request).await.unwrap().recv()).await.unwrap()
}

fn text(hook: &[u8]) -> &str {
    std::str::from_utf8(hook).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn they_run_in_order_and_what_they_say_is_answered() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, 64 * GIB).await;
    let mut wanted =
        with_hooks(&["eru-fake print:started env", "eru-fake 'eprint:two words'"], &["eru-fake print:bye"], true);
    wanted.after_create = vec!["eru-fake print:created".into()];
    wanted.env = vec!["COLOUR=red".into()];
    let outcome = deploy(&cluster, &wanted).await.remove(0);
    assert_eq!(outcome.error, "");
    assert_eq!(text(&outcome.hook), "created\nstarted\nCOLOUR=red\ntwo words\n");
    let id = outcome.id.unwrap().to_string();
    let stopped = control(&cluster, &id, Control::Stop, false).await;
    assert_eq!((stopped.error.as_str(), text(&stopped.hook)), ("", "bye\n"));
    let started = control(&cluster, &id, Control::Start, false).await;
    assert_eq!(text(&started.hook), "started\nCOLOUR=red\ntwo words\n", "what is run after the creation is run once");
    let again = control(&cluster, &id, Control::Restart, true).await;
    assert_eq!(text(&again.hook), "bye\nstarted\nCOLOUR=red\ntwo words\n");
    world.check(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_ends_it_only_when_the_spec_says_so() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, 64 * GIB).await;
    let failing = ["eru-fake print:half exit:3", "eru-fake print:after"];
    let outcome = deploy(&cluster, &with_hooks(&failing, &["eru-fake exit:1"], false)).await.remove(0);
    assert_eq!(outcome.error, "");
    let want = "half\nafter_start \"eru-fake print:half exit:3\": ended with exit code 3\nafter\n";
    assert_eq!(text(&outcome.hook), want);
    let lenient = outcome.id.unwrap().to_string();
    let stopped = control(&cluster, &lenient, Control::Stop, false).await;
    assert_eq!(
        (stopped.error.as_str(), text(&stopped.hook)),
        ("", "before_stop \"eru-fake exit:1\": ended with exit code 1\n")
    );
    assert_eq!(control(&cluster, &lenient, Control::Start, false).await.error, "");

    let outcome = deploy(&cluster, &with_hooks(&failing, &[], true)).await.remove(0);
    assert_eq!(outcome.error, "after_start \"eru-fake print:half exit:3\": ended with exit code 3");
    assert_eq!((outcome.id, text(&outcome.hook)), (None, "half\n"), "what was said before it is told");
    assert_eq!(world.placements().await.len(), 1);

    let strict = deploy(&cluster, &with_hooks(&[], &["eru-fake exit:1"], true)).await.remove(0).id.unwrap();
    let refused = control(&cluster, strict.as_str(), Control::Stop, false).await;
    assert_eq!(refused.error, "before_stop \"eru-fake exit:1\": ended with exit code 1");
    let state = async |id: &EngineId| world.engine("n0").inspect(id).await.unwrap().state;
    assert_eq!(state(&strict).await, State::Running);
    let forced = control(&cluster, strict.as_str(), Control::Stop, true).await;
    assert_eq!((forced.error.as_str(), state(&strict).await), ("", State::Exited));
    assert_eq!(control(&cluster, strict.as_str(), Control::Start, false).await.error, "");
    world.check(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_output_of_many_is_cut_as_a_whole() {
    const COUNT: usize = 200;
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 2, 100 * GIB).await;
    // How many bytes are kept in all, and of how many workloads not all.
    let told = |hooks: &[Vec<u8>]| {
        let end = b"[cut: of all hooks of one request at most 8388608 bytes are kept]\n";
        let kept = hooks.iter().map(|hook| match hook.strip_suffix(end) {
            Some(kept) => kept.strip_suffix(b"\n").unwrap_or(kept).len(),
            None => hook.len(),
        });
        (kept.sum::<usize>(), hooks.iter().filter(|hook| hook.ends_with(end)).count())
    };
    let saying = ["eru-fake bytes:60000"];
    let wanted = pb::DeployOptions { count: COUNT as i32, ..with_hooks(&saying, &saying, true) };
    let outcomes = deploy(&cluster, &wanted).await;
    assert_eq!(succeeded(&outcomes).len(), COUNT, "what is not kept fails nothing");
    let hooks: Vec<Vec<u8>> = outcomes.iter().map(|outcome| outcome.hook.clone()).collect();
    let (kept, cut) = told(&hooks);
    assert!(kept == 8 << 20 && cut >= COUNT - kept / 60_000, "{kept} bytes, {cut} cut");
    let request = ControlRequest { ids: succeeded(&outcomes), control: Some(Control::Stop), force: false, owner: None };
    let mut stopped = cluster.control(request).await.unwrap();
    let mut hooks = Vec::new();
    while let Some(outcome) = within(stopped.recv()).await {
        assert_eq!(outcome.error, "");
        hooks.push(outcome.hook);
    }
    let (kept, cut) = told(&hooks);
    assert!(kept == 8 << 20 && cut >= COUNT - kept / 60_000, "{kept} bytes, {cut} cut");
}

#[tokio::test(flavor = "multi_thread")]
async fn very_much_output_is_cut() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, 64 * GIB).await;
    let outcome = deploy(&cluster, &with_hooks(&["eru-fake bytes:1000000"], &[], true)).await.remove(0);
    assert_eq!(outcome.error, "");
    let (kept, said) = outcome.hook.split_at(64 * 1024);
    assert!(kept.iter().enumerate().all(|(i, byte)| i % 251 == usize::from(*byte)));
    assert_eq!(text(said), "\n[cut: of the hooks of one workload at most 65536 bytes are kept]\n");
    world.engine("n0").fail_next(Operation::Exec, 1);
    let outcome = deploy(&cluster, &with_hooks(&["eru-fake"], &[], true)).await.remove(0);
    assert!(outcome.error.contains("exec"), "{outcome:?}");
    world.check(&cluster).await;
}
