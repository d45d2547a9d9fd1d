//! The streams over a real connection, in front of a server that answers everything else.

use super::*;
use crate::record::PlacementState::*;
use eru_api::pb::core_rpc_client::CoreRpcClient;
use std::{
    convert::Infallible,
    future::{Ready, ready},
    task::{Context, Poll},
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Code, body::Body, codegen::Service, server::NamedService, transport::Server};

/// Says of every call that it came through.
#[derive(Clone)]
struct Behind;

impl NamedService for Behind {
    const NAME: &'static str = "pb.CoreRPC";
}

impl Service<http::Request<Body>> for Behind {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        ready(Ok(Status::unimplemented(request.uri().path().to_owned()).into_http()))
    }
}

#[tokio::test]
async fn streams_are_served_and_everything_else_passes() {
    let mut world = World::new(TombstoneLimits::default());
    world.pod("p1").node("n1").alive("n1", true);
    world.place("n1", "a_web_AAAAAA", Running, Some("a1")).report("n1", "a1", true, 0).send();
    let shutdown = CancellationToken::new();
    let list: serve::List = std::sync::Arc::new(|_| Box::pin(async { Err(Status::resource_exhausted("listed")) }));
    let service = serve::intercept(Behind, world.cache.clone(), StreamLimits::new(2), list, shutdown.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = shutdown.clone();
    let server = tokio::spawn(
        Server::builder()
            .add_service(service)
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop.cancelled_owned()),
    );
    let mut client = CoreRpcClient::connect(format!("http://{address}")).await.unwrap();

    let status = client.info(pb::Empty {}).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unimplemented, "/pb.CoreRPC/Info"));

    let listed = client.list_workloads(pb::ListWorkloadsOptions::default()).await.unwrap_err();
    assert_eq!((listed.code(), listed.message()), (Code::ResourceExhausted, "listed"));

    // Headers are there before there is any message.
    let mut plain = client.workload_status_stream(options()).await.unwrap().into_inner();
    let mut extended = client.workload_status_stream(snapshot()).await.unwrap().into_inner();
    let refused = client.workload_status_stream(options()).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);

    let first = extended.message().await.unwrap().unwrap();
    assert_eq!((first.id.as_str(), first.kind), ("a1", pb::workload_status_stream_message::Kind::Snapshot as i32));
    assert!(!extended.message().await.unwrap().unwrap().resume_token.is_empty());
    world.report("n1", "a1", false, 0).send();
    let (plainly, more) = (plain.message().await.unwrap().unwrap(), extended.message().await.unwrap().unwrap());
    assert_eq!(plainly.workload, more.workload);
    assert_eq!((plainly.revision, more.revision), (0, world.revision.0));
    drop(extended);

    let bad = WorkloadStatusStreamOptions { nodename: "../x".into(), ..options() };
    let status = client.workload_status_stream(bad).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("got \"../x\""), "{}", status.message());

    shutdown.cancel();
    let status = plain.message().await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unavailable, "core is stopping"));
    drop((plain, client));
    server.await.unwrap().unwrap();
}
