//! Images of nodes.

use super::{all, engine, support};
use eru_api::pb::{AddPodOptions, CacheImageMessage, CacheImageOptions, ListImageOptions, RemoveImageOptions};
use eru_runtime::fake::Operation;
use support::{TestCore, start};
use tonic::{Code, Status};

async fn cache(core: &TestCore, options: CacheImageOptions) -> Result<Vec<CacheImageMessage>, Status> {
    let mut messages = core.client.clone().cache_image(options).await?.into_inner();
    let mut all = all(&mut messages).await;
    all.sort_by(|a, b| (&a.nodename, &a.image).cmp(&(&b.nodename, &b.image)));
    Ok(all)
}

fn wanted(images: &[&str]) -> CacheImageOptions {
    let images = images.iter().map(|image| (*image).to_owned()).collect();
    CacheImageOptions { podname: "p".into(), images, ..Default::default() }
}

async fn list(core: &TestCore, filter: &str) -> Vec<(String, Vec<String>, String)> {
    let options = ListImageOptions { podname: "p".into(), filter: filter.into(), ..Default::default() };
    let mut messages = core.client.clone().list_image(options).await.unwrap().into_inner();
    let tags = |images: Vec<eru_api::pb::ImageItem>| images.into_iter().flat_map(|image| image.tags).collect();
    let mut all: Vec<_> = all(&mut messages).await.into_iter().map(|m| (m.nodename, tags(m.images), m.err)).collect();
    all.sort();
    all
}

#[tokio::test]
async fn images_are_fetched_once_listed_and_removed() {
    let core = start().await.with_nodes(&["n1", "n2"]).await;
    let outcome = |image: &str, node: &str| CacheImageMessage {
        image: image.into(),
        success: true,
        nodename: node.into(),
        ..Default::default()
    };
    let both = ["127.0.0.1:5000/web:2", "app:1"];
    let want = [outcome(both[0], "n1"), outcome(both[1], "n1"), outcome(both[0], "n2"), outcome(both[1], "n2")];
    for _ in 0..2 {
        assert_eq!(cache(&core, wanted(&both)).await.unwrap(), want);
    }
    assert_eq!(engine(&core, "n1").image_counts().0, 2, "what is there is not fetched");
    let listed = list(&core, "").await;
    let have = |tags: &[&str]| tags.iter().map(|tag| (*tag).to_owned()).collect::<Vec<_>>();
    assert_eq!(listed, [("n1".into(), have(&both), "".into()), ("n2".into(), have(&both), "".into())]);
    assert_eq!(list(&core, "app").await[0].1, ["app:1"]);
    let options = RemoveImageOptions {
        nodenames: vec!["n1".into()],
        images: vec!["app:1".into(), "nosuch".into()],
        prune: true,
        ..Default::default()
    };
    let mut messages = core.client.clone().remove_image(options).await.unwrap().into_inner();
    let removed = all(&mut messages).await;
    let texts: Vec<_> =
        removed.iter().map(|m| (m.image.as_str(), m.success, m.messages.join(" "), m.nodename.as_str())).collect();
    let gone = ("app:1", true, "Clean: app:1".to_owned(), "n1");
    assert_eq!(texts, [gone, ("nosuch", false, "no image \"nosuch\" on the node".to_owned(), "n1")]);
    assert_eq!((engine(&core, "n1").image_counts().1, engine(&core, "n2").image_counts().1), (1, 0));
    assert_eq!(
        list(&core, "").await,
        [("n1".into(), have(&both[..1]), "".into()), ("n2".into(), have(&both), "".into())]
    );
    core.stop().await;
}

#[tokio::test]
async fn progress_comes_only_to_those_who_ask() {
    let core = start().await.with_nodes(&["n1"]).await;
    assert_eq!(cache(&core, wanted(&["a:1"])).await.unwrap().len(), 1);
    let options = CacheImageOptions { progress: true, ..wanted(&["b:1"]) };
    let mut messages = core.client.clone().cache_image(options).await.unwrap().into_inner();
    let steps = all(&mut messages).await;
    let (outcome, progress) = steps.split_last().unwrap();
    assert!(outcome.success && !outcome.in_progress && outcome.message.is_empty());
    let words: Vec<_> = progress.iter().map(|m| (m.message.as_str(), m.layer.as_str(), m.in_progress)).collect();
    assert_eq!(words.first(), Some(&("Pulling fs layer", "layer1", true)));
    assert_eq!(words.last(), Some(&("Pull complete", "layer1", true)));
    assert!(progress.iter().any(|m| m.bytes_done == 500_000 && m.bytes_total == 1_000_000));
    assert!(progress.iter().all(|m| !m.success));
    core.stop().await;
}

#[tokio::test]
async fn what_is_wrong_with_one_node_is_said_of_that_node() {
    let core = start().await.with_nodes(&["n1", "n2", "n3"]).await;
    engine(&core, "n1").set_down(true);
    engine(&core, "n2").refuse_image("a:1", "manifest unknown");
    engine(&core, "n3").fail_next(Operation::Pull, 1);
    let outcomes = cache(&core, CacheImageOptions { step: 3, ..wanted(&["a:1", "b:1"]) }).await.unwrap();
    let texts: Vec<_> = outcomes.iter().map(|m| (m.nodename.as_str(), m.success, m.message.as_str())).collect();
    let down = "runtime fake://n1 does not answer: the engine was set down";
    assert_eq!(texts[0], ("n1", false, down));
    assert_eq!(texts[1], ("n1", false, down));
    assert_eq!(texts[2], ("n2", false, "image a:1 cannot be fetched: manifest unknown"));
    assert_eq!(texts[3], ("n2", true, ""));
    assert!(!texts[4].1 && texts[4].2.contains("pull fails") && texts[5] == ("n3", true, ""));
    let listed = list(&core, "").await;
    assert_eq!((listed[0].2.as_str(), listed[1].1.len(), listed[2].1.len()), (down, 1, 1));
    core.stop().await;
}

#[tokio::test]
async fn bad_requests_are_refused_in_words() {
    let core = start().await.with_nodes(&["n1"]).await;
    core.client.clone().add_pod(AddPodOptions { name: "empty".into(), desc: String::new() }).await.unwrap();
    for (bad, code, part) in [
        (CacheImageOptions { podname: String::new(), ..wanted(&["a"]) }, Code::InvalidArgument, "pod name is empty"),
        (wanted(&[]), Code::InvalidArgument, "no image"),
        (wanted(&["A B"]), Code::InvalidArgument, "image: \"A B\" is not an image reference"),
        (CacheImageOptions { step: -1, ..wanted(&["a"]) }, Code::InvalidArgument, "step must be"),
        (CacheImageOptions { nodenames: vec!["x/y".into()], ..wanted(&["a"]) }, Code::InvalidArgument, "node name"),
        (CacheImageOptions { nodenames: vec!["no".into()], ..wanted(&["a"]) }, Code::NotFound, "/node/no"),
        (
            CacheImageOptions { podname: "empty".into(), ..wanted(&["a"]) },
            Code::FailedPrecondition,
            "pod has no nodes: empty",
        ),
    ] {
        let status = cache(&core, bad).await.unwrap_err();
        assert!(status.code() == code && status.message().contains(part), "{status:?} lacks {part}");
    }
    core.stop().await;
}
