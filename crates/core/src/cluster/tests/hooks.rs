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
async fn very_much_output_is_cut() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, 64 * GIB).await;
    let outcome = deploy(&cluster, &with_hooks(&["eru-fake bytes:1000000"], &[], true)).await.remove(0);
    assert_eq!((outcome.error.as_str(), outcome.hook.len()), ("", 64 * 1024));
    world.engine("n0").fail_next(Operation::Exec, 1);
    let outcome = deploy(&cluster, &with_hooks(&["eru-fake"], &[], true)).await.remove(0);
    assert!(outcome.error.contains("exec"), "{outcome:?}");
    world.check(&cluster).await;
}
