//! Engines that hang, that talk nonsense, that refuse: none of them becomes a node, and the reason is told.

use crate::support::start_with;
use eru_api::pb;
use std::time::{Duration, Instant};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    task::JoinHandle,
};
use tonic::Code;

/// Something on a port that answers whatever it is asked with `answer`; nothing at all when that is empty.
async fn engine(answer: &'static str) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    let serving = tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut question = [0; 4096];
            if stream.read(&mut question).await.is_ok() && !answer.is_empty() {
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            }
            // Kept, as a daemon that hangs keeps it.
            open.push(stream);
        }
    });
    (endpoint, serving)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_engine_is_refused_with_the_reason_and_in_time() {
    let patience = Duration::from_millis(800);
    let mut core = start_with(|options| options.settings.connection_timeout = patience).await.with_nodes(&[]).await;
    let add = |endpoint: String| pb::AddNodeOptions {
        nodename: "d1".into(),
        podname: "p".into(),
        endpoint,
        ..pb::AddNodeOptions::default()
    };
    let page =
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\nConnection: close\r\n\r\n<html>Hi</html>";
    let old = "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nContent-Length: 39\r\nConnection: close\r\n\r\n\
               {\"message\":\"client version is too new\"}";
    let cases = [
        ("", Some(Code::Unavailable), "did not answer"),
        ("SSH-2.0-OpenSSH_9.0\r\n", None, ""),
        (page, None, ""),
        (old, None, "client version is too new"),
    ];
    for (answer, code, part) in cases {
        let (endpoint, serving) = engine(answer).await;
        let begun = Instant::now();
        let refused = core.client.add_node(add(endpoint.clone())).await.unwrap_err();
        assert!(begun.elapsed() < patience * 10, "{answer:?} took {:?}", begun.elapsed());
        let text = refused.message();
        assert!(text.starts_with(&format!("engine at {endpoint} ")) && text.contains(part), "{answer:?}: {text}");
        assert!(code.is_none_or(|code| code == refused.code()), "{answer:?}: {refused:?}");
        serving.abort();
    }
    let nobody = core.client.add_node(add("tcp://127.0.0.1:1".into())).await.unwrap_err();
    assert!(nobody.message().contains("tcp://127.0.0.1:1 did not answer"), "{nobody:?}");
    let half = pb::AddNodeOptions { ca: "-----BEGIN CERTIFICATE-----".into(), ..add("tcp://127.0.0.1:1".into()) };
    let refused = core.client.add_node(half).await.unwrap_err();
    assert_eq!(refused.message(), "ca, cert and key are given together or not at all");
    let pem = "-----BEGIN CERTIFICATE-----\nc2VjcmV0\n-----END CERTIFICATE-----\n".to_owned();
    let bad = pb::AddNodeOptions { ca: pem.clone(), cert: pem.clone(), key: pem, ..add("tcp://127.0.0.1:1".into()) };
    let refused = core.client.add_node(bad).await.unwrap_err();
    assert!(refused.code() == Code::InvalidArgument && !refused.message().contains("c2VjcmV0"), "{refused:?}");
    let nodes =
        core.client.list_pod_nodes(pb::ListNodesOptions { podname: "p".into(), all: true, ..Default::default() });
    assert!(nodes.await.unwrap().into_inner().nodes.is_empty());
    assert_eq!(core.handle.cluster.engines.open_len(), 0);
    core.stop().await;
}
