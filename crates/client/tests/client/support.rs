//! A core that does as a test says: it answers pods, and hands every status stream to the test.

use eru_api::pb::{self, workload_status_stream_message::Kind};
use futures::future::BoxFuture;
use std::{
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    runtime::{Builder, Runtime},
    sync::{mpsc, oneshot},
};
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{
    Request, Response, Status,
    body::Body,
    codegen::{Service, http},
    server::{Grpc, NamedService, ServerStreamingService, UnaryService},
    transport::Server,
};
use tonic_prost::ProstCodec;

type Message = pb::WorkloadStatusStreamMessage;

/// How long a test waits for what must happen.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// A status stream that a client opened.
pub struct Opened {
    pub request: pb::WorkloadStatusStreamOptions,
    sender: mpsc::Sender<Result<Message, Status>>,
}

impl Opened {
    pub async fn send(&self, message: Message) {
        self.sender.send(Ok(message)).await.expect("the client reads");
    }

    /// Ends the stream with an error.
    pub async fn fail(self, status: Status) {
        self.sender.send(Err(status)).await.expect("the client reads");
    }

    /// Waits until the client has let go of the stream.
    pub async fn abandoned(&self) {
        tokio::time::timeout(PATIENCE, self.sender.closed()).await.expect("the client lets go of the stream");
    }
}

/// A core on a port of its own, until it is dropped.
pub struct FakeCore {
    pub address: String,
    pub calls: Arc<AtomicU32>,
    opened: mpsc::Receiver<Opened>,
    /// A runtime of its own, so that its connections end with it.
    runtime: Option<Runtime>,
}

impl FakeCore {
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap()).await
    }

    pub async fn start_at(address: SocketAddr) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let (streams, opened) = mpsc::channel(16);
        let calls = Arc::new(AtomicU32::new(0));
        let rpc = Rpc { streams, calls: calls.clone() };
        let (bound, address_of) = oneshot::channel();
        runtime.spawn(async move {
            // The port may still be held by the core that it was taken over from.
            let listener = loop {
                match TcpListener::bind(address).await {
                    Ok(listener) => break listener,
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            };
            bound.send(listener.local_addr().unwrap().to_string()).unwrap();
            Server::builder().add_service(rpc).serve_with_incoming(TcpListenerStream::new(listener)).await
        });
        let address = tokio::time::timeout(PATIENCE, address_of).await.expect("the port is free").unwrap();
        Self { address, calls, opened, runtime: Some(runtime) }
    }

    /// The next stream that a client opens.
    pub async fn accept(&mut self) -> Opened {
        tokio::time::timeout(PATIENCE, self.opened.recv()).await.expect("a client opens a stream").unwrap()
    }
}

impl Drop for FakeCore {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[derive(Clone)]
struct Rpc {
    streams: mpsc::Sender<Opened>,
    calls: Arc<AtomicU32>,
}

impl NamedService for Rpc {
    const NAME: &'static str = "pb.CoreRPC";
}

impl Service<http::Request<Body>> for Rpc {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let rpc = self.clone();
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/pb.CoreRPC/WorkloadStatusStream" => {
                    Grpc::new(ProstCodec::default()).server_streaming(rpc, request).await
                }
                "/pb.CoreRPC/ListPods" => Grpc::new(ProstCodec::default()).unary(Pods(rpc), request).await,
                "/pb.CoreRPC/AddPod" => Grpc::new(ProstCodec::default()).unary(AddPod(rpc), request).await,
                other => Status::unimplemented(other.to_owned()).into_http(),
            })
        })
    }
}

impl ServerStreamingService<pb::WorkloadStatusStreamOptions> for Rpc {
    type Response = Message;
    type ResponseStream = ReceiverStream<Result<Message, Status>>;
    type Future = BoxFuture<'static, Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<pb::WorkloadStatusStreamOptions>) -> Self::Future {
        let streams = self.streams.clone();
        Box::pin(async move {
            let (sender, receiver) = mpsc::channel(16);
            let opened = Opened { request: request.into_inner(), sender };
            streams.send(opened).await.map_err(|_| Status::unavailable("the test is over"))?;
            Ok(Response::new(ReceiverStream::new(receiver)))
        })
    }
}

struct Pods(Rpc);

impl UnaryService<pb::Empty> for Pods {
    type Response = pb::Pods;
    type Future = BoxFuture<'static, Result<Response<pb::Pods>, Status>>;

    fn call(&mut self, request: Request<pb::Empty>) -> Self::Future {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        let user = request.metadata().get("me").and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
        let pod = pb::Pod { name: "pod1".into(), desc: user };
        Box::pin(async move { Ok(Response::new(pb::Pods { pods: vec![pod] })) })
    }
}

struct AddPod(Rpc);

impl UnaryService<pb::AddPodOptions> for AddPod {
    type Response = pb::Pod;
    type Future = BoxFuture<'static, Result<Response<pb::Pod>, Status>>;

    fn call(&mut self, request: Request<pb::AddPodOptions>) -> Self::Future {
        self.0.calls.fetch_add(1, Ordering::SeqCst);
        let name = request.into_inner().name;
        Box::pin(async move {
            match name.as_str() {
                "hang" => std::future::pending().await,
                "bad" => Err(Status::invalid_argument("pod name is bad")),
                _ => Ok(Response::new(pb::Pod { name, ..Default::default() })),
            }
        })
    }
}

pub fn workload(kind: Kind, id: &str, revision: i64, healthy: bool) -> Message {
    let workload =
        pb::Workload { id: id.into(), name: format!("app_web_{id:0>6}"), nodename: "n1".into(), ..Default::default() };
    let status = pb::WorkloadStatus { id: id.into(), running: true, healthy, ..Default::default() };
    Message { workload: Some(workload), status: Some(status), ..mark(kind, id, revision) }
}

pub fn mark(kind: Kind, id: &str, revision: i64) -> Message {
    let resume_token = match kind {
        Kind::Synced | Kind::Bookmark => revision.to_string().into(),
        _ => bytes::Bytes::new(),
    };
    Message { id: id.into(), kind: kind.into(), revision, resume_token, ..Default::default() }
}

pub fn removal(id: &str, revision: i64) -> Message {
    Message { delete: true, error: "workload was removed".into(), ..mark(Kind::Change, id, revision) }
}
