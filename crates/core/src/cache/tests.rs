//! The cache from its front door.

use super::{testing::*, *};
use crate::{
    keys,
    record::{PlacementState::*, Verdict},
    watch::TombstoneLimits,
};
use bytes::Bytes;
use eru_kv::{LeaseId, Revision};
use eru_types::{AppName, EntrypointName, Labels, MemoryBytes, PodName};
use std::time::Duration;

fn world() -> World {
    let mut world = World::new(TombstoneLimits::default());
    world.pod("p1").node("n1").node("n2").send();
    world
}

fn ids(views: &[std::sync::Arc<WorkloadView>]) -> Vec<String> {
    views.iter().map(|view| view.id().unwrap().to_string()).collect()
}

#[test]
fn what_a_node_gives_away_is_the_sum_over_its_placements() {
    let mut world = world();
    let n1 = node_name("n1");
    world.place("n1", "a_web_AAAAAA", Planned, None).place("n1", "a_web_BBBBBB", Running, Some("b1"));
    world.place("n1", "b_web_CCCCCC", Removing, Some("c1")).send();
    let node = world.cache.node(&n1).unwrap();
    assert_eq!((node.used.memory_request, node.placements_len), (MemoryBytes(30), 3), "whatever their state");
    assert_eq!(node.count(&AppName::new("a").unwrap(), &EntrypointName::new("web").unwrap()), 2);
    assert_eq!(world.cache.placements_of(&n1).len(), 3);
    // The same placement again takes nothing more.
    world.place("n1", "a_web_AAAAAA", Created, Some("a1")).send();
    assert_eq!(world.cache.node(&n1).unwrap().used.memory_request, MemoryBytes(30));
    world.remove("n1", "a_web_AAAAAA", Some("a1")).remove("n1", "a_web_BBBBBB", Some("b1"));
    world.remove("n1", "b_web_CCCCCC", Some("c1")).send();
    let node = world.cache.node(&n1).unwrap();
    assert_eq!((node.used.memory_request, node.placements_len, node.counts.len()), (MemoryBytes(0), 0, 0));
}

#[test]
fn a_node_comes_goes_and_is_scheduled_by_its_state() {
    let mut world = world();
    let n1 = node_name("n1");
    let look = |world: &World| {
        let node = world.cache.node(&n1).unwrap();
        (node.state(), node.available(), node.schedulable())
    };
    assert_eq!(look(&world), (NodeState::New, false, true), "a new node takes workloads");
    world.alive("n1", true).send();
    assert_eq!(look(&world), (NodeState::Ready, true, true));
    assert_eq!(world.cache.node(&n1).unwrap().alive_lease, LeaseId(7));
    world.alive("n1", false).send();
    assert_eq!(look(&world), (NodeState::Suspect, false, false));
    world.verdict("n1", Verdict::Lost, 1).send();
    assert_eq!(look(&world), (NodeState::Lost, false, false));
    let verdict_revision = world.alive("n1", true).verdict("n1", Verdict::Fine, 1).send();
    assert_eq!(look(&world), (NodeState::Ready, true, true));
    assert_eq!(world.cache.node(&n1).unwrap().verdict_revision, verdict_revision);
    world.delete(keys::node(&n1)).send();
    assert!(world.cache.node(&n1).is_none());
    let pod = PodName::new("p1").unwrap();
    let names: Vec<_> = world.cache.nodes(Some(&pod)).iter().map(|node| node.name().to_string()).collect();
    assert_eq!(names, ["n2"]);
    assert!(world.cache.nodes(Some(&PodName::new("p2").unwrap())).is_empty());
}

#[test]
fn versions_of_nodes_are_read() {
    let mut world = world();
    let n1 = node_name("n1");
    assert_eq!(world.cache.node(&n1).unwrap().version_revision, Revision(0));
    let revision = world.put_raw(keys::version(&n1), Bytes::from_static(b"1"), LeaseId(0)).send();
    assert_eq!(world.cache.node(&n1).unwrap().version_revision, revision);
}

