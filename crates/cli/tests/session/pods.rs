//! What is asked about pods.

use crate::child::{end, start};
use crate::core::Core;
use eru_api::pb;
use tonic::Status;

/// To list what is in it core takes any name, as the original does; whoever mistypes one is told so nevertheless.
pub async fn one_that_is_not_there() {
    for (list, is_stream, words) in [
        ("ListPodNodes", false, &["pod", "nodes", "q"][..]),
        ("PodNodesStream", true, &["pod", "nodes", "--stream", "q"]),
        ("GetPodResource", false, &["pod", "resource", "q"]),
        ("PodResourceStream", true, &["pod", "resource", "--stream", "q"]),
    ] {
        // All of them name the pod in the first field, and nothing is an answer of each.
        let mut core = Core::<pb::GetPodOptions, pb::Nodes>::serving_all(vec![list, "GetPod"]).await;
        let child = start(&core.address, words);
        let mut call = core.accept().await;
        assert_eq!(call.hear().await.unwrap().name, "q", "{list}");
        if !is_stream {
            call.say(pb::Nodes::default()).await;
        }
        drop(call);
        let mut call = core.accept().await;
        assert_eq!(call.hear().await.unwrap().name, "q", "{list}");
        call.refuse(Status::not_found("no pod q")).await;
        drop(call);
        let (out, err, code) = end(child).await;
        assert!(out.is_empty() && err.contains("no pod q") && code == 4, "{list}: {code}: {out:?} {err}");
    }
}
