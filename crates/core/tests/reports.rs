//! Reports of workloads: through the original's API and through our agents'.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use eru_api::{
    agent::{self, outcome::Result as Became},
    pb,
};
use support::{TestCore, deploy, eventually, start};
use tonic::Code;

fn report(id: &str, running: bool) -> pb::WorkloadStatus {
    pb::WorkloadStatus { id: id.into(), running, healthy: running, ..Default::default() }
}

async fn set(core: &mut TestCore, status: Vec<pb::WorkloadStatus>) -> Result<Vec<pb::WorkloadStatus>, tonic::Status> {
    Ok(core.client.set_workloads_status(pb::SetWorkloadsStatusOptions { status }).await?.into_inner().status)
}

#[tokio::test]
async fn the_originals_agents_report() {
    let mut core = start().await.with_nodes(&["n1"]).await;
    let id = core.deployed(deploy("app", 1)).await.remove(0);
    let fresh = core.status_of(&id).await;
    assert_eq!((fresh.id.as_str(), fresh.running), ("", false), "the page's first table has an empty id");
    let stored = set(&mut core, vec![report(&id, true)]).await.unwrap();
    assert_eq!((stored[0].id.as_str(), stored[0].running), (id.as_str(), true));
    let shown = core.status_of(&id).await;
    assert_eq!((shown.id.as_str(), shown.running, shown.healthy), (id.as_str(), true, true));

    let before = core.client.info(pb::Empty {}).await.unwrap().into_inner().revision;
    set(&mut core, vec![report(&id, true); 3]).await.unwrap();
    let after = core.client.info(pb::Empty {}).await.unwrap().into_inner().revision;
    assert_eq!(before, after, "what is stored already writes nothing");

    let unknown = set(&mut core, vec![report("nobody", true)]).await.unwrap_err();
    assert_eq!((unknown.code(), unknown.message()), (Code::NotFound, "bad `Count` value: key: /workloads/nobody"));
    let named = pb::WorkloadStatus {
        appname: "a".into(),
        entrypoint: "b".into(),
        nodename: "n1".into(),
        ttl: 10,
        ..report("nobody", true)
    };
    let unknown = set(&mut core, vec![named]).await.unwrap_err();
    assert_eq!((unknown.code(), unknown.message()), (Code::NotFound, "entity not exists"));
    let elsewhere = pb::WorkloadStatus { nodename: "n2".into(), ..report(&id, false) };
    assert_eq!(set(&mut core, vec![elsewhere]).await.unwrap_err().code(), Code::InvalidArgument);
    assert!(set(&mut core, vec![]).await.unwrap().is_empty());
    assert!(core.status_of(&id).await.running, "nothing of it was stored");
    // The newest of one call wins.
    set(&mut core, vec![report(&id, true), report(&id, false)]).await.unwrap();
    assert!(!core.status_of(&id).await.running);
    core.stop().await;
}

#[tokio::test]
async fn who_has_ended_is_not_shown_as_running() {
    let mut core = start().await.with_nodes(&["n1"]).await;
    let id = core.deployed(deploy("app", 1)).await.remove(0);
    let exit = Some(pb::ExitStatus { code: 1, ..Default::default() });
    for (report, want) in [
        (report(&id, true), "running"),
        (pb::WorkloadStatus { exit, ..report(&id, false) }, "exited"),
        (report(&id, true), "running"),
        (report(&id, false), "running"),
    ] {
        set(&mut core, vec![report]).await.unwrap();
        let shown = core.client.get_workload(pb::WorkloadId { id: id.clone() }).await.unwrap().into_inner();
        assert_eq!(shown.state, want, "{:?}", shown.status);
    }
    core.stop().await;
}

#[tokio::test]
async fn a_report_with_a_time_to_live_expires_unless_it_is_repeated() {
    let mut core = start().await.with_nodes(&["n1"]).await;
    let ids = core.deployed(deploy("app", 2)).await;
    let short = |id: &str| pb::WorkloadStatus { ttl: 2, ..report(id, true) };
    set(&mut core, vec![short(&ids[0]), short(&ids[1])]).await.unwrap();
    let begun = std::time::Instant::now();
    let expired = eventually("the silent one to expire", || {
        let mut client = core.client.clone();
        let (kept, lost) = (ids[0].clone(), ids[1].clone());
        async move {
            let status = vec![pb::WorkloadStatus { ttl: 2, ..report(&kept, true) }];
            client.set_workloads_status(pb::SetWorkloadsStatusOptions { status }).await.unwrap();
            let status = client.get_workloads_status(pb::WorkloadIDs { ids: vec![lost] }).await.unwrap().into_inner();
            status.status.into_iter().next().filter(|s| s.expired)
        }
    })
    .await;
    assert!(!expired.running && begun.elapsed().as_millis() >= 1900, "after {:?}", begun.elapsed());
    let kept = core.status_of(&ids[0]).await;
    assert!(kept.running && !kept.expired);
    // To for ever, and the lease lets go of it.
    set(&mut core, vec![report(&ids[0], true)]).await.unwrap();
    set(&mut core, vec![short(&ids[1])]).await.unwrap();
    eventually("the other one to expire again", || {
        let mut client = core.client.clone();
        let ids = ids.clone();
        async move {
            client.get_workloads_status(pb::WorkloadIDs { ids }).await.unwrap().into_inner().status[1]
                .expired
                .then_some(())
        }
    })
    .await;
    assert!(core.status_of(&ids[0]).await.running);
    core.stop().await;
}

