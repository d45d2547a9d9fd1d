//! Signs of life, verdicts, and what they do to what is shown.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use eru_api::{agent, pb};
use std::time::Duration;
use support::{TestCore, deploy, eventually, node, start};

struct Beating {
    task: tokio::task::JoinHandle<()>,
    incarnation: i64,
}

impl Drop for Beating {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// An agent of `name` that only beats.
async fn beating(core: &TestCore, name: &str) -> Beating {
    let mut client = core.agent.clone();
    let nodename = name.to_owned();
    let request = agent::RegisterRequest { nodename: nodename.clone(), ..Default::default() };
    let registered = client.register(request).await.unwrap().into_inner();
    let incarnation = registered.incarnation;
    assert_eq!((registered.beat_interval_ms, registered.lease_ttl_ms), (700, 2000));
    let task = tokio::spawn(async move {
        loop {
            let beat =
                agent::BeatRequest { nodename: nodename.clone(), incarnation, runtime_ok: true, lease_ttl_ms: 0 };
            let _ = client.beat(beat).await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    });
    Beating { task, incarnation }
}

async fn until_state(core: &TestCore, name: &str, state: &str) -> i64 {
    eventually(&format!("{name} to be {state}"), || {
        let mut client = core.client.clone();
        let get = pb::GetNodeOptions { nodename: name.into(), ..Default::default() };
        async move {
            let node = client.get_node(get).await.unwrap().into_inner();
            (node.state == state).then_some(node.generation)
        }
    })
    .await
}

async fn report_running(core: &mut TestCore, incarnation: i64, seq: i64, id: &str) {
    let report = agent::WorkloadReport { id: id.into(), seq, running: true, healthy: true, ..Default::default() };
    let request = agent::ReportRequest { nodename: "n1".into(), incarnation, full: true, seq, reports: vec![report] };
    core.agent.report(request).await.unwrap();
}

#[tokio::test]
async fn an_empty_full_list_says_that_everything_is_gone() {
    let mut core = start().await.with_nodes(&["n1"]).await;
    let id = core.deployed(deploy("app", 1)).await.remove(0);
    let agent_of_n1 = beating(&core, "n1").await;
    let incarnation = agent_of_n1.incarnation;
    report_running(&mut core, incarnation, 7, &id).await;
    let list = |seq, reports| agent::ReportRequest { nodename: "n1".into(), incarnation, full: true, seq, reports };

    // What was made and never started is named, and nothing is stored of it.
    let unstarted = agent::WorkloadReport { id: id.clone(), seq: 8, unstarted: true, ..Default::default() };
    let reply = core.agent.report(list(9, vec![unstarted])).await.unwrap().into_inner();
    assert_eq!(reply.outcomes[0].result(), agent::outcome::Result::Unchanged);
    assert!(core.status_of(&id).await.running);

    core.agent.report(list(6, vec![])).await.unwrap();
    assert!(core.status_of(&id).await.running, "a list from before the report says nothing");
    core.agent.report(list(10, vec![])).await.unwrap();
    let shown = core.status_of(&id).await;
    assert_eq!((shown.running, shown.reason.as_str()), (false, "not found in the runtime"));

    let refused = core.agent.report(list(-1, vec![])).await.unwrap_err();
    assert_eq!(refused.message(), "seq must be 0 or more, got -1");
    core.stop().await;
}

#[tokio::test]
async fn a_silent_node_is_lost_and_comes_back() {
    let mut core = start().await.with_nodes(&["n1"]).await;
    assert_eq!(core.node_state("n1").await, ("new".into(), 0));
    let id = core.deployed(deploy("app", 1)).await.remove(0);
    let agent_of_n1 = beating(&core, "n1").await;
    assert_eq!(core.node_state("n1").await.0, "ready");
    report_running(&mut core, agent_of_n1.incarnation, 1, &id).await;
    assert!(core.status_of(&id).await.running);
    let mut changes = core.client.node_status_stream(pb::Empty {}).await.unwrap().into_inner();

    let before = core.client.info(pb::Empty {}).await.unwrap().into_inner().revision;
    for _ in 0..5 {
        let beat = agent::BeatRequest {
            nodename: "n1".into(),
            incarnation: agent_of_n1.incarnation,
            runtime_ok: true,
            lease_ttl_ms: 0,
        };
        core.agent.beat(beat).await.unwrap();
    }
    assert_eq!(core.client.info(pb::Empty {}).await.unwrap().into_inner().revision, before, "beats write nothing");

    drop(agent_of_n1);
    let silent = std::time::Instant::now();
    let first = changes.message().await.unwrap().unwrap();
    assert_eq!((first.nodename.as_str(), first.alive, first.state.as_str()), ("n1", false, "suspect"));
    assert!(core.status_of(&id).await.running, "a suspect node's workloads are still believed");
    assert_eq!(until_state(&core, "n1", "lost").await, 1);
    assert!(silent.elapsed() < Duration::from_secs(4), "after {:?}", silent.elapsed());
    let shown = core.status_of(&id).await;
    assert_eq!((shown.running, shown.node_state.as_str(), shown.id.as_str()), (false, "lost", id.as_str()));

    let again = beating(&core, "n1").await;
    assert_eq!(until_state(&core, "n1", "ready").await, 1, "the generation is kept");
    assert!(!core.status_of(&id).await.running, "what was reported before the loss does not count");
    report_running(&mut core, again.incarnation, 1, &id).await;
    assert!(core.status_of(&id).await.running);
    core.stop().await;
}

#[tokio::test]
async fn an_engine_that_is_away_is_waited_for_as_long_as_the_agent_asks() {
    let mut core = start().await.with_nodes(&["n1", "n2", "n3"]).await;
    let (patient, impatient, _third) =
        (beating(&core, "n1").await, beating(&core, "n2").await, beating(&core, "n3").await);
    for (name, agent_of, lease_ttl_ms) in [("n1", patient, 60_000), ("n2", impatient, 0)] {
        let (nodename, incarnation) = (name.to_owned(), agent_of.incarnation);
        drop(agent_of);
        core.agent.beat(agent::BeatRequest { nodename, incarnation, runtime_ok: false, lease_ttl_ms }).await.unwrap();
    }
    assert_eq!(until_state(&core, "n2", "lost").await, 1);
    assert_eq!(core.node_state("n1").await, ("ready".into(), 0));
    core.stop().await;
}

#[tokio::test]
async fn a_node_whose_engine_answers_is_unwatched_and_not_lost() {
    let mut core = start().await.with_nodes(&[]).await;
    core.client.add_node(pb::AddNodeOptions { endpoint: "fake://n1?engine=stays".into(), ..node("n1") }).await.unwrap();
    let id = core.deployed(deploy("app", 1)).await.remove(0);
    let agent_of_n1 = beating(&core, "n1").await;
    report_running(&mut core, agent_of_n1.incarnation, 1, &id).await;
    drop(agent_of_n1);
    assert_eq!(until_state(&core, "n1", "unwatched").await, 0);
    assert!(core.status_of(&id).await.running, "it is shown as it was reported last");
    // The machine dies after all.
    core.fakes.open("fake://n1?engine=stays&down=1").unwrap();
    core.fakes.get(&eru_types::NodeName::new("n1").unwrap()).unwrap().set_down(true);
    assert_eq!(until_state(&core, "n1", "lost").await, 1);
    core.stop().await;
}

#[tokio::test]
async fn most_nodes_at_once_are_not_believed_to_be_dead() {
    let core = start().await.with_nodes(&["n1", "n2", "n3", "n4"]).await;
    let mut agents = Vec::new();
    for name in ["n1", "n2", "n3", "n4"] {
        agents.push(beating(&core, name).await);
    }
    let last = agents.pop();
    drop(agents);
    for name in ["n1", "n2", "n3"] {
        until_state(&core, name, "suspect").await;
    }
    // Far longer than a verdict takes; one of them comes back, and the others are no longer most.
    tokio::time::sleep(Duration::from_secs(3)).await;
    for name in ["n1", "n2", "n3"] {
        until_state(&core, name, "suspect").await;
    }
    let _back = beating(&core, "n1").await;
    until_state(&core, "n1", "ready").await;
    assert_eq!(until_state(&core, "n2", "lost").await, 1);
    assert_eq!(until_state(&core, "n3", "lost").await, 1);
    until_state(&core, "n4", "ready").await;
    drop(last);
    core.stop().await;
}

#[tokio::test]
async fn a_good_bye_keeps_the_node_for_a_while_and_a_negative_ttl_does_not() {
    let mut core = start().await.with_nodes(&["n1", "n2"]).await;
    let agent_of_n1 = beating(&core, "n1").await;
    let leave =
        agent::LeaveRequest { nodename: "n1".into(), incarnation: agent_of_n1.incarnation, lease_ttl_ms: 30_000 };
    agent_of_n1.task.abort();
    core.agent.leave(leave).await.unwrap();
    core.client.set_node_status(pb::SetNodeStatusOptions { nodename: "n2".into(), ttl: 60 }).await.unwrap();
    assert_eq!(core.node_state("n2").await.0, "ready");
    core.client.set_node_status(pb::SetNodeStatusOptions { nodename: "n2".into(), ttl: -1 }).await.unwrap();
    let state = core.node_state("n2").await.0;
    assert!(state == "suspect" || state == "lost", "{state}");
    until_state(&core, "n2", "lost").await;
    assert_eq!(core.node_state("n1").await.0, "ready");
    core.stop().await;
}

#[tokio::test]
async fn workloads_down_is_one_write_and_the_agent_is_asked_for_everything() {
    let mut core = start().await.with_nodes(&["n1"]).await;
    let id = core.deployed(deploy("app", 1)).await.remove(0);
    let agent_of_n1 = beating(&core, "n1").await;
    report_running(&mut core, agent_of_n1.incarnation, 1, &id).await;
    let set = pb::SetNodeOptions { nodename: "n1".into(), workloads_down: true, ..Default::default() };
    core.client.set_node(set).await.unwrap();
    assert!(!core.status_of(&id).await.running);
    // The node lives, so the verdict is taken back; its reports of before do not count.
    assert_eq!(until_state(&core, "n1", "ready").await, 1);
    assert!(!core.status_of(&id).await.running);
    let beat = agent::BeatRequest {
        nodename: "n1".into(),
        incarnation: agent_of_n1.incarnation,
        runtime_ok: true,
        lease_ttl_ms: 0,
    };
    let answer = core.agent.beat(beat).await.unwrap().into_inner();
    assert_eq!((answer.report_all, answer.generation), (true, 1));
    report_running(&mut core, agent_of_n1.incarnation, 2, &id).await;
    assert!(core.status_of(&id).await.running, "the same words, but of after");
    core.stop().await;
}

#[tokio::test]
async fn an_agent_of_a_node_that_was_added_again_must_register_again() {
    let mut core = start().await.with_nodes(&["n1"]).await;
    let incarnation = {
        let _first = beating(&core, "n1").await;
        beating(&core, "n1").await.incarnation
    };
    core.client.remove_node(pb::RemoveNodeOptions { nodename: "n1".into() }).await.unwrap();
    let beat = agent::BeatRequest { nodename: "n1".into(), incarnation, runtime_ok: true, lease_ttl_ms: 0 };
    let gone = core.agent.beat(beat.clone()).await.unwrap_err();
    assert_eq!(gone.code(), tonic::Code::NotFound);
    assert!(gone.message().starts_with("bad `Count` value: key: /node/n1: node \"n1\" does not exist"), "{gone:?}");
    core.client.add_node(node("n1")).await.unwrap();
    let unknown = core.agent.beat(beat).await.unwrap_err();
    assert_eq!(unknown.code(), tonic::Code::NotFound);
    assert!(unknown.message().contains("register again"), "{}", unknown.message());
    assert_eq!(core.node_state("n1").await, ("new".into(), 0), "nothing of the former node is left");
    core.stop().await;
}

#[tokio::test]
async fn a_core_that_starts_again_knows_the_leases_and_asks_for_everything() {
    let mut core = start().await.with_nodes(&["n1"]).await;
    let id = core.deployed(deploy("app", 1)).await.remove(0);
    let incarnation = {
        let agent_of_n1 = beating(&core, "n1").await;
        report_running(&mut core, agent_of_n1.incarnation, 1, &id).await;
        agent_of_n1.incarnation
    };
    let (folder, fakes) = (core.folder.clone(), core.fakes.clone());
    core.stop().await;
    let mut core = support::start_on(folder, fakes, |_| ()).await;
    assert_eq!(core.node_state("n1").await, ("ready".into(), 0));
    assert!(core.status_of(&id).await.running);
    let beat = agent::BeatRequest { nodename: "n1".into(), incarnation, runtime_ok: true, lease_ttl_ms: 0 };
    let answer = core.agent.beat(beat).await.unwrap().into_inner();
    assert_eq!((answer.report_all, answer.superseded), (true, false));
    report_running(&mut core, incarnation, 2, &id).await;
    assert!(core.status_of(&id).await.running);
    core.stop().await;
}
