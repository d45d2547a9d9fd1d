//! The server itself: who may come in, what it offers, how it ends.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod support;

use eru_api::pb::{self, core_rpc_client::CoreRpcClient};
use eru_config::Secret;
use eru_core::options::Auth;
use std::time::Duration;
use support::{start, start_with};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tonic::{Code, Request, metadata::MetadataKey};

#[tokio::test]
async fn info_says_who_answers() {
    let mut core = start().await;
    let info = core.client.info(pb::Empty {}).await.unwrap().into_inner();
    assert_eq!(info.identifier.len(), 40);
    assert_eq!((info.store.as_str(), info.version.as_str()), ("embedded", env!("CARGO_PKG_VERSION")));
    assert!(info.revision > 0 && !info.store_id.is_empty() && info.started_at.ends_with('Z'), "{info:?}");
    core.stop().await;
}

#[tokio::test]
async fn nobody_comes_in_without_the_password() {
    let core = start_with(|o| o.auth = Some(Auth { username: "admin".into(), password: Secret::new("secret") })).await;
    let mut client = core.client.clone();
    let no_name = client.list_pods(pb::Empty {}).await.unwrap_err();
    assert_eq!((no_name.code(), no_name.message()), (Code::Unauthenticated, "invaild username"));
    let with = |password: &'static str| {
        let mut request = Request::new(pb::Empty {});
        let key = MetadataKey::from_static("admin");
        request.metadata_mut().insert(key, password.parse().unwrap());
        request
    };
    let wrong = client.list_pods(with("secre")).await.unwrap_err();
    assert_eq!((wrong.code(), wrong.message()), (Code::Unauthenticated, "invaild password"));
    client.list_pods(with("secret")).await.unwrap();
    core.stop().await;
}

#[tokio::test]
async fn health_and_both_reflections_answer() {
    use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
    use tonic_reflection::pb::{v1, v1alpha};
    let core = start().await;
    let mut health = HealthClient::new(core.channel.clone());
    for service in ["", "pb.CoreRPC", "eru.agent.v1.Agent"] {
        let answer = health.check(HealthCheckRequest { service: service.into() }).await.unwrap().into_inner();
        assert_eq!(answer.status, 1, "{service} serves");
    }
    let ask = v1::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1::server_reflection_request::MessageRequest::FileContainingSymbol("pb.CoreRPC".into())),
    };
    let mut reflection = v1::server_reflection_client::ServerReflectionClient::new(core.channel.clone());
    let asked = futures::stream::iter([ask]);
    let answer = reflection.server_reflection_info(asked).await.unwrap().into_inner().message().await.unwrap().unwrap();
    let Some(v1::server_reflection_response::MessageResponse::FileDescriptorResponse(files)) = answer.message_response
    else {
        panic!("{answer:?}")
    };
    assert!(!files.file_descriptor_proto.is_empty());
    let ask = v1alpha::ServerReflectionRequest {
        host: String::new(),
        message_request: Some(v1alpha::server_reflection_request::MessageRequest::ListServices(String::new())),
    };
    let mut reflection = v1alpha::server_reflection_client::ServerReflectionClient::new(core.channel.clone());
    let asked = futures::stream::iter([ask]);
    let answer = reflection.server_reflection_info(asked).await.unwrap().into_inner().message().await.unwrap().unwrap();
    let Some(v1alpha::server_reflection_response::MessageResponse::ListServicesResponse(list)) =
        answer.message_response
    else {
        panic!("{answer:?}")
    };
    let names: Vec<&str> = list.service.iter().map(|s| s.name.as_str()).collect();
    assert!(names.contains(&"pb.CoreRPC") && names.contains(&"eru.agent.v1.Agent"), "{names:?}");
    core.stop().await;
}