#[test]
fn every_filter_works_alone_and_together() {
    let mut world = world();
    world.place_labelled("n1", "a_web_AAAAAA", Running, Some("a1"), "x");
    world.place_labelled("n2", "a_db_BBBBBB", Running, Some("a2"), "y");
    world.place_labelled("n2", "b_web_CCCCCC", Running, Some("b1"), "x");
    world.place("n2", "b_web_DDDDDD", Planned, None).send();
    let any = WorkloadFilter::default;
    let app = Some(AppName::new("a").unwrap());
    let entrypoint = Some(EntrypointName::new("web").unwrap());
    let node = Some(node_name("n2"));
    let label = |value: &str| Labels::new([("label".to_owned(), value.to_owned())].into()).unwrap();
    for (filter, want) in [
        (any(), &["a2", "a1", "b1"][..]),
        (WorkloadFilter { app: app.clone(), ..any() }, &["a2", "a1"]),
        (WorkloadFilter { entrypoint: entrypoint.clone(), ..any() }, &["a1", "b1"]),
        (WorkloadFilter { node: node.clone(), ..any() }, &["a2", "b1"]),
        (WorkloadFilter { labels: label("x"), ..any() }, &["a1", "b1"]),
        (WorkloadFilter { labels: label("z"), ..any() }, &[]),
        (WorkloadFilter { pod: Some(PodName::new("p1").unwrap()), ..any() }, &["a2", "a1", "b1"]),
        (WorkloadFilter { pod: Some(PodName::new("p2").unwrap()), ..any() }, &[]),
        (WorkloadFilter { owner: "somebody".into(), ..any() }, &[]),
        (WorkloadFilter { app: app.clone(), node: node.clone(), ..any() }, &["a2"]),
        (WorkloadFilter { app: app.clone(), entrypoint, node, labels: label("x"), ..any() }, &[]),
        (WorkloadFilter { app: Some(AppName::new("zz").unwrap()), ..any() }, &[]),
        (WorkloadFilter { node: Some(node_name("zz")), ..any() }, &[]),
    ] {
        assert_eq!(ids(&world.cache.workloads(&filter)), want, "{filter:?}");
    }
    assert_eq!(ids(&world.cache.workloads_by_prefix("a", 10)), ["a1", "a2"]);
    assert_eq!(ids(&world.cache.workloads_by_prefix("a", 1)), ["a1"]);
    assert!(world.cache.workloads_by_prefix("c", 10).is_empty());
    assert!(world.cache.workload_by_name(&workload_name("b_web_DDDDDD")).is_some(), "planned ones have a name");
    assert!(world.cache.workload(&id("zz")).is_none());
}

#[test]
fn what_does_not_decode_is_set_aside_and_fails_nothing() {
    let mut world = world();
    let key = keys::placement(&node_name("n1"), &workload_name("a_web_AAAAAA"));
    world.put_raw(key.clone(), Bytes::from_static(b"{"), LeaseId(0));
    world.put_raw(Bytes::from_static(b"/never/heard/of"), Bytes::from_static(b"{"), LeaseId(0)).send();
    assert_eq!(
        world.cache.set_aside().iter().map(|(key, _)| key.clone()).collect::<Vec<_>>(),
        std::slice::from_ref(&key)
    );
    assert!(world.cache.placements().is_empty());
    // A good value heals it, a bad one after it leaves the good one in force.
    world.place("n1", "a_web_AAAAAA", Running, Some("a1")).send();
    assert_eq!(world.cache.set_aside_len(), 0);
    world.put_raw(key.clone(), Bytes::from_static(b"[]"), LeaseId(0)).send();
    assert_eq!((world.cache.set_aside_len(), world.cache.placements().len()), (1, 1));
    // One that says that it is somebody else's is not believed either.
    let other = world.kvs[&keys::node(&node_name("n1"))].value.clone();
    world.put_raw(key.clone(), other, LeaseId(0)).send();
    assert_eq!((world.cache.set_aside_len(), world.cache.placements().len()), (1, 1));
    world.delete(key).send();
    assert_eq!((world.cache.set_aside_len(), world.cache.placements().len()), (0, 0));
}

