//! Cases of what the engine has besides workloads: images and networks.

use super::{
    Case,
    subject::{Behaviour, Subject, started},
};
use crate::port::*;
use eru_types::EngineId;
use futures::{FutureExt, StreamExt, stream::BoxStream};
use std::time::Duration;

/// No image and no network has this name.
const NOSUCH: &str = "eru-suite-nosuch";

/// These cases.
pub(super) const CASES: &[Case] = cases![images_are_found, networks_are_joined_and_left];

async fn images_are_found(s: &dyn Subject) {
    let runtime = s.runtime();
    if !s.abilities().images {
        let refused = [
            runtime.image(NOSUCH).await.map(drop).expect_err("image"),
            runtime.images("").await.map(drop).expect_err("images"),
            runtime.pull(NOSUCH, None).await.map(drop).expect_err("pull"),
            runtime.remove_image(NOSUCH).await.map(drop).expect_err("remove"),
            runtime.prune_images().await.expect_err("prune"),
        ];
        assert!(refused.iter().all(|error| matches!(error, Error::Unsupported { .. })), "{refused:?}");
        return;
    }
    let found = runtime.image(&s.image()).await.expect("image").expect("the image of the suite");
    assert!(!found.id.is_empty());
    assert!(runtime.images("").await.expect("images").iter().any(|image| image.id == found.id));
    assert!(runtime.images(&s.image()).await.expect("images").iter().any(|image| image.id == found.id));
    assert_eq!(runtime.images(NOSUCH).await.expect("images"), []);
    assert_eq!(runtime.image(NOSUCH).await.expect("image"), None);
    let error = runtime.remove_image(NOSUCH).await.expect_err("no image");
    assert!(matches!(&error, Error::NoImage(name) if name == NOSUCH), "{error:?}");
}

/// Waits until it is told that the workload changed.
async fn changed(events: &mut BoxStream<'static, Event>, id: &EngineId) {
    let told = async {
        while let Some(event) = events.next().await {
            if event.id == *id && event.action == Action::Changed {
                return;
            }
        }
        panic!("the stream ended");
    };
    tokio::time::timeout(Duration::from_secs(20), told).await.expect("a change is told");
}

async fn networks_are_joined_and_left(s: &dyn Subject) {
    let runtime = s.runtime();
    let id = started(s, "app_web_aaaaaa", &Behaviour::Runs(vec![])).await;
    let Some(network) = s.abilities().network else {
        let refused = [
            runtime.networks("").await.map(drop).expect_err("networks"),
            runtime.connect(NOSUCH, &id, "", "").await.map(drop).expect_err("connect"),
            runtime.disconnect(NOSUCH, &id, false).await.expect_err("disconnect"),
        ];
        assert!(refused.iter().all(|error| matches!(error, Error::Unsupported { .. })), "{refused:?}");
        return;
    };
    let all = runtime.networks("").await.expect("networks");
    assert!(all.iter().any(|n| n.name == network && !n.subnets.is_empty()), "{all:?}");
    assert_eq!(runtime.networks(NOSUCH).await.expect("networks"), []);
    let joined = async || {
        let seen = runtime.inspect(&id).await.expect("inspect");
        seen.networks.get(&network).cloned()
    };
    assert_eq!(joined().await, None);
    let mut events = runtime.events().await.expect("events");
    let addresses = runtime.connect(&network, &id, "", "").await.expect("connect");
    assert_eq!(joined().await.as_ref(), addresses.first());
    assert!(!addresses.is_empty());
    changed(&mut events, &id).await;
    runtime.connect(&network, &id, "", "").await.expect_err("it is in it");
    let mut events = runtime.events().await.expect("events");
    runtime.disconnect(&network, &id, false).await.expect("disconnect");
    assert_eq!(joined().await, None);
    changed(&mut events, &id).await;
    runtime.disconnect(&network, &id, false).await.expect_err("it is not in it");
    let error = runtime.connect(NOSUCH, &id, "", "").await.expect_err("no network");
    assert!(matches!(error, Error::Invalid(_)), "{error:?}");
}
