//! One set's trouble is its own: it is told of, tried again, and stops no other.

use crate::fake_core::Poison;
use crate::world::{PATIENCE, Running, World, eventually, phase, spec, start_on, with_command};
use eru_api::controller::{ApplyRequest, Condition, RemoveRequest, ReplicaSet};
use eru_controller::{Leadership, StoreChoice};
use eru_kv::{
    Durability, Embedded, EmbeddedOptions, GuardedPut, KeyRange, Kv, LeaseId, Op, PutOutcome, RangeOptions, RangeReply,
    Revision, StoreIdentity, Txn, TxnReply, Watch,
};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tonic::Code;

fn condition<'a>(set: &'a ReplicaSet, reason: &str) -> Option<&'a Condition> {
    set.status.as_ref()?.conditions.iter().find(|condition| condition.reason == reason)
}

fn message(set: &ReplicaSet) -> &str {
    set.status.as_ref().map_or("", |status| &status.message)
}

/// The others are looked after: what ends in this set is replaced at once.
async fn mends(world: &World, controller: &mut Running, name: &str) {
    let before = controller.until_healthy(name).await;
    for slot in &before.slots {
        world.core.kill(&slot.workload_id);
    }
    let is_next = |set: &ReplicaSet| set.slots.iter().zip(&before.slots).all(|(is, was)| is.epoch == was.epoch + 1);
    controller.until(name, "mended", |set| phase(set) == "healthy" && is_next(set)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_core_does_to_one_set_is_told_and_stops_no_other() {
    let poisons = [
        ("invalid", Poison::Code(Code::InvalidArgument)),
        ("exhausted", Poison::Code(Code::ResourceExhausted)),
        ("no", Poison::No),
        ("internal", Poison::Code(Code::Internal)),
        ("unavailable", Poison::Code(Code::Unavailable)),
        ("torn", Poison::Torn(Code::Internal)),
        ("empty", Poison::Empty),
        ("lie", Poison::Lie),
        ("hang", Poison::Hang),
        ("open", Poison::HangOpen),
    ];
    let world = World::new().await;
    let mut controller = world.controller().await;
    controller.apply(spec("good", 3)).await;
    controller.until_healthy("good").await;
    world.core.faults(|faults| faults.poison = poisons.map(|(name, poison)| (name.to_owned(), poison)).into());
    for (name, _) in poisons {
        controller.apply(spec(name, 2)).await;
    }
    mends(&world, &mut controller, "good").await;

    for name in ["invalid", "exhausted", "no"] {
        let told = |set: &ReplicaSet| {
            let slot = set.slots.iter().find(|slot| slot.failures > 2 && slot.retry_at_ms > 0);
            slot.is_some_and(|slot| slot.reason.starts_with(&format!("{name} is refused")))
        };
        let set = controller.until(name, "told of", told).await;
        assert!(message(&set).contains(&format!("{name} is refused")), "{set:#?}");
        let clean = |text: &str| text.len() < 1024 && !text.chars().any(char::is_control);
        assert!(clean(message(&set)) && set.slots.iter().all(|slot| clean(&slot.reason)), "{set:#?}");
    }
    for (name, text) in [
        ("internal", "internal is refused"),
        ("unavailable", "unavailable is refused"),
        ("torn", "torn is torn"),
        ("empty", "the core ended the answer before its result"),
    ] {
        let told = |set: &ReplicaSet| condition(set, "create-failed").is_some_and(|c| c.failures > 2);
        let set = controller.until(name, "told of", told).await;
        let condition = condition(&set, "create-failed").expect("it is told of");
        assert!(condition.text.contains(text) && message(&set).contains(text), "{set:#?}");
        assert!(condition.retry_at_ms > condition.since_ms && condition.since_ms > 0, "{condition:?}");
        assert!(set.slots.iter().any(|slot| slot.reason.contains(text) && slot.retry_at_ms > 0), "{set:#?}");
    }
    for name in ["hang", "open"] {
        let told = |set: &ReplicaSet| condition(set, "create-unanswered").is_some();
        let set = controller.until(name, "told of", told).await;
        assert!(set.slots.iter().any(|slot| slot.reason.contains("has not answered")), "{set:#?}");
        // One that hangs does not hold up the others of its set for ever.
        let tried = || world.core.calls().creates.iter().filter(|create| create.labels["replicaset"] == name).count();
        eventually("the second one is tried", || tried() == 2).await;
    }
    mends(&world, &mut controller, "good").await;

    // Nothing is given up: what is well again is made.
    world.core.faults(|faults| faults.poison.clear());
    for (name, _) in poisons.into_iter().filter(|(name, _)| !["hang", "open", "lie"].contains(name)) {
        let set = controller.until_healthy(name).await;
        assert!(set.status.expect("it has one").conditions.is_empty(), "{name}");
    }
    // A controller that stops does not wait for what hangs, and the next one asks for it again.
    tokio::time::timeout(PATIENCE, controller.stop()).await.expect("it stops");
    let mut controller = world.controller().await;
    for (name, _) in poisons {
        controller.until_healthy(name).await;
    }
    assert_eq!(world.ids().len(), 3 + 2 * poisons.len());
    controller.stop().await;
}

/// Writes records as another build, or an accident, may have.
async fn write(folder: &Path, key: &str, value: String) {
    let kv = Embedded::open(folder, EmbeddedOptions::default()).expect("it opens");
    let put = Op::put(key.to_owned(), value);
    kv.txn(Txn { then: vec![put], ..Txn::default() }, Durability::Durable).await.expect("it is written");
    kv.close().await.expect("it closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_is_too_large_is_told_of_and_stops_nothing() {
    let world = World::new().await;
    let mut controller = world.controller().await;
    controller.apply(spec("bad", 2)).await;
    controller.apply(spec("good", 1)).await;
    let bad = controller.until_healthy("bad").await;
    controller.stop().await;
    // A newer build has stored more of its progress than this one can write back.
    let progress = format!(r#"{{"version":1,"stable_generation":0,"more":"{}"}}"#, "x".repeat(900_000));
    write(world.folder.path(), &format!("/controller/progress/{}", bad.uid), progress).await;

    let mut controller = world.controller().await;
    let told = |set: &ReplicaSet| condition(set, "store-failed").is_some_and(|c| c.failures > 2 && c.retry_at_ms > 0);
    let set = controller.until("bad", "told of", told).await;
    assert!(message(&set).contains("at most 700000 are stored"), "{set:#?}");
    mends(&world, &mut controller, "good").await;
    // Even this set is looked after: nothing else depends on that record.
    mends(&world, &mut controller, "bad").await;
    controller.api.remove(RemoveRequest { name: "bad".into(), keep_workloads: false }).await.expect("it is removed");
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_whose_record_cannot_be_read_is_left_alone() {
    let world = World::new().await;
    let mut controller = world.controller().await;
    controller.apply(spec("bad", 1)).await;
    controller.apply(spec("good", 1)).await;
    controller.until_healthy("bad").await;
    controller.stop().await;
    write(world.folder.path(), "/controller/set/bad", r#"{"version":9}"#.to_owned()).await;
    let mut controller = world.controller().await;
    mends(&world, &mut controller, "good").await;
    // A second set in its place would make everything twice.
    let request = ApplyRequest { spec: Some(spec("bad", 1)), expect_generation: 0 };
    let refused = controller.api.apply(request).await.expect_err("it is refused");
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert!(refused.message().contains("version 9 is newer than this build's 1"), "{refused:?}");
    eventually("there is one of each", || world.ids().len() == 2).await;
    controller.stop().await;
}

/// A store that refuses writes to what begins with a prefix.
struct Stubborn {
    kv: Arc<dyn Kv>,
    refuses: Mutex<Option<String>>,
}

impl Stubborn {
    fn refuse(&self, prefix: Option<&str>) {
        *self.refuses.lock().expect("no test panics with it") = prefix.map(str::to_owned);
    }
}

#[tonic::async_trait]
impl Kv for Stubborn {
    fn identity(&self) -> StoreIdentity {
        self.kv.identity()
    }
    async fn revision(&self) -> eru_kv::Result<Revision> {
        self.kv.revision().await
    }
    async fn range(&self, range: &KeyRange, options: RangeOptions) -> eru_kv::Result<RangeReply> {
        self.kv.range(range, options).await
    }
    async fn txn(&self, txn: Txn, durability: Durability) -> eru_kv::Result<TxnReply> {
        let prefix = self.refuses.lock().expect("no test panics with it").clone();
        let is_refused = |op: &Op| match (op, &prefix) {
            (Op::Put { key, .. }, Some(prefix)) => key.starts_with(prefix.as_bytes()),
            (Op::Delete(range), Some(prefix)) => range.start.starts_with(prefix.as_bytes()),
            _ => false,
        };
        if txn.then.iter().any(is_refused) {
            return Err(eru_kv::Error::Storage("this page is bad".to_owned()));
        }
        self.kv.txn(txn, durability).await
    }
    async fn put_each(&self, puts: Vec<GuardedPut>, durability: Durability) -> eru_kv::Result<Vec<PutOutcome>> {
        self.kv.put_each(puts, durability).await
    }
    async fn lease_grant(&self, ttl: Duration) -> eru_kv::Result<LeaseId> {
        self.kv.lease_grant(ttl).await
    }
    async fn lease_keep_alive(&self, lease: LeaseId) -> eru_kv::Result<Duration> {
        self.kv.lease_keep_alive(lease).await
    }
    async fn lease_time_to_live(&self, lease: LeaseId) -> eru_kv::Result<Option<(Duration, Duration)>> {
        self.kv.lease_time_to_live(lease).await
    }
    async fn lease_revoke(&self, lease: LeaseId) -> eru_kv::Result<()> {
        self.kv.lease_revoke(lease).await
    }
    async fn watch(&self, range: KeyRange, from: Revision) -> eru_kv::Result<Watch> {
        self.kv.watch(range, from).await
    }
    async fn request_progress(&self) -> eru_kv::Result<()> {
        self.kv.request_progress().await
    }
    async fn compact(&self, revision: Revision) -> eru_kv::Result<()> {
        self.kv.compact(revision).await
    }
    async fn close(&self) -> eru_kv::Result<()> {
        self.kv.close().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_cannot_be_stored_does_nothing_until_it_can() {
    let world = World::new().await;
    let kv = Embedded::open(world.folder.path(), EmbeddedOptions::default()).expect("it opens");
    let kv = Arc::new(Stubborn { kv, refuses: Mutex::default() });
    let store = StoreChoice::Kv { kv: kv.clone(), leadership: Leadership::Alone };
    let mut controller = start_on(store, &world.core_address).await.leading().await;
    controller.apply(spec("good", 2)).await;
    let bad = controller.apply(spec("bad", 2)).await;
    controller.until_healthy("bad").await;

    kv.refuse(Some(&format!("/controller/slot/{}", bad.uid)));
    let made = || world.core.calls().creates.iter().filter(|create| create.labels["replicaset"] == "bad").count();
    let set = controller.until_healthy("bad").await;
    world.core.kill(&set.slots[0].workload_id);
    let told = |set: &ReplicaSet| condition(set, "store-failed").is_some_and(|c| c.failures > 2);
    let set = controller.until("bad", "told of", told).await;
    assert!(message(&set).contains("this page is bad"), "{set:#?}");
    assert_eq!(made(), 2, "nothing is created that is not on record");
    mends(&world, &mut controller, "good").await;
    kv.refuse(None);
    let set = controller.until("bad", "mended", |set| phase(set) == "healthy" && set.slots[0].epoch == 2).await;
    assert!(set.status.expect("it has one").conditions.is_empty());

    // The same for the end of a set: it is tried again until its record is gone, and who waits is told everything.
    kv.refuse(Some("/controller/set/bad"));
    eventually("the ended one is gone", || world.ids().len() == 4).await;
    let ids = world.core.workloads().into_iter().filter(|w| w.owner == bad.uid).map(|w| w.id).collect::<Vec<_>>();
    let mut api = controller.api.clone();
    let refused = api.remove(RemoveRequest { name: "bad".into(), keep_workloads: false }).await;
    assert!(refused.expect_err("the wish cannot be stored").message().contains("this page is bad"));
    kv.refuse(Some(&format!("/controller/progress/{}", bad.uid)));
    let remove =
        tokio::spawn(async move { api.remove(RemoveRequest { name: "bad".into(), keep_workloads: false }).await });
    let told = |set: &ReplicaSet| set.removing && condition(set, "store-failed").is_some_and(|c| c.failures > 1);
    controller.until("bad", "told of", told).await;
    mends(&world, &mut controller, "good").await;
    kv.refuse(None);
    let removed = tokio::time::timeout(PATIENCE, remove).await.expect("it ends").expect("it does not panic");
    let mut removed = removed.expect("it is removed").into_inner().removed_ids;
    removed.sort();
    assert_eq!(removed, ids);
    controller.stop().await;
    kv.close().await.expect("it closes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removal_that_fails_is_told_of_and_tried_again() {
    let world = World::new().await;
    let mut controller = world.controller().await;
    controller.apply(spec("web", 2)).await;
    let set = controller.until_healthy("web").await;
    world.core.faults(|faults| faults.refuse_remove.extend([("web".into(), "the disk is busy".into())]));
    world.core.kill(&set.slots[0].workload_id);
    let told = |set: &ReplicaSet| condition(set, "remove-failed").is_some_and(|c| c.failures > 1 && c.retry_at_ms > 0);
    let set = controller.until("web", "told of", told).await;
    assert!(message(&set).contains("the disk is busy") && set.slots.iter().all(|slot| slot.healthy), "{set:#?}");
    assert_eq!(world.ids().len(), 3);
    world.core.faults(|faults| faults.refuse_remove.clear());
    let healed = |set: &ReplicaSet| set.status.as_ref().is_some_and(|status| status.conditions.is_empty());
    controller.until("web", "healed", healed).await;
    assert_eq!(world.ids().len(), 2);
    controller.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spec_that_cannot_be_made_takes_nothing_from_the_one_that_works() {
    let world = World::new().await;
    let mut controller = world.controller().await;
    for (name, poison) in [
        ("refused", Poison::Code(Code::InvalidArgument)),
        ("failing", Poison::Code(Code::Internal)),
        ("hanging", Poison::Hang),
    ] {
        controller.apply(with_command(spec(name, 3), "works")).await;
        controller.until_healthy(name).await;
        // It has to be known that it works, which is a moment later.
        controller.apply(with_command(spec(name, 3), "works too")).await;
        let rolled = |set: &ReplicaSet| phase(set) == "healthy" && set.slots.iter().all(|slot| slot.generation == 2);
        controller.until(name, "rolled", rolled).await;
        world.core.faults(|faults| faults.poison.extend([(format!("poison {name}"), poison)]));
        controller.apply(with_command(spec(name, 3), &format!("poison {name}"))).await;
        let told = |set: &ReplicaSet| match poison {
            Poison::Hang => condition(set, "create-unanswered").is_some(),
            Poison::Code(Code::Internal) => condition(set, "create-failed").is_some_and(|c| c.failures > 2),
            _ => set.slots.iter().any(|slot| slot.failures > 2),
        };
        let set = controller.until(name, "in doubt", told).await;
        // The slot that is being updated has an open create, whose fate is not known.
        let victim = &set.slots[2];
        assert!(victim.healthy, "{set:#?}");
        world.core.kill(&victim.workload_id);
        let mended = |set: &ReplicaSet| set.slots[2].healthy && set.slots[2].epoch > victim.epoch;
        let set = controller.until(name, "mended", mended).await;
        assert_eq!(set.slots[2].generation, 2, "{set:#?}");
        assert!(set.slots.iter().all(|slot| slot.healthy), "{set:#?}");
    }
    controller.stop().await;
}
