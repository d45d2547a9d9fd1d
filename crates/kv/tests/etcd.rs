//! The etcd store, against a real etcd: the suite of the port, and what a client has to survive.

mod server;

use std::sync::Arc;
use std::time::Duration;

use eru_kv::conformance::{self, PATIENCE, Store};
use eru_kv::{Durability, Error, Etcd, EtcdOptions, Event, KeyRange, Kv, Op, Revision, Txn, Watch, WatchItem};
use futures::StreamExt;
use server::Server;

fn options(server: &Server, prefix: &str) -> EtcdOptions {
    EtcdOptions { endpoints: vec![server.endpoint.clone()], prefix: prefix.into(), ..EtcdOptions::default() }
}

async fn connect(server: &Server, prefix: &str) -> Arc<Etcd> {
    Etcd::connect(options(server, prefix)).await.expect("etcd answers")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn etcd_conforms() {
    let Some(server) = Server::start().await else { return };
    conformance::run_all(|name| {
        let server = &server;
        async move { connect(server, &format!("/suite/{name}/")).await as Arc<_> as Store }
    })
    .await;
}

async fn put(store: &Etcd, key: &str) -> Revision {
    let txn = Txn { then: vec![Op::put(key.to_string(), "v")], ..Txn::default() };
    store.txn(txn, Durability::Durable).await.expect("a put succeeds").revision
}

async fn keys(watch: &mut Watch, count: usize) -> Vec<String> {
    let mut keys = Vec::new();
    while keys.len() < count {
        match tokio::time::timeout(PATIENCE, watch.next())
            .await
            .expect("an item in time")
            .expect("no end")
            .expect("no error")
        {
            WatchItem::Events { events, .. } => keys.extend(events.iter().map(|event| match event {
                Event::Put(kv) => String::from_utf8_lossy(&kv.key).into_owned(),
                Event::Delete { key, .. } => format!("-{}", String::from_utf8_lossy(key)),
            })),
            WatchItem::Progress(_) => {}
            WatchItem::Compacted(at) => panic!("compacted at {at} after {keys:?}"),
        }
    }
    keys
}

#[tokio::test]
async fn a_watch_survives_the_death_of_etcd() {
    let Some(mut server) = Server::start().await else { return };
    let store = connect(&server, "/a").await;
    let from = store.revision().await.unwrap().next();
    let mut watch = store.watch(KeyRange::prefix("k"), from).await.unwrap();
    put(&store, "k/1").await;
    assert_eq!(keys(&mut watch, 1).await, ["k/1"]);
    for round in 0..3 {
        put(&store, "k/unread").await;
        server.kill();
        let error = store.revision().await.expect_err("etcd is dead");
        assert!(matches!(error, Error::Unavailable { maybe_done: false, .. }), "{error}");
        let txn = Txn { then: vec![Op::put("k/x", "v")], ..Txn::default() };
        let error = store.txn(txn, Durability::Durable).await.expect_err("etcd is dead");
        assert!(matches!(error, Error::Unavailable { maybe_done: false, .. }), "refused at connecting: {error}");
        server.start_again().await;
        let key = format!("k/after-{round}");
        put(&store, &key).await;
        assert_eq!(keys(&mut watch, 2).await, ["k/unread", &key]);
    }
    store.close().await.unwrap();
    let end =
        tokio::time::timeout(PATIENCE, async { while let Some(Ok(WatchItem::Progress(_))) = watch.next().await {} });
    end.await.expect("a closed client ends its watches");
}

#[tokio::test]
async fn a_watch_notices_a_peer_that_is_half_open() {
    let Some(server) = Server::start().await else { return };
    let store = connect(&server, "/a").await;
    let from = store.revision().await.unwrap().next();
    let mut watch = store.watch(KeyRange::prefix("k"), from).await.unwrap();
    server.pause();
    let error = store.revision().await.expect_err("etcd stands still");
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    server.unpause();
    put(&store, "k/1").await;
    assert_eq!(keys(&mut watch, 1).await, ["k/1"]);
}

#[tokio::test]
async fn a_dead_member_is_passed_over() {
    let Some(server) = Server::start().await else { return };
    // A port that is bound but not listened on refuses connections, and nobody else gets it.
    let dead = socket();
    let mut options = options(&server, "/a");
    options.endpoints.insert(0, dead.0.clone());
    let store = Etcd::connect(options).await.expect("the second one answers");
    for index in 0..50 {
        put(&store, &format!("k/{index}")).await;
    }
    let mut watch = store.watch(KeyRange::prefix("k"), Revision(1)).await.unwrap();
    assert_eq!(keys(&mut watch, 50).await.len(), 50);
}

fn socket() -> (String, tokio::net::TcpSocket) {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.bind("127.0.0.1:0".parse().expect("an address")).expect("a free port");
    (socket.local_addr().expect("its address").to_string(), socket)
}

#[tokio::test]
async fn nobody_there_is_said_with_the_address() {
    let (dead, _socket) = socket();
    let options = EtcdOptions { endpoints: vec![dead.clone()], ..EtcdOptions::default() };
    let error = Etcd::connect(options).await.map(|_| ()).expect_err("nobody listens");
    assert!(matches!(error, Error::Unavailable { maybe_done: false, .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(&dead) && text.contains("refused"), "{text}");
}

#[tokio::test]
async fn prefixes_do_not_see_each_other() {
    let Some(server) = Server::start().await else { return };
    let (one, two) = (connect(&server, "/a").await, connect(&server, "/b").await);
    assert_ne!(one.identity(), two.identity());
    assert_eq!(one.identity(), connect(&server, "/a").await.identity());
    put(&one, "k").await;
    let all = KeyRange { start: "\u{1}".into(), end: "\0".into() };
    assert_eq!(one.range(&all, Default::default()).await.unwrap().kvs.len(), 1);
    assert_eq!(two.range(&all, Default::default()).await.unwrap().kvs.len(), 0);
    let reply = two.txn(Txn { then: vec![Op::Delete(all.clone())], ..Txn::default() }, Durability::Durable).await;
    assert!(reply.is_ok());
    assert_eq!(one.range(&all, Default::default()).await.unwrap().kvs.len(), 1);
}

#[tokio::test]
async fn a_full_etcd_is_called_full() {
    let Some(server) = Server::start_with(&QUOTA).await else { return };
    let store = connect(&server, "/a").await;
    let full = tokio::time::timeout(PATIENCE, async {
        for index in 0.. {
            let txn = Txn { then: vec![Op::put(format!("k{index}"), vec![0; 500_000])], ..Txn::default() };
            if let Err(error) = store.txn(txn, Durability::Durable).await {
                return error;
            }
        }
        unreachable!("there are more numbers than bytes")
    });
    let error = full.await.expect("it is full soon");
    assert!(matches!(error, Error::Full(_)), "{error}");
    store.revision().await.expect("it still answers reads");
}

const QUOTA: [&str; 2] = ["--quota-backend-bytes", "4000000"];

/// Puts keys below `prefix` until etcd refuses one.
async fn fill(store: &Etcd, prefix: &str) {
    for index in 0..1000 {
        let txn = Txn { then: vec![Op::put(format!("{prefix}{index}"), vec![0; 300_000])], ..Txn::default() };
        match store.txn(txn, Durability::Durable).await {
            Ok(_) => {}
            Err(Error::Full(_)) => return,
            Err(error) => panic!("{error}"),
        }
    }
    panic!("300 MB fit into a quota of 4 MB");
}

async fn remove(store: &Etcd, prefix: &'static str) -> Revision {
    let txn = Txn { then: vec![Op::Delete(KeyRange::prefix(prefix))], ..Txn::default() };
    store.txn(txn, Durability::Durable).await.expect("removals are allowed").revision
}

#[tokio::test]
async fn a_full_etcd_heals_with_a_compaction() {
    let Some(server) = Server::start_with(&QUOTA).await else { return };
    let store = connect(&server, "/a").await;
    put(&store, "kept").await;
    for _ in 0..3 {
        fill(&store, "k/").await;
        let lease = store.lease_grant(Duration::from_secs(9)).await;
        assert!(matches!(lease, Err(Error::Full(_))), "{lease:?}");
        let revision = remove(&store, "k/").await;
        store.compact(revision).await.expect("compaction is allowed");
        put(&store, "after").await;
        store.lease_grant(Duration::from_secs(9)).await.expect("there is room");
    }
    let found = store.range(&KeyRange::prefix("k"), Default::default()).await.unwrap().kvs;
    assert_eq!(found.len(), 1, "what was not removed is there");
}

#[tokio::test]
async fn a_full_etcd_heals_for_a_client_that_does_not_compact() {
    let Some(server) = Server::start_with(&QUOTA).await else { return };
    let (store, other) = (connect(&server, "/a").await, connect(&server, "/a").await);
    for index in 0..PATIENCE.as_secs() * 10 {
        put(&store, &format!("small/{index}")).await;
    }
    fill(&store, "k/").await;
    // An attempt that finds no room, and so cannot help.
    fill(&store, "k/more-").await;
    let revision = remove(&other, "k/").await;
    other.compact(revision).await.expect("compaction is allowed");
    let deadline = std::time::Instant::now() + PATIENCE;
    for index in 0.. {
        // etcd counts what is in use anew when something is written.
        let removal = Txn { then: vec![Op::delete(format!("small/{index}"))], ..Txn::default() };
        other.txn(removal, Durability::Durable).await.expect("removals are allowed");
        let txn = Txn { then: vec![Op::put("k/x", vec![0; 300_000])], ..Txn::default() };
        match store.txn(txn, Durability::Durable).await {
            Ok(_) => break,
            Err(Error::Full(_)) => assert!(std::time::Instant::now() < deadline, "it does not heal"),
            Err(error) => panic!("{error}"),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_slow_connect_is_bounded() {
    // An address that answers nothing, by a listener whose backlog nobody serves.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let options = EtcdOptions {
        endpoints: vec![listener.local_addr().expect("its address").to_string()],
        request_timeout: Duration::from_millis(300),
        ..EtcdOptions::default()
    };
    let begun = std::time::Instant::now();
    let error = Etcd::connect(options).await.map(|_| ()).expect_err("nobody answers");
    assert!(matches!(error, Error::Unavailable { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
}
