//! Commands that change things: Ctrl-C in their middle, and questions that come before the change.

use crate::child::{end, start};
use crate::core::{Core, ID};
use crate::exec::signal;
use eru_api::pb;
use prost::Message;
use rustix::process::Signal;

async fn interrupted<M, A>(call: &'static str, words: &[&str])
where
    M: Message + Default + Send + 'static,
    A: Message + Default + Send + 'static,
{
    let mut core = Core::<M, A>::serving(call).await;
    let child = start(&core.address, words);
    let mut conversation = core.accept().await;
    conversation.hear().await.expect("a request");
    signal(&child, Signal::INT);
    conversation.abandoned().await;
    let (_, err, code) = end(child).await;
    assert_eq!((err.as_str(), code), ("interrupted; core goes on with what it has begun\n", 130), "{call}");
}

pub async fn ctrl_c() {
    interrupted::<pb::ControlWorkloadOptions, pb::ControlWorkloadMessage>("ControlWorkload", &["workload", "stop", ID])
        .await;
    interrupted::<pb::RemoveWorkloadOptions, pb::RemoveWorkloadMessage>("RemoveWorkload", &["workload", "remove", ID])
        .await;
}

pub async fn a_node_whose_engine_answers_is_not_down() {
    let mut core = Core::<pb::GetNodeOptions, pb::Engine>::serving("GetNodeEngine").await;
    let child = start(&core.address, &["node", "down", "--check", "node1"]);
    let mut call = core.accept().await;
    assert_eq!(call.hear().await.unwrap().nodename, "node1");
    call.say(pb::Engine::default()).await;
    drop(call);
    let (_, err, code) = end(child).await;
    assert!(err.ends_with("[SetNode] node is not down\"\n") && code == 0, "{code}: {err}");
}

pub async fn a_node_whose_engine_does_not_answer_is_down() {
    let mut core = Core::<pb::SetNodeOptions, pb::Node>::serving("SetNode").await;
    let child = start(&core.address, &["node", "down", "--check", "node1"]);
    let mut call = core.accept().await;
    assert_eq!(call.hear().await.unwrap().bypass_opt(), pb::TriOpt::True);
    call.say(pb::Node::default()).await;
    drop(call);
    let (_, err, code) = end(child).await;
    assert!(err.ends_with("[SetNode] node node1 down\"\n") && code == 0, "{code}: {err}");
}
