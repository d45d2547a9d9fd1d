//! What a core refuses is counted, and holds up no removal.

use crate::fake_core::Poison;
use crate::world::{PATIENCE, World, eventually, phase, spec, start, with_command};
use eru_api::controller::{RemoveRequest, ReplicaSet, ScaleRequest};
use tonic::Code;

/// Where a core begins with an instance and cannot start it, there was room for it: to make more is no remedy.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_started_is_counted_also_while_others_of_its_set_are_removed() {
    let world = World::new().await;
    let mut controller = world.controller().await;
    controller.apply(spec("web", 3)).await;
    controller.until_healthy("web").await;
    world.core.faults(|faults| {
        faults.hold_removes = true;
        faults.stillborn = Some("no such command".to_owned());
    });
    let set = controller.api.scale(ScaleRequest { name: "web".into(), count: 2 }).await.expect("it is scaled");
    let leaving = |set: &ReplicaSet| set.slots.len() == 2;
    let set = controller.until(&set.into_inner().spec.expect("it has one").name, "smaller", leaving).await;
    let victim = set.slots[0].clone();
    world.core.kill(&victim.workload_id);
    let counted = |set: &ReplicaSet| {
        let slot = set.slots.iter().find(|slot| slot.slot == victim.slot).expect("it is there");
        slot.failures > 3 && slot.retry_at_ms > 0 && slot.reason.contains("no such command")
    };
    controller.until("web", "counted", counted).await;
    let tried = world.core.calls().creates.len() - 3;
    assert!(tried <= 5, "{tried} creates, without a wait between them");
    world.core.faults(|faults| (faults.hold_removes, faults.stillborn) = (false, None));
    controller.until("web", "healthy", |set| phase(set) == "healthy" && set.slots.len() == 2).await;
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_whose_creates_wait_is_removed_at_once() {
    let world = World::new().await;
    let mut controller = world.controller().await;
    world.core.faults(|faults| faults.refuse_create = Some("no room".to_owned()));
    controller.apply(spec("web", 40)).await;
    // By then those that follow wait for some time.
    eventually("some are refused", || world.core.calls().creates.len() > 4).await;
    let remove = controller.api.remove(RemoveRequest { name: "web".into(), keep_workloads: false });
    tokio::time::timeout(PATIENCE, remove).await.expect("it does not take long").expect("it is removed");
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_generation_that_works_is_not_forgotten_before_it_is_known_to() {
    let world = World::new().await;
    let mut controller = world.controller().await;
    controller.apply(with_command(spec("web", 2), "works")).await;
    controller.until_healthy("web").await;
    // Once all are of the second generation it is known of it that it works.
    controller.apply(with_command(spec("web", 2), "works too")).await;
    let rolled = |set: &ReplicaSet| phase(set) == "healthy" && set.slots.iter().all(|slot| slot.generation == 2);
    controller.until("web", "rolled", rolled).await;
    world.core.faults(|faults| faults.poison = [("fails".to_owned(), Poison::Code(Code::InvalidArgument))].into());
    controller.apply(with_command(spec("web", 2), "fails")).await;
    let failing = |set: &ReplicaSet| set.slots.iter().any(|slot| slot.failures > 2);
    controller.until("web", "failing", failing).await;
    controller.stop().await;
    // The next one hears of no core, and so does not know what is made of what.
    let mut blind = start(world.folder.path(), "127.0.0.1:1").await;
    for count in 3..150 {
        blind.api.scale(ScaleRequest { name: "web".into(), count }).await.expect("it is scaled");
    }
    blind.api.scale(ScaleRequest { name: "web".into(), count: 2 }).await.expect("it is scaled");
    blind.stop().await;
    let mut controller = world.controller().await;
    let failing = |set: &ReplicaSet| set.slots.iter().any(|slot| slot.failures > 2 && slot.healthy);
    let set = controller.until("web", "failing", failing).await;
    let victim = set.slots.iter().find(|slot| slot.failures == 0).unwrap_or(&set.slots[0]);
    world.core.kill(&victim.workload_id);
    let mended = |set: &ReplicaSet| {
        let is = set.slots.iter().find(|slot| slot.slot == victim.slot).expect("it is there");
        is.healthy && is.epoch > victim.epoch && is.generation == 2
    };
    controller.until("web", "mended", mended).await;
    controller.stop().await;
}
