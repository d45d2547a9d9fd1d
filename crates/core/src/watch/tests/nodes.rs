//! The stream of nodes.

use super::*;
use crate::{cache::testing::node_name, keys, record::Verdict};

#[tokio::test]
async fn nodes_are_told_from_now_on() {
    let mut world = World::new(TombstoneLimits::default());
    world.pod("p1").node("n1").alive("n1", true).send();
    let shutdown = CancellationToken::new();
    let limits = StreamLimits::default();
    let mut stream = Box::pin(super::super::nodes::stream(world.cache.clone(), &limits, shutdown.clone()).unwrap());
    let mut drain = move |end: bool| {
        let mut got = Vec::new();
        while let Some(Some(message)) = stream.next().now_or_never() {
            match message {
                Ok(m) => got.push((m.nodename, m.podname, m.alive, m.state, m.generation, m.error)),
                Err(status) => {
                    assert!(end);
                    assert_eq!((status.code(), status.message()), (tonic::Code::Unavailable, "core is stopping"));
                }
            }
        }
        got
    };
    let told = |alive, state: &str, generation, error: &str| {
        ("n1".to_owned(), "p1".to_owned(), alive, state.to_owned(), generation, error.to_owned())
    };
    assert!(drain(false).is_empty(), "nothing of before");
    world.node("n2").send();
    assert!(drain(false).is_empty(), "a node that was only added");
    world.alive("n1", true).send();
    assert!(drain(false).is_empty(), "a lease that was made again");
    world.alive("n1", false).send();
    assert_eq!(drain(false), [told(false, "suspect", 0, "")]);
    world.verdict("n1", Verdict::Unwatched, 0).send();
    world.verdict("n1", Verdict::Lost, 1).send();
    assert_eq!(drain(false), [told(false, "lost", 1, "")], "the newest state");
    world.alive("n1", true).send();
    assert_eq!(drain(false), [told(true, "lost", 1, "")], "alive follows the lease");
    let n1 = node_name("n1");
    world.delete(keys::node(&n1)).delete(keys::alive(&n1)).delete(keys::agent(&n1)).delete(keys::verdict(&n1)).send();
    assert_eq!(drain(false), [told(false, "lost", 1, "bad `Count` value: key: /node/n1")]);
    world.node("n1").send();
    assert!(drain(false).is_empty());
    world.alive("n1", true).send();
    assert_eq!(drain(false), [told(true, "ready", 0, "")], "a new node of the old name");
    shutdown.cancel();
    assert!(drain(true).is_empty());
}