async fn register(core: &mut TestCore) -> i64 {
    let request = agent::RegisterRequest { nodename: "n1".into(), ..Default::default() };
    core.agent.register(request).await.unwrap().into_inner().incarnation
}

async fn send(core: &mut TestCore, incarnation: i64, full: bool, reports: &[(&str, i64, bool)]) -> Vec<Became> {
    let reports = reports
        .iter()
        .map(|(id, seq, running)| agent::WorkloadReport {
            id: (*id).into(),
            seq: *seq,
            running: *running,
            healthy: *running,
            ..Default::default()
        })
        .collect();
    let request = agent::ReportRequest { nodename: "n1".into(), incarnation, full, reports, ..Default::default() };
    let outcomes = core.agent.report(request).await.unwrap().into_inner().outcomes;
    outcomes.iter().map(|o| o.result()).collect()
}

#[tokio::test]
async fn reports_of_agents_are_in_order() {
    let mut core = start().await.with_nodes(&["n1"]).await;
    let ids = core.deployed(deploy("app", 2)).await;
    let (a, b) = (ids[0].as_str(), ids[1].as_str());
    let first = register(&mut core).await;
    use Became::{Stale, Stored, Unchanged, UnknownWorkload};
    assert_eq!(send(&mut core, first, false, &[(a, 5, true), ("nobody", 1, true)]).await, [Stored, UnknownWorkload]);
    assert_eq!(send(&mut core, first, false, &[(a, 7, true)]).await, [Unchanged]);
    assert_eq!(send(&mut core, first, false, &[(a, 6, false)]).await, [Stale], "a newer one said otherwise");
    assert_eq!(send(&mut core, first, false, &[(a, 8, false), (a, 9, true)]).await, [Stored, Stored]);
    assert!(core.status_of(a).await.running);

    let second = register(&mut core).await;
    assert_eq!(second, first + 1);
    assert_eq!(send(&mut core, first, false, &[(a, 99, false)]).await, [Stale], "the older agent is not heard");
    let beat = agent::BeatRequest { nodename: "n1".into(), incarnation: first, runtime_ok: true, ..Default::default() };
    assert!(core.agent.beat(beat).await.unwrap().into_inner().superseded);
    let beat =
        agent::BeatRequest { nodename: "n1".into(), incarnation: second, runtime_ok: true, ..Default::default() };
    let answer = core.agent.beat(beat.clone()).await.unwrap().into_inner();
    assert!(answer.report_all && !answer.superseded, "a new agent has reported nothing");
    assert_eq!(send(&mut core, second, true, &[(a, 1, true), (b, 2, true)]).await, [Unchanged, Stored]);
    assert!(!core.agent.beat(beat).await.unwrap().into_inner().report_all);
    // A full report without b: b is gone.
    send(&mut core, second, true, &[(a, 3, true)]).await;
    let gone = core.status_of(b).await;
    assert_eq!((gone.running, gone.reason.as_str()), (false, "not found in the runtime"));
    assert!(core.status_of(a).await.running);
    core.stop().await;
}

#[tokio::test]
async fn many_calls_at_once_are_all_stored() {
    let mut core = start().await.with_nodes(&["n1"]).await;
    let mut options = deploy("app", 50);
    options.resource_opts = Some(pb::ResourceOptions { memory_limit: 1 << 20, ..Default::default() });
    let ids = core.deployed(options).await;
    let calls = ids.chunks(5).flat_map(|ids| (0..10).map(move |round| (ids.to_vec(), round))).map(|(ids, round)| {
        let mut client = core.client.clone();
        tokio::spawn(async move {
            let status = ids.iter().map(|id| report(id, round % 2 == 0)).collect();
            client.set_workloads_status(pb::SetWorkloadsStatusOptions { status }).await.unwrap();
        })
    });
    futures::future::join_all(calls.collect::<Vec<_>>()).await.into_iter().for_each(|done| done.unwrap());
    let last = ids.iter().map(|id| pb::WorkloadStatus { reason: "last".into(), ..report(id, true) }).collect();
    set(&mut core, last).await.unwrap();
    let all = core.client.get_workloads_status(pb::WorkloadIDs { ids }).await.unwrap().into_inner().status;
    assert!(all.iter().all(|s| s.running && s.reason == "last"));
    core.stop().await;
}
