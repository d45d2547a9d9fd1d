//! Log lines, as the original was recorded; where ours say more, they say it behind the original's.

use crate::child::{end, start};
use crate::core::{Core, ID};
use eru_api::pb;
use prost::Message;

/// What the command line logs when `call` answers with `answers`, without times, and its exit code.
async fn lines<M, A>(call: &'static str, words: &[&str], answers: Vec<A>) -> (Vec<String>, i32)
where
    M: Message + Default + Send + 'static,
    A: Message + Default + Send + 'static,
{
    let mut core = Core::<M, A>::serving(call).await;
    let child = start(&core.address, words);
    let mut conversation = core.accept().await;
    conversation.hear().await.expect("a request");
    for answer in answers {
        conversation.say(answer).await;
    }
    drop(conversation);
    let (_, err, code) = end(child).await;
    let line = |line: &str| match line.split_once(" level=") {
        Some((_, rest)) => rest.to_owned(),
        None => line.to_owned(),
    };
    (err.lines().map(line).collect(), code)
}

pub async fn sent_files() {
    let file = format!("{}:/www/spec.yaml:0644", std::env::current_dir().unwrap().join("Cargo.toml").display());
    let answer = |path: &str, error: &str| pb::SendMessage { id: ID.into(), path: path.into(), error: error.into() };
    let words = ["workload", "send", "--file", &file, ID];
    let sent = lines::<pb::SendOptions, _>("Send", &words, vec![answer("/www/spec.yaml", "")]).await;
    assert_eq!(sent, (vec![format!("info msg=\"[Send] Send /www/spec.yaml to {ID} success\"")], 0));
    let failed = lines::<pb::SendOptions, _>("Send", &words, vec![answer("/nodir/x/y", "no such folder")]).await;
    let line = format!("error msg=\"[Send] Failed send /nodir/x/y to {ID}: no such folder\"");
    assert_eq!(failed, (vec![line, "0 of 1 sent".into()], 1));
}

pub async fn replacements() {
    let dir = tempfile::tempdir().unwrap();
    let spec = dir.path().join("web.yaml");
    std::fs::write(&spec, "{appname: web, entrypoints: {plain: {cmd: x}}}").unwrap();
    let old = "lnqPMXFtwPTCJjaZDodSAejaluRkelUHeSCZdptgIThMhllFnoKGRzQISAgVqrdz";
    let done = pb::ReplaceWorkloadMessage {
        create: Some(pb::CreateWorkloadMessage {
            id: ID.into(),
            name: "web_plain_fgiSPy".into(),
            success: true,
            publish: [("bridge".into(), "172.17.0.2:80".into())].into(),
            resource: Some(pb::Resource {
                cpu: [("10".into(), 100)].into(),
                cpu_quota_request: 1.0,
                cpu_quota_limit: 1.0,
                memory_request: 1 << 30,
                memory_limit: 1 << 30,
                ..Default::default()
            }),
            ..Default::default()
        }),
        remove: Some(pb::RemoveWorkloadMessage { id: old.into(), success: true, ..Default::default() }),
        error: String::new(),
    };
    let failed = pb::ReplaceWorkloadMessage {
        create: Some(pb::CreateWorkloadMessage { name: "web_plain_fOxDKS".into(), ..Default::default() }),
        remove: Some(pb::RemoveWorkloadMessage { id: ID.into(), ..Default::default() }),
        error: "no image".into(),
    };
    let spec = spec.to_str().unwrap();
    let words =
        ["workload", "replace", "--pod", "mpod", "--entry", "plain", "--image", "img:2", "--network", "net1", spec];
    let (lines, code) = lines::<pb::ReplaceOptions, _>("ReplaceWorkload", &words, vec![done, failed]).await;
    let want = [
        "warning msg=\"[Replace] Network is not empty, so network-inherit will set to false\"".to_owned(),
        format!("info msg=\"[Replace] Replace {old}\""),
        format!("info msg=\"[Replace] Hook workload {old} removed\""),
        "info msg=\"[Replace] New workload web_plain_fgiSPy, cpu map[10:100], quotaRequest 1, quotaLimit 1, \
         memRequest 1073741824, memLimit 1073741824\""
            .to_owned(),
        "info msg=\"[Replace] Bound bridge ip 172.17.0.2:80\"".to_owned(),
        format!("info msg=\"[Replace] Replace {ID}\""),
        format!("error msg=\"[Replace] Replace {ID} failed no image, hook \""),
        "1 of 2 replaced".to_owned(),
    ];
    assert_eq!((lines, code), (want.to_vec(), 1));
}

pub async fn removals() {
    let refused = pb::RemoveWorkloadMessage { id: ID.into(), hook: "it is running".into(), ..Default::default() };
    let words = ["workload", "remove", ID];
    let (got, code) = lines::<pb::RemoveWorkloadOptions, _>("RemoveWorkload", &words, vec![refused]).await;
    let want = [
        format!("error msg=\"[RemoveWorkload] {ID} Failed\""),
        "error msg=\"it is running\"".to_owned(),
        "0 of 1 removed".to_owned(),
    ];
    assert_eq!((got, code), (want.to_vec(), 1));
}

pub async fn images() {
    let image = "127.0.0.1:5000/web:2";
    let cached =
        pb::CacheImageMessage { image: image.into(), success: true, nodename: "node1".into(), ..Default::default() };
    let failed = pb::CacheImageMessage { success: false, message: "no such image".into(), ..cached.clone() };
    let words = ["image", "cache", "--podname", "pod1", image];
    let (got, code) = lines::<pb::CacheImageOptions, _>("CacheImage", &words, vec![cached, failed]).await;
    let want = [
        format!("info msg=\"[CacheImage] cache image {image} on node1 success\""),
        format!("warning msg=\"[CacheImage] cache image {image} on node1 failed: no such image\""),
        "1 of 2 cached".to_owned(),
    ];
    assert_eq!((got, code), (want.to_vec(), 1));

    let removed = pb::RemoveImageMessage {
        image: image.into(),
        success: true,
        messages: vec![format!("Clean: {image}")],
        ..Default::default()
    };
    let words = ["image", "remove", "--podname", "pod1", image];
    let (got, code) = lines::<pb::RemoveImageOptions, _>("RemoveImage", &words, vec![removed]).await;
    let want = [format!("info msg=\"[CleanImage] Success remove {image}\""), format!("info msg=\"Clean: {image}\"")];
    assert_eq!((got, code), (want.to_vec(), 0));

    let nobody = lines::<pb::RemoveImageOptions, pb::RemoveImageMessage>("RemoveImage", &words, vec![]).await;
    assert_eq!(nobody, (vec!["no node of those is there and up".into()], 1));
}

pub async fn networks() {
    let connected = pb::Network { name: "net1".into(), subnets: vec!["172.30.0.9".into()] };
    let words = ["network", "connect", "--network", "net1", "--ipv4", "172.30.0.9", ID];
    let got = lines::<pb::ConnectNetworkOptions, _>("ConnectNetwork", &words, vec![connected]).await;
    assert_eq!(got, (vec![format!("info msg=\"[connectToNetwork] Connect {ID} at [172.30.0.9]\"")], 0));
    let words = ["network", "disconnect", "--network", "net1", ID];
    let got = lines::<pb::DisconnectNetworkOptions, _>("DisconnectNetwork", &words, vec![pb::Empty {}]).await;
    assert_eq!(got, (vec![format!("info msg=\"[disConnectToNetwork] Disconnect {ID} success\"")], 0));
}