#[tokio::test]
async fn streams_end_with_a_word_when_core_stops() {
    let mut core = start().await;
    let mut cores = core.client.watch_service_status(pb::Empty {}).await.unwrap().into_inner();
    let first = cores.message().await.unwrap().unwrap();
    assert_eq!((first.addresses, first.interval_in_second), (vec![core.handle.address.to_string()], 30));
    let mut nodes = core.client.node_status_stream(pb::Empty {}).await.unwrap().into_inner();
    let options = pb::WorkloadStatusStreamOptions { bookmark_interval_ms: 0, ..Default::default() };
    let mut statuses = core.client.workload_status_stream(options).await.unwrap().into_inner();
    core.shut_down();
    assert_eq!(cores.message().await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(nodes.message().await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(statuses.message().await.unwrap_err().code(), Code::Unavailable);
    core.stop().await;
}

#[tokio::test]
async fn open_streams_are_bounded_and_calls_are_not_held_up_by_them() {
    let mut core = start_with(|o| o.limits.streams_max = 2).await;
    let first = core.client.watch_service_status(pb::Empty {}).await.unwrap();
    let _second = core.client.node_status_stream(pb::Empty {}).await.unwrap();
    let third = core.client.watch_service_status(pb::Empty {}).await.unwrap_err();
    assert_eq!(third.code(), Code::ResourceExhausted, "{third:?}");
    core.client.info(pb::Empty {}).await.unwrap();
    drop(first);
    support::eventually("a place to become free", || {
        let mut client = core.client.clone();
        async move { client.watch_service_status(pb::Empty {}).await.ok() }
    })
    .await;
    core.stop().await;
}

#[tokio::test]
async fn a_header_that_is_too_large_is_refused_and_core_lives() {
    let mut core = start().await;
    let mut request = Request::new(pb::Empty {});
    request.metadata_mut().insert("x-large", "a".repeat(64 * 1024).parse().unwrap());
    assert!(core.client.list_pods(request).await.is_err());
    support::eventually("core to answer", || {
        let mut client = core.client.clone();
        async move { client.info(pb::Empty {}).await.ok() }
    })
    .await;
    core.stop().await;
}

/// Ends when the other side closes the connection.
async fn closed(mut stream: TcpStream) {
    let mut buffer = [0; 1024];
    let reading = async { while matches!(stream.read(&mut buffer).await, Ok(1..)) {} };
    tokio::time::timeout(support::PATIENCE, reading).await.expect("core closes the connection");
}

#[tokio::test]
async fn connections_that_say_nothing_are_closed_and_others_get_their_places() {
    let mut core = start_with(|o| {
        o.limits.connections_max = 3;
        o.limits.handshake = Duration::from_millis(200);
    })
    .await;
    let silent = TcpStream::connect(core.handle.address).await.unwrap();
    let mut slow = TcpStream::connect(core.handle.address).await.unwrap();
    slow.write_all(b"PRI * HTTP/2.0").await.unwrap();
    let another = CoreRpcClient::connect(format!("http://{}", core.handle.address));
    let mut another = tokio::time::timeout(support::PATIENCE, another).await.unwrap().unwrap();
    let asked = tokio::time::timeout(support::PATIENCE, another.info(pb::Empty {})).await;
    asked.expect("the third place is free in time").unwrap();
    closed(silent).await;
    closed(slow).await;
    core.client.info(pb::Empty {}).await.expect("who has begun may be silent");
    core.stop().await;
}

#[tokio::test]
async fn one_address_does_not_take_all_connections() {
    let mut core = start_with(|o| o.limits.connections_per_ip_max = 2).await;
    let second = TcpStream::connect(core.handle.address).await.unwrap();
    closed(TcpStream::connect(core.handle.address).await.unwrap()).await;
    core.client.info(pb::Empty {}).await.unwrap();
    drop(second);
    support::eventually("the place to be free", || async {
        let mut client = CoreRpcClient::connect(format!("http://{}", core.handle.address)).await.ok()?;
        client.info(pb::Empty {}).await.ok()
    })
    .await;
    core.stop().await;
}

#[tokio::test]
async fn the_largest_request_holds_for_streams_and_lists_too() {
    let mut core = start_with(|o| o.limits.recv_message_bytes_max = 64 * 1024).await;
    let labels: std::collections::BTreeMap<_, _> = [("a".to_owned(), "x".repeat(100 * 1024))].into();
    let list = pb::ListWorkloadsOptions { labels: labels.clone(), ..Default::default() };
    let listed = core.client.list_workloads(list).await.unwrap_err();
    let watch = pb::WorkloadStatusStreamOptions { labels, ..Default::default() };
    let watched = core.client.workload_status_stream(watch).await.unwrap_err();
    for refused in [listed, watched] {
        assert_eq!(refused.code(), Code::OutOfRange, "{refused:?}");
        assert!(refused.message().contains("65536"), "{refused:?}");
    }
    core.stop().await;
}
