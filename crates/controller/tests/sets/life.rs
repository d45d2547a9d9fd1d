//! What a controller does about what happens.

use crate::world::{PATIENCE, World, eventually, phase, spec, start_on, with_command};
use eru_api::controller::{
    ApplyRequest, GetRequest, ListRequest, RemoveRequest, ReplicaSet, ScaleRequest, WatchRequest,
};
use eru_client::ClientOptions;
use eru_controller::{Controller, ControllerOptions, Error, Leadership, StoreChoice};
use eru_kv::{Embedded, EmbeddedOptions, Kv};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tonic::Code;

#[tokio::test(flavor = "multi_thread")]
async fn instances_are_made_and_replaced_when_they_end_or_vanish() {
    let world = World::new().await;
    let mut controller = world.controller().await;
    controller.apply(spec("web", 3)).await;
    let set = controller.until_healthy("web").await;
    assert_eq!(set.slots.iter().map(|slot| slot.slot).collect::<Vec<_>>(), [0, 1, 2]);
    assert!(set.slots.iter().all(|slot| slot.healthy && slot.nodename == "n1" && slot.networks.len() == 1), "{set:#?}");
    let first = &world.core.calls().creates[0];
    assert_eq!((first.owner.as_str(), first.owner_epoch, first.count), (set.uid.as_str(), 1, 1));
    assert_eq!(first.op_id, format!("{}-0-1", set.uid));
    assert_eq!((first.labels["replicaset"].as_str(), first.labels["replicaset.slot"].as_str()), ("web", "0"));

    let (killed, stolen) = (&set.slots[1].workload_id, &set.slots[2].workload_id);
    world.core.kill(killed);
    controller.until("web", "mended", |set| phase(set) == "healthy" && set.slots[1].epoch == 2).await;
    world.core.steal(stolen);
    let set = controller.until("web", "mended", |set| phase(set) == "healthy" && set.slots[2].epoch == 2).await;
    assert_eq!(set.slots[0].epoch, 1);
    assert_eq!(world.ids().len(), 3, "the ended one is removed");
    assert_eq!(world.core.calls().creates.len(), 5);
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_finds_everything_and_does_nothing() {
    let world = World::new().await;
    let mut controller = world.controller().await;
    controller.apply(spec("web", 2)).await;
    let before = controller.until_healthy("web").await;
    let ids = world.ids();
    controller.stop().await;
    for term in 2..5 {
        let mut controller = world.controller().await;
        let after = controller.until_healthy("web").await;
        assert_eq!((&after.uid, after.generation, &after.spec), (&before.uid, before.generation, &before.spec));
        world.core.kill(&after.slots[0].workload_id);
        controller.until("web", "mended", |set| set.slots[0].epoch == term && phase(set) == "healthy").await;
        controller.stop().await;
    }
    // One create for each kill, and each in a term of its own.
    let epochs: Vec<i64> = world.core.calls().creates.iter().map(|create| create.owner_epoch).collect();
    assert_eq!(epochs, [1, 1, 2, 3, 4]);
    assert_eq!(world.ids().intersection(&ids).count(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ended_while_the_controller_was_away_is_replaced_once() {
    let world = World::new().await;
    let mut controller = world.controller().await;
    controller.apply(spec("web", 2)).await;
    let set = controller.until_healthy("web").await;
    controller.stop().await;
    set.slots.iter().for_each(|slot| world.core.kill(&slot.workload_id));
    let mut controller = world.controller().await;
    controller.until("web", "mended", |set| phase(set) == "healthy" && set.slots.iter().all(|s| s.epoch == 2)).await;
    assert_eq!(world.core.calls().creates.len(), 4);
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_asked_for_again_and_makes_no_second_instance() {
    let world = World::new().await;
    world.core.faults(|faults| faults.lose_answers = 3);
    let mut controller = world.controller().await;
    controller.apply(spec("web", 3)).await;
    controller.until_healthy("web").await;
    let names: BTreeSet<String> = world.core.calls().creates.iter().map(|create| create.op_id.clone()).collect();
    assert_eq!((world.ids().len(), names.len()), (3, 3));
    assert_eq!(world.epochs(), ["1", "1", "1"]);
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_that_was_open_at_a_restart_is_counted() {
    let world = World::new().await;
    // The instance is made, but neither the answer nor a report arrives before the controller goes away.
    world.core.faults(|faults| (faults.lose_answers, faults.unreported) = (1000, true));
    let mut controller = world.controller().await;
    controller.apply(spec("web", 1)).await;
    controller.until("web", "starting", |set| set.slots.first().is_some_and(|slot| slot.epoch == 1)).await;
    controller.stop().await;
    world.core.faults(|faults| (faults.lose_answers, faults.unreported) = (0, false));
    let mut controller = world.controller().await;
    for id in world.ids() {
        world.core.report(&id, |status| (status.running, status.healthy) = (true, true));
    }
    controller.until_healthy("web").await;
    assert_eq!(world.epochs(), ["1"]);
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_create_whose_fate_is_unknown_is_sent_again_by_the_next_controller() {
    let world = World::new().await;
    world.core.faults(|faults| faults.ignore_creates = true);
    let mut controller = world.controller().await;
    controller.apply(spec("web", 1)).await;
    controller.until("web", "starting", |set| set.slots.first().is_some_and(|slot| slot.epoch == 1)).await;
    eventually("a create was tried", || !world.core.calls().creates.is_empty()).await;
    controller.stop().await;
    world.core.faults(|faults| faults.ignore_creates = false);
    let mut controller = world.controller().await;
    controller.until_healthy("web").await;
    assert_eq!(world.epochs(), ["1"]);
    let names: BTreeSet<String> = world.core.calls().creates.iter().map(|create| create.op_id.clone()).collect();
    assert_eq!(names.len(), 1);
    controller.stop().await;
}

/// Sets the epoch of a set's first slot to the last number there is: the next one overflows, which panics where overflows
/// are checked.
#[cfg(debug_assertions)]
async fn exhaust_epochs(folder: &Path, uid: &str) {
    use eru_kv::{Durability, KeyRange, Op, RangeOptions, Txn};
    let kv = Embedded::open(folder, EmbeddedOptions::default()).expect("it opens");
    let range = KeyRange::prefix(format!("/controller/slot/{uid}/"));
    let found = kv.range(&range, RangeOptions::default()).await.expect("it is read").kvs.remove(0);
    let mut record: serde_json::Value = serde_json::from_slice(&found.value).expect("it is JSON");
    record["epoch"] = u64::MAX.into();
    let put = Op::put(found.key, serde_json::to_vec(&record).expect("it is JSON"));
    kv.txn(Txn { then: vec![put], ..Txn::default() }, Durability::Durable).await.expect("it is written");
    kv.close().await.expect("it closes");
}

#[cfg(debug_assertions)]
#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_one_set_is_shown_and_stops_no_other() {
    let world = World::new().await;
    let mut controller = world.controller().await;
    controller.apply(spec("bad", 1)).await;
    controller.apply(spec("good", 1)).await;
    let (bad, good) = (controller.until_healthy("bad").await, controller.until_healthy("good").await);
    controller.stop().await;
    exhaust_epochs(world.folder.path(), &bad.uid).await;
    world.core.steal(&bad.slots[0].workload_id);

    let mut controller = world.controller().await;
    let message = |set: &ReplicaSet| set.status.clone().unwrap_or_default().message;
    let told = |set: &ReplicaSet| message(set).contains("its worker panicked") && message(set).contains("overflow");
    controller.until("bad", "told why", told).await;
    world.core.kill(&good.slots[0].workload_id);
    controller.until("good", "mended", |set| set.slots[0].epoch == 2 && phase(set) == "healthy").await;
    // The worker was started again more than once, and works as soon as nothing makes it panic.
    controller.until("bad", "tried again", |set| message(set).contains("for 400ms")).await;
    controller.api.scale(ScaleRequest { name: "bad".into(), count: 0 }).await.expect("it is scaled");
    controller.until("bad", "well", |set| phase(set) == "healthy" && !message(set).contains("panicked")).await;
    let remove = RemoveRequest { name: "bad".into(), keep_workloads: false };
    controller.api.remove(remove).await.expect("it is removed");
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_core_is_still_bringing_up_has_not_ended() {
    let world = World::new().await;
    world.core.faults(|faults| faults.unreported = true);
    let mut controller = world.controller().await;
    let mut patient = spec("web", 1);
    patient.strategy.as_mut().expect("it has one").healthy_deadline_ms = 60_000;
    controller.apply(patient).await;
    eventually("it is made", || world.ids().len() == 1).await;
    let id = world.ids().into_iter().next().expect("it is made");
    world.core.set_state(&id, "created");
    world.core.report(&id, |status| status.reason = "not started yet".into());
    // Another set goes through a whole life meanwhile: what was to be done about the first one is done by then.
    world.core.faults(|faults| faults.unreported = false);
    controller.apply(spec("other", 1)).await;
    let other = controller.until_healthy("other").await;
    world.core.kill(&other.slots[0].workload_id);
    controller.until("other", "mended", |set| set.slots[0].epoch == 2 && phase(set) == "healthy").await;
    assert!(world.ids().contains(&id), "{:?}", world.core.calls().removes);
    world.core.set_state(&id, "running");
    world.core.report(&id, |status| (status.running, status.healthy) = (true, true));
    let set = controller.until_healthy("web").await;
    assert_eq!((set.slots[0].epoch, set.slots[0].failures, &set.slots[0].workload_id), (1, 0, &id));
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_creates_are_few_shown_and_tried_again() {
    let world = World::new().await;
    world.core.faults(|faults| faults.refuse_create = Some("no room on any node".into()));
    let mut controller = world.controller().await;
    controller.apply(spec("web", 50)).await;
    let told =
        |set: &ReplicaSet| set.slots.iter().any(|slot| slot.reason == "no room on any node" && slot.failures > 0);
    controller.until("web", "told why", told).await;
    let calls = world.core.calls().creates.len();
    assert!(calls < 10, "{calls} calls for one mistake");
    world.core.faults(|faults| faults.refuse_create = None);
    controller.until_healthy("web").await;
    assert_eq!(world.ids().len(), 50);
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_node_is_made_up_for_and_its_return_is_settled() {
    let world = World::new().await;
    let mut controller = world.controller().await;
    controller.apply(spec("web", 2)).await;
    let before = controller.until_healthy("web").await;
    world.core.set_node("n2", "ready");
    world.core.set_node("n1", "suspect");
    controller.until("web", "in doubt", |set| set.slots.iter().all(|slot| slot.state == "unknown")).await;
    assert_eq!(world.ids().len(), 2, "nothing is replaced yet");
    world.core.set_node("n1", "lost");
    let on_n2 = |set: &ReplicaSet| phase(set) == "healthy" && set.slots.iter().all(|slot| slot.nodename == "n2");
    controller.until("web", "on the other node", on_n2).await;
    assert_eq!(world.ids().len(), 4, "the lost ones stay on record");
    // The old ones have run longer, so they stay.
    world.core.set_node("n1", "ready");
    eventually("the surplus is gone", || world.ids().len() == 2).await;
    let after = controller.until_healthy("web").await;
    let ids = |set: &ReplicaSet| set.slots.iter().map(|slot| slot.workload_id.clone()).collect::<BTreeSet<_>>();
    assert_eq!(ids(&after), ids(&before));
    assert!(world.core.calls().removes.iter().all(|remove| remove.healthy_min == 2 && remove.owner == before.uid));
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_spec_is_rolled_and_a_bad_one_stops() {
    let world = World::new().await;
    let mut controller = world.controller().await;
    controller.apply(spec("web", 3)).await;
    controller.until_healthy("web").await;
    let set = controller.apply(with_command(spec("web", 3), "serve --new")).await;
    assert_eq!(set.generation, 2);
    let rolled = |set: &ReplicaSet| phase(set) == "healthy" && set.slots.iter().all(|slot| slot.generation == 2);
    controller.until("web", "rolled", rolled).await;
    world.core.faults(|faults| faults.unhealthy = true);
    controller.apply(with_command(spec("web", 3), "serve --broken")).await;
    let set = controller.until("web", "stopped", |set| phase(set) == "stalled").await;
    let status = set.status.expect("it has one");
    assert!(status.message.contains("generation 3 stopped at slot 0: did not become healthy in time"), "{status:?}");
    assert_eq!(set.slots.iter().filter(|slot| slot.healthy && slot.generation == 2).count(), 3, "the old ones go on");
    // What ends now is made of the generation that worked.
    world.core.faults(|faults| faults.unhealthy = false);
    world.core.kill(&set.slots[2].workload_id);
    let mended = |set: &ReplicaSet| set.slots[2].healthy && set.slots[2].epoch > 2 && set.slots[2].generation == 2;
    controller.until("web", "mended", mended).await;
    controller.apply(with_command(spec("web", 3), "serve --fixed")).await;
    let rolled = |set: &ReplicaSet| phase(set) == "healthy" && set.slots.iter().all(|slot| slot.generation == 4);
    controller.until("web", "rolled", rolled).await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_twice_scale_and_remove() {
    let world = World::new().await;
    let mut controller = world.controller().await;
    let mut watch = controller.api.watch(WatchRequest { name: "web".into() }).await.unwrap().into_inner();
    let first = controller.apply(spec("web", 2)).await;
    let again = controller.apply(spec("web", 2)).await;
    assert_eq!((first.generation, again.generation, &first.uid), (1, 1, &again.uid));
    controller.until_healthy("web").await;

    let scale = |count| ScaleRequest { name: "web".into(), count };
    let set = controller.api.scale(scale(4)).await.unwrap().into_inner();
    assert_eq!((set.generation, set.spec.unwrap().count), (2, 4));
    // The answer may be older than the worker's next look, and says nothing of the new wish that was true of the old one.
    let status = set.status.unwrap();
    assert_eq!((status.want, status.phase.as_str()), (4, "starting"), "{}", status.message);
    assert!(status.message.ends_with(" of 4 healthy"), "{}", status.message);
    controller.until("web", "larger", |set| phase(set) == "healthy" && set.slots.len() == 4).await;
    controller.api.scale(scale(1)).await.unwrap();
    controller.until("web", "smaller", |set| phase(set) == "healthy" && set.slots.len() == 1).await;
    assert_eq!(world.epochs(), ["1"], "scaling replaces nothing");

    let stale = ApplyRequest { spec: Some(spec("web", 3)), expect_generation: 2 };
    let refused = controller.api.apply(stale).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(refused.message(), "replicaset \"web\" is of generation 3, not 2; read it again");

    let id = world.ids().into_iter().next().unwrap();
    let removed = controller.api.remove(RemoveRequest { name: "web".into(), keep_workloads: false }).await.unwrap();
    assert_eq!(removed.into_inner().removed_ids, [id]);
    assert!(world.ids().is_empty());
    let gone = controller.api.get(GetRequest { name: "web".into() }).await.unwrap_err();
    assert_eq!((gone.code(), gone.message()), (Code::NotFound, "replicaset \"web\" not found"));

    // The stream begins with the set and ends its story with `removed`.
    let last = loop {
        let set = tokio::time::timeout(PATIENCE, watch.message()).await.unwrap().unwrap().unwrap();
        assert_eq!(set.uid, first.uid);
        if phase(&set) == "removed" {
            break set;
        }
    };
    assert!(last.removing);

    // The same name is a new set.
    let reborn = controller.apply(spec("web", 1)).await;
    assert_ne!(reborn.uid, first.uid);
    controller.until_healthy("web").await;
    let kept = RemoveRequest { name: "web".into(), keep_workloads: true };
    assert!(controller.api.remove(kept).await.unwrap().into_inner().removed_ids.is_empty());
    assert_eq!(world.ids().len(), 1);
    assert!(controller.api.list(ListRequest {}).await.unwrap().into_inner().sets.is_empty());
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_by_name_and_leaves_nothing() {
    let world = World::new().await;
    let mut controller = world.controller().await;
    let api = &mut controller.api;
    let refusals = [
        api.apply(ApplyRequest::default()).await.unwrap_err(),
        api.apply(ApplyRequest { spec: Some(spec("web", 1)), expect_generation: -1 }).await.unwrap_err(),
        api.apply(ApplyRequest { spec: Some(spec("../web", 1)), expect_generation: 0 }).await.unwrap_err(),
        api.apply(ApplyRequest { spec: Some(spec("web", i32::MIN)), expect_generation: 0 }).await.unwrap_err(),
        api.get(GetRequest::default()).await.unwrap_err(),
        api.get(GetRequest { name: "x".repeat(1 << 20) }).await.unwrap_err(),
        api.scale(ScaleRequest::default()).await.unwrap_err(),
        api.scale(ScaleRequest { name: "web".into(), count: -1 }).await.unwrap_err(),
        api.scale(ScaleRequest { name: "web".into(), count: 10_001 }).await.unwrap_err(),
        api.remove(RemoveRequest::default()).await.unwrap_err(),
        api.watch(WatchRequest { name: "a/b".into() }).await.unwrap_err(),
    ];
    for refusal in refusals {
        assert_eq!(refusal.code(), Code::InvalidArgument, "{refusal:?}");
        assert!(!refusal.message().is_empty() && refusal.message().len() < 400, "{refusal:?}");
    }
    for refusal in [
        api.scale(ScaleRequest { name: "web".into(), count: 1 }).await.unwrap_err(),
        api.remove(RemoveRequest { name: "web".into(), keep_workloads: false }).await.unwrap_err(),
    ] {
        assert_eq!(refusal.code(), Code::NotFound, "{refusal:?}");
    }
    assert!(api.list(ListRequest {}).await.unwrap().into_inner().sets.is_empty());
    assert!(world.core.calls().creates.is_empty());
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_controller_on_the_folder_is_refused() {
    let world = World::new().await;
    let controller = world.controller().await;
    let options = ControllerOptions {
        core: vec![world.core_address.clone()],
        client: ClientOptions::default(),
        listen: "127.0.0.1:0".parse().unwrap(),
        store: StoreChoice::Folder(world.folder.path().to_owned()),
        identity: "second".into(),
    };
    let refused = Controller::build(options).await.err().expect("the folder is locked");
    assert!(matches!(refused, Error::Store(eru_kv::Error::Locked(_))), "{refused:?}");
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_controllers_one_leads_and_the_other_takes_over() {
    let world = World::new().await;
    let kv: Arc<dyn Kv> = Embedded::open(world.folder.path(), EmbeddedOptions::default()).unwrap();
    let store = || StoreChoice::Kv { kv: kv.clone(), leadership: Leadership::Leased { ttl: Duration::from_secs(2) } };
    let mut first = start_on(store(), &world.core_address).await.leading().await;
    first.apply(spec("web", 2)).await;
    let before = first.until_healthy("web").await;
    let mut second = start_on(store(), &world.core_address).await;
    for refused in [
        second.running.api.list(ListRequest {}).await.map(|_| ()).unwrap_err(),
        second
            .running
            .api
            .apply(ApplyRequest { spec: Some(spec("x", 1)), expect_generation: 0 })
            .await
            .map(|_| ())
            .unwrap_err(),
    ] {
        assert_eq!(refused.code(), Code::Unavailable, "{refused:?}");
        assert!(refused.message().contains("does not lead"), "{refused:?}");
    }
    first.stop().await;
    let mut second = second.leading().await;
    let after = second.until_healthy("web").await;
    assert_eq!((&after.uid, &after.slots), (&before.uid, &before.slots));
    world.core.kill(&after.slots[0].workload_id);
    second.until("web", "mended", |set| set.slots[0].epoch == 2 && phase(set) == "healthy").await;
    // A change of leaders makes and removes nothing; the new one's acts are of a later term.
    let epochs: Vec<i64> = world.core.calls().creates.iter().map(|create| create.owner_epoch).collect();
    assert_eq!(epochs, [1, 1, 2]);
    second.stop().await;
    kv.close().await.unwrap();
}

/// Measures from the moment that core's stream has a death until the create for it arrives. A figure, not a proof: run it
/// with `--ignored --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures; run it alone"]
async fn reaction_time() {
    let world = World::new().await;
    let mut controller = world.controller().await;
    controller.apply(spec("web", 100)).await;
    let set = controller.until_healthy("web").await;
    let mut times = Vec::new();
    for slot in &set.slots {
        let before = world.core.calls().creates.len();
        let killed = Instant::now();
        world.core.kill(&slot.workload_id);
        while world.core.calls().creates.len() == before {
            tokio::task::yield_now().await;
        }
        times.push(killed.elapsed());
    }
    times.sort_unstable();
    println!(
        "p50 {:?}, p99 {:?}, most {:?}",
        times[times.len() / 2],
        times[times.len() * 99 / 100],
        times[times.len() - 1]
    );
    controller.stop().await;
}
