//! Many instances, many commands, little room, a restless node.

use crate::world::{PATIENCE, World, eventually, phase, spec};
use eru_api::controller::{ApplyRequest, ListRequest, ReplicaSet};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_acts_on_nothing_before_it_has_seen_all() {
    const SETS: usize = 20;
    const COUNT: i32 = 30;
    let world = World::new().await;
    let names: Vec<String> = (0..SETS).map(|number| format!("web{number}")).collect();
    let mut controller = world.controller().await;
    for name in &names {
        controller.apply(spec(name, COUNT)).await;
    }
    for name in &names {
        controller.until_healthy(name).await;
    }
    controller.stop().await;
    let made = world.core.calls().creates.len();
    for _ in 0..5 {
        // The nodes are known before the first workload is.
        world.core.faults(|faults| faults.nodes_first = true);
        let mut controller = world.controller().await;
        for name in &names {
            controller.until_healthy(name).await;
        }
        controller.stop().await;
        assert_eq!(world.core.calls().creates.len(), made, "it has made what it has not seen yet");
        assert!(world.core.calls().removes.is_empty());
    }
    assert_eq!(world.ids().len(), made);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_stops_while_it_is_commanded() {
    let world = World::new().await;
    for _ in 0..10 {
        let mut controller = world.controller().await;
        let commanders: Vec<_> = (0..8)
            .map(|number| {
                let mut api = controller.api.clone();
                tokio::spawn(async move {
                    for count in 0.. {
                        let spec = Some(spec(&format!("web{number}"), count % 2));
                        if api.apply(ApplyRequest { spec, expect_generation: 0 }).await.is_err() {
                            return count;
                        }
                    }
                    unreachable!("it ends with the controller")
                })
            })
            .collect();
        while controller.api.list(ListRequest {}).await.expect("it leads").into_inner().sets.is_empty() {}
        tokio::time::timeout(PATIENCE, controller.stop()).await.expect("it stops although commands come");
        for commander in commanders {
            tokio::time::timeout(PATIENCE, commander).await.expect("everybody is answered").expect("it does not panic");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_room_for_both_the_ended_one_makes_room_first() {
    let world = World::new().await;
    let mut controller = world.controller().await;
    controller.apply(spec("web", 3)).await;
    let set = controller.until_healthy("web").await;
    world.core.faults(|faults| faults.room = 3);
    for slot in &set.slots {
        world.core.kill(&slot.workload_id);
    }
    let mended = |set: &ReplicaSet| phase(set) == "healthy" && set.slots.iter().all(|slot| slot.epoch == 2);
    let set = controller.until("web", "mended", mended).await;
    // Only the kill is counted: to be refused for want of room that is just being made is no failure.
    assert!(set.slots.iter().all(|slot| slot.failures == 1), "{set:#?}");
    assert_eq!(world.ids().len(), 3);
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ended_instance_is_cleared_away_while_its_replacement_hangs() {
    let world = World::new().await;
    let mut controller = world.controller().await;
    controller.apply(spec("web", 2)).await;
    let set = controller.until_healthy("web").await;
    world.core.faults(|faults| faults.hold_creates = true);
    world.core.kill(&set.slots[0].workload_id);
    eventually("the replacement is asked for", || world.core.calls().creates.len() == 3).await;
    eventually("the ended one is gone", || world.core.calls().removes.len() == 1).await;
    world.core.faults(|faults| faults.hold_creates = false);
    controller.until("web", "mended", |set| phase(set) == "healthy" && set.slots[0].epoch == 2).await;
    tokio::time::timeout(Duration::from_secs(5), controller.stop()).await.expect("it stops");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_comes_and_goes_makes_no_heap_of_instances() {
    const COUNT: usize = 3;
    let world = World::new().await;
    let mut controller = world.controller().await;
    controller.apply(spec("web", COUNT as i32)).await;
    let before = controller.until_healthy("web").await;
    world.core.set_node("n2", "ready");
    for round in 0..30 {
        world.core.set_node("n1", "lost");
        if round % 3 == 0 {
            // Seen as lost in between, for once.
            let gone = |set: &ReplicaSet| set.slots.iter().all(|slot| slot.nodename != "n1");
            controller.until("web", "without the node", gone).await;
        }
        world.core.set_node("n1", "ready");
        // Each slot has the copy that was lost and one that replaces it, never a third.
        assert!(world.ids().len() <= 2 * COUNT, "{:?}", world.ids());
    }
    eventually("the surplus is gone", || world.ids().len() == COUNT).await;
    let after = controller.until_healthy("web").await;
    let ids = |set: &ReplicaSet| set.slots.iter().map(|slot| slot.workload_id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&after), ids(&before), "those that have run for longest stay");
    assert!(after.slots.iter().all(|slot| slot.failures == 0), "{after:#?}");
    controller.stop().await;
}
