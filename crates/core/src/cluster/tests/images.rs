//! Images and files: what a workload needs before it can be started.

use super::rig::*;
use crate::{
    cluster::{engines::Address, files::COPIED_BYTES_MAX, images::CacheRequest, send::SendRequest},
    keys,
    record::{self, NodeRecord, Versioned},
};
use eru_api::pb;
use eru_runtime::{Runtime, fake::Operation};
use eru_types::NodeName;
use futures::{FutureExt, StreamExt};

#[tokio::test(flavor = "multi_thread")]
async fn an_image_is_fetched_once_and_one_that_is_there_is_used() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, 200 * GIB).await;
    let engine = world.engine("n0");
    // The fetch takes its time, so that all instances and both deploys come while it runs.
    engine.set_options(eru_runtime::FakeOptions::parse("fake://n0?pull_ms=200").unwrap());
    let wanted = options(60);
    let (one, two) = tokio::join!(deploy(&cluster, &wanted), deploy(&cluster, &wanted));
    assert_eq!(
        (succeeded(&one).len(), succeeded(&two).len()),
        (60, 60),
        "{:?}",
        one.iter().find(|o| !o.error.is_empty())
    );
    assert_eq!(engine.image_counts().0, 1);
    assert_eq!(succeeded(&deploy(&cluster, &options(3)).await).len(), 3);
    assert_eq!(engine.image_counts().0, 1, "it is there");
    world.check(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_fetched_fails_its_instances_with_the_reason() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, 200 * GIB).await;
    let engine = world.engine("n0");
    engine.refuse_image("nginx", "manifest unknown");
    let outcomes = deploy(&cluster, &options(60)).await;
    assert_eq!(outcomes.len(), 60);
    for outcome in outcomes {
        assert_eq!(outcome.error, "image nginx cannot be fetched: manifest unknown");
        assert!(outcome.id.is_none() && outcome.name.is_some());
    }
    assert_eq!(engine.image_counts().0, 1, "one answer is enough for a deploy");
    assert!(world.placements().await.is_empty());
    world.check(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_in_place_with_their_modes() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, 200 * GIB).await;
    let mut wanted = options(2);
    wanted.data.insert("/etc/app/a.conf".into(), "one".into());
    wanted.data.insert("/etc/app/b.conf".into(), "two".into());
    wanted.modes.insert("/etc/app/b.conf".into(), pb::FileMode { mode: 0o600 });
    let outcomes = deploy(&cluster, &wanted).await;
    for outcome in &outcomes {
        let id = outcome.id.as_ref().unwrap();
        let engine = cluster.engines.open("fake://n0").unwrap();
        let files = cluster.take_files(&engine, id, "/etc/app", "/x", COPIED_BYTES_MAX).await.unwrap();
        let files: Vec<_> = files.iter().map(|f| (f.path.as_str(), &f.data[..], f.mode)).collect();
        assert_eq!(files, [("/x/a.conf", &b"one"[..], 0o755), ("/x/b.conf", b"two", 0o600)]);
        let text = cluster.take_files(&engine, id, "/etc/app", "/x", 100).await.unwrap_err().to_string();
        assert_eq!(text, "copy: \"/etc/app\" is larger than the 100 bytes that can be copied");
    }
    world.engine("n0").fail_next(Operation::Files, 1);
    let failed = deploy(&cluster, &pb::DeployOptions { count: 1, ..wanted }).await;
    assert!(failed[0].error.contains("files"), "{failed:?}");
    world.check(&cluster).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_plain_command_cannot_have_is_refused_before_anything_is_placed() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, 200 * GIB).await;
    let name = NodeName::new("n0").unwrap();
    let view = cluster.cache.node(&name).unwrap();
    let plain = NodeRecord { runs_images: false, runtime: "process".into(), ..view.record.record.clone() };
    world.put(keys::node(&name), record::encode(&Versioned::new(plain))).await;
    cluster.cache.linearizable().await.unwrap();
    let command = || running("eru-fake", pb::DeployOptions { image: String::new(), ..options(1) });
    assert_eq!(succeeded(&deploy(&cluster, &command()).await).len(), 1);
    type Change = fn(&mut pb::DeployOptions);
    let cases: [(Change, &str); 6] = [
        (|o| o.dns = vec!["1.1.1.1".into()], "dns"),
        (|o| o.open_stdin = true, "open_stdin"),
        (|o| drop(o.networks.insert("bridge".into(), String::new())), "networks"),
        (|o| drop(o.data.insert("/a".into(), "".into())), "data"),
        (|o| o.after_create = vec!["true".into()], "after_create"),
        (|o| o.resource_opts.as_mut().unwrap().volumes_limit = vec!["/a:/b".into()], "volumes"),
    ];
    for (change, what) in cases {
        let mut wanted = command();
        change(&mut wanted);
        let text = cluster.deploy(request(&wanted)).await.unwrap_err().to_string();
        assert_eq!(text, format!("{what}: the nodes of pod \"p\" run plain commands, which have none"));
    }
    assert_eq!(world.placements().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn debugging_sends_output_where_the_configuration_says() {
    let mut world = World::new();
    world.settings.docker.log_type = "journald".into();
    world.settings.docker.log_config = [("tag".into(), "debug".into())].into();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, 200 * GIB).await;
    let mut wanted = pb::DeployOptions { debug: true, ..options(1) };
    let log = pb::LogOptions { r#type: "json-file".into(), config: [("max-size".into(), "1m".into())].into() };
    wanted.entrypoint.as_mut().unwrap().log = Some(log);
    assert_eq!(succeeded(&deploy(&cluster, &wanted).await).len(), 1);
    let extras = world.placements().await.remove(0).record.spec.extras;
    assert_eq!(extras.log_driver, "journald");
    let want = [("max-size".to_owned(), "1m".to_owned()), ("tag".to_owned(), "debug".to_owned())];
    assert_eq!(extras.log_options, want.into());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_does_not_answer_is_not_added_and_not_kept_open() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, GIB).await;
    let open = cluster.engines.open_len();
    let new = crate::cluster::node::NewNode {
        name: NodeName::new("d1").unwrap(),
        pod: eru_types::PodName::new("p").unwrap(),
        endpoint: "unix:///tmp/eru-no-such.sock".into(),
        cores: 0,
        share: 0,
        memory: eru_types::MemoryBytes(0),
        storage: eru_types::MemoryBytes(0),
        labels: Default::default(),
        volumes: Default::default(),
        numa: Default::default(),
        numa_memory: Default::default(),
        tls: None,
    };
    let text = cluster.add_node(new.clone()).await.unwrap_err().to_string();
    assert!(text.starts_with("engine at unix:///tmp/eru-no-such.sock did not answer: "), "{text}");
    assert_eq!(cluster.engines.open_len(), open);
    let half = record::Certificates::new("-----BEGIN CERTIFICATE-----", "", "");
    let text = cluster.add_node(crate::cluster::node::NewNode { tls: Some(half.clone()), ..new }).await.unwrap_err();
    assert_eq!(text.to_string(), "ca, cert and key are given together or not at all");
    cluster.engines.forget(Address { endpoint: "unix:///tmp/eru-no-such.sock", tls: Some(&half) });
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_does_not_answer_is_not_given_to_a_node_either() {
    use crate::cluster::{Error, node::NodeChange};
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, GIB).await;
    let (open, n0) = (cluster.engines.open_len(), NodeName::new("n0").unwrap());
    let change = NodeChange { endpoint: "unix:///tmp/eru-no-such.sock".into(), ..NodeChange::default() };
    let refused = cluster.set_node(&n0, &NodeChange { bypass: Some(true), ..change }).await.unwrap_err();
    assert!(matches!(refused, Error::Unavailable(_)), "{refused:?}");
    let text = refused.to_string();
    assert!(text.starts_with("engine at unix:///tmp/eru-no-such.sock did not answer: "), "{text}");
    assert!(text.contains("node \"n0\" keeps its engine at fake://n0: see that the new one answers"), "{text}");
    cluster.cache.linearizable().await.unwrap();
    let node = cluster.cache.node(&n0).unwrap();
    assert_eq!((node.record.endpoint.as_str(), node.record.bypass), ("fake://n0", false), "nothing was changed");
    assert_eq!(cluster.engines.open_len(), open);
    assert_eq!(succeeded(&deploy(&cluster, &options(1)).await).len(), 1, "and its own engine is in reach");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_fetches_ahead_and_who_deploys_wait_for_the_same_fetch() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, 200 * GIB).await;
    let engine = world.engine("n0");
    engine.set_options(eru_runtime::FakeOptions::parse("fake://n0?pull_ms=300").unwrap());
    let ahead = cluster.clone();
    let cache = move |image: &str| {
        let options = pb::CacheImageOptions { podname: "p".into(), images: vec![image.into()], ..Default::default() };
        let cluster = ahead.clone();
        async move { cluster.cache_images(CacheRequest::from_pb(&options).unwrap()).await.unwrap() }
    };
    let fetched = async { cache("nginx").await.collect::<Vec<_>>().await };
    let wanted = options(1);
    let (steps, deployed) = tokio::join!(fetched, deploy(&cluster, &wanted));
    assert_eq!((steps.len(), steps[0].error.as_str(), succeeded(&deployed).len()), (1, "", 1));
    assert_eq!(engine.image_counts().0, 1);
    // One who leaves does not end it: others may wait.
    let leaving = tokio::spawn(async move { cache("other").await.collect::<Vec<_>>().await });
    eventually("the fetch to begin", async || cluster.tasks.pulls.len() == 1).await;
    leaving.abort();
    assert!(leaving.await.is_err(), "it left before the image was there");
    eventually("the image to be there", async || !engine.images("other").await.unwrap().is_empty()).await;
    assert_eq!(engine.image_counts().0, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_that_nobody_reads_do_not_keep_files_from_being_sent() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 1, 200 * GIB).await;
    let ids = succeeded(&deploy(&cluster, &options(1)).await);
    let name = NodeName::new("n0").unwrap();
    let mut stalled = Vec::new();
    while let Some(place) = cluster.pools.copies.enter(&name).now_or_never() {
        stalled.push(place);
    }
    assert!(!stalled.is_empty());
    let data = [("/a".to_owned(), "x".into())].into();
    let request = SendRequest::from_pb(&pb::SendOptions { ids, data, ..Default::default() }).unwrap();
    let outcome = within(cluster.send(request).unwrap().recv()).await.unwrap();
    assert_eq!((outcome.path.as_str(), outcome.error.as_str()), ("/a", ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn engines_of_nodes_that_another_core_removed_are_let_go_of() {
    let world = World::new();
    let cluster = world.core("c1").await;
    nodes(&cluster, 2, GIB).await;
    cluster.engines.open("fake://gone").unwrap();
    assert_eq!(cluster.engines.open_len(), 3);
    cluster.forget_engines();
    assert_eq!(cluster.engines.open_len(), 2);
}
