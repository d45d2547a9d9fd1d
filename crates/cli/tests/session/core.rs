//! A core that has one call or a few of a kind, and hands each of its conversations to the test.

use eru_api::pb;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::body::Body;
use tonic::codegen::{Service, http};
use tonic::server::{Grpc, NamedService, StreamingService};
use tonic::transport::Server;
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

/// How long a test waits for what must happen.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// A whole id, so that nobody asks for a list.
pub const ID: &str = "76bc45a2689355b0f068da2be4b5a13499fd0b1a1017bc76f27f9bef3321259d";

/// What both sides say in one call.
pub struct Conversation<M, A> {
    requests: Streaming<M>,
    answers: mpsc::Sender<Result<A, Status>>,
}

impl<M, A> Conversation<M, A> {
    /// What the command line says next; nothing when it has said all or is gone.
    pub async fn hear(&mut self) -> Option<M> {
        let message = tokio::time::timeout(PATIENCE, self.requests.message()).await.expect("it says something");
        message.unwrap_or_default()
    }

    pub async fn say(&self, answer: A) {
        tokio::time::timeout(PATIENCE, self.answers.send(Ok(answer))).await.expect("it listens").unwrap();
    }

    pub async fn refuse(&self, status: Status) {
        self.answers.send(Err(status)).await.unwrap();
    }

    /// Waits until the command line has let go of the call.
    pub async fn abandoned(&self) {
        tokio::time::timeout(PATIENCE, self.answers.closed()).await.expect("it lets go");
    }
}

impl<M> Conversation<M, pb::AttachWorkloadMessage> {
    pub async fn output(&self, id: &str, kind: pb::StdStreamType, data: &[u8]) {
        let message = pb::AttachWorkloadMessage {
            workload_id: id.into(),
            data: data.to_vec().into(),
            std_stream_type: kind as i32,
            ..Default::default()
        };
        self.say(message).await;
    }

    pub async fn exited(&self, id: &str, exit_code: i32) {
        let data = format!("[exitcode] {exit_code}").into();
        let workload_id = id.into();
        self.say(pb::AttachWorkloadMessage { workload_id, data, exited: true, exit_code, ..Default::default() }).await;
    }
}

/// The core.
pub struct Core<M, A> {
    pub address: String,
    conversations: mpsc::Receiver<Conversation<M, A>>,
}

impl<M, A> Core<M, A>
where
    M: prost::Message + Default + Send + 'static,
    A: prost::Message + Default + Send + 'static,
{
    /// Serves `call` on a port of its own, for as long as the runtime lives.
    pub async fn serving(call: &'static str) -> Self {
        Self::serving_all(vec![call]).await
    }

    /// The same with several calls, which look the same on the wire.
    pub async fn serving_all(calls: Vec<&'static str>) -> Self {
        let (sender, conversations) = mpsc::channel(1);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let rpc = Rpc { calls, sender };
        tokio::spawn(Server::builder().add_service(rpc).serve_with_incoming(TcpListenerStream::new(listener)));
        Self { address, conversations }
    }

    /// The next call.
    pub async fn accept(&mut self) -> Conversation<M, A> {
        tokio::time::timeout(PATIENCE, self.conversations.recv()).await.expect("somebody calls").unwrap()
    }
}

struct Rpc<M, A> {
    calls: Vec<&'static str>,
    sender: mpsc::Sender<Conversation<M, A>>,
}

impl<M, A> Clone for Rpc<M, A> {
    fn clone(&self) -> Self {
        Self { calls: self.calls.clone(), sender: self.sender.clone() }
    }
}

impl<M, A> NamedService for Rpc<M, A> {
    const NAME: &'static str = "pb.CoreRPC";
}

type Answer<T> = Pin<Box<dyn Future<Output = T> + Send>>;

impl<M, A> Service<http::Request<Body>> for Rpc<M, A>
where
    M: prost::Message + Default + Send + 'static,
    A: prost::Message + Default + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let rpc = self.clone();
        Box::pin(async move {
            let call = request.uri().path().strip_prefix("/pb.CoreRPC/");
            Ok(if call.is_some_and(|call| rpc.calls.contains(&call)) {
                // On the wire every call is a stream both ways; some have one message.
                Grpc::new(ProstCodec::<A, M>::default()).streaming(rpc, request).await
            } else {
                Status::unimplemented(request.uri().path().to_owned()).into_http()
            })
        })
    }
}

impl<M, A> StreamingService<M> for Rpc<M, A>
where
    M: prost::Message + Default + Send + 'static,
    A: prost::Message + Default + Send + 'static,
{
    type Response = A;
    type ResponseStream = ReceiverStream<Result<A, Status>>;
    type Future = Answer<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<M>>) -> Self::Future {
        let conversations = self.sender.clone();
        Box::pin(async move {
            let (answers, receiver) = mpsc::channel(1);
            let conversation = Conversation { requests: request.into_inner(), answers };
            conversations.send(conversation).await.map_err(|_| Status::unavailable("the test is over"))?;
            Ok(Response::new(ReceiverStream::new(receiver)))
        })
    }
}