#[test]
fn a_workload_is_shown_as_the_api_spells_it() {
    let mut world = world();
    world.alive("n1", true).place("n1", "a_web_AAAAAA", Running, Some("a1")).send();
    let bare = to_pb_workload(&world.cache.workload(&id("a1")).unwrap());
    let status = bare.status.unwrap();
    assert_eq!((status.id.as_str(), status.running, status.node_state.as_str()), ("", false, "ready"));
    assert!(bare.publish.is_empty());
    world.report("n1", "a1", true, 0).send();
    let shown = to_pb_workload(&world.cache.workload(&id("a1")).unwrap());
    assert_eq!(shown.publish["loopback"], "127.64.0.2:80,127.64.0.2:443");
    assert_eq!((shown.create_time, shown.runtime.as_str(), shown.state.as_str()), (5, "fake", "running"));
    assert_eq!((shown.ident.as_str(), shown.isolation.as_str()), ("AAAAAA", "simulated"));
    let status = shown.status.unwrap();
    assert_eq!((status.id.as_str(), status.running, status.healthy), ("a1", true, true));
    assert_eq!((status.ttl, status.appname.as_str(), status.nodename.as_str()), (0, "", ""));
    world.verdict("n1", Verdict::Lost, 1).send();
    let lost = to_pb_status(&world.cache.workload(&id("a1")).unwrap());
    assert_eq!((lost.running, lost.healthy, lost.node_state.as_str()), (false, false, "lost"));
    assert_eq!((lost.networks.len(), lost.reason.as_str()), (1, "the node is lost"));
}

#[test]
fn a_reload_finds_what_events_would_have_told() {
    let mut world = world();
    world.place("n1", "a_web_AAAAAA", Running, Some("a1")).place("n1", "a_web_BBBBBB", Running, Some("a2"));
    world.report("n1", "a1", true, 0).alive("n2", true).send();
    // None of this reaches the cache as events.
    world.remove("n1", "a_web_AAAAAA", Some("a1")).commit();
    world.place("n2", "a_web_CCCCCC", Running, Some("a3")).commit();
    world.alive("n2", false).delete(keys::pod(&PodName::new("p1").unwrap())).commit();
    let before = world.cache.revision();
    world.reload();
    assert!(world.cache.revision() > before);
    assert_eq!(ids(&world.cache.workloads(&WorkloadFilter::default())), ["a2", "a3"]);
    assert_eq!(world.cache.node(&node_name("n1")).unwrap().used.memory_request, MemoryBytes(10));
    assert_eq!(world.cache.node(&node_name("n2")).unwrap().state(), NodeState::Suspect);
    assert!(world.cache.pods().is_empty());
}

#[test]
fn a_replaced_engine_object_is_another_workload() {
    let mut world = world();
    world.place("n1", "a_web_AAAAAA", Created, Some("a1")).send();
    world.place("n1", "a_web_AAAAAA", Created, Some("a2")).send();
    assert!(world.cache.workload(&id("a1")).is_none());
    assert_eq!(ids(&world.cache.workloads(&WorkloadFilter::default())), ["a2"]);
    assert_eq!(world.cache.node(&node_name("n1")).unwrap().used.memory_request, MemoryBytes(10));
    assert_eq!(world.cache.node(&node_name("n1")).unwrap().placements_len, 1);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_a_revision_ends_with_it_or_with_the_deadline() {
    let mut world = world();
    let cache = world.cache.clone();
    let now = cache.revision();
    assert!(cache.wait_for(now, Duration::ZERO).await);
    assert!(!cache.wait_for(now.next(), Duration::from_millis(20)).await);
    let waiting = tokio::spawn(async move { cache.wait_for(now.next(), Duration::from_secs(5)).await });
    tokio::task::yield_now().await;
    world.node("n3").send();
    assert!(waiting.await.unwrap());
    // The store is ahead and nothing comes: an error that says so, not a stale answer.
    world.node("n4").commit();
    let error = world.cache.linearizable().await.unwrap_err();
    assert!(error.to_string().contains("the store at"), "{error}");
    world.send();
    world.cache.linearizable().await.unwrap();
}
