//! `WorkloadStatusStream` and `ListWorkloads` in front of the generated server: their messages are bytes already, and the
//! generated code could only encode them again for each client.

use super::{Frame, StreamLimits, Subscribe, subscribe};
use crate::cache::Cache;
use bytes::BufMut;
use eru_api::pb;
use futures::{FutureExt, Stream, future::BoxFuture};
use prost::Message;
use std::{
    convert::Infallible,
    future::{Ready, ready},
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status,
    body::Body,
    codec::{BufferSettings, Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    codegen::{Body as HttpBody, Service, StdError},
    server::{Grpc, NamedService, ServerStreamingService},
};

/// The methods that are answered here.
const STATUS_STREAM: &str = "/pb.CoreRPC/WorkloadStatusStream";
const LIST: &str = "/pb.CoreRPC/ListWorkloads";
/// What an idle stream holds ready for its next message, in bytes: a small message. tonic's own 8 KiB would be most of
/// what an idle stream costs.
const BUFFER_BYTES: usize = 1024;
/// How many bytes are put together before they are sent, while more messages are ready.
const BATCH_BYTES: usize = 32 * 1024;

/// Answers `ListWorkloads` in encoded form.
pub type List = Arc<dyn Fn(pb::ListWorkloadsOptions) -> BoxFuture<'static, Result<Frames, Status>> + Send + Sync>;

/// Puts `WorkloadStatusStream` and `ListWorkloads` in front of `inner`, which answers everything else.
pub fn intercept<S>(
    inner: S,
    cache: Arc<Cache>,
    limits: StreamLimits,
    list: List,
    shutdown: CancellationToken,
) -> Intercept<S> {
    let request_bytes_max = limits.request_bytes_max;
    Intercept { inner, status: StatusStream { cache, limits, shutdown }, list: ListMethod(list), request_bytes_max }
}

/// A server of `CoreRPC` with our own way of its two large streams.
#[derive(Clone)]
pub struct Intercept<S> {
    inner: S,
    status: StatusStream,
    list: ListMethod,
    request_bytes_max: usize,
}

impl<S: NamedService> NamedService for Intercept<S> {
    const NAME: &'static str = S::NAME;
}

impl<S, B> Service<http::Request<B>> for Intercept<S>
where
    S: Service<http::Request<B>, Response = http::Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
    B: HttpBody + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        match request.uri().path() {
            STATUS_STREAM => answer(self.status.clone(), request, self.request_bytes_max),
            LIST => answer(self.list.clone(), request, self.request_bytes_max),
            _ => self.inner.call(request).boxed(),
        }
    }
}

fn answer<M, R, B>(
    method: M,
    request: http::Request<B>,
    bytes_max: usize,
) -> BoxFuture<'static, Result<http::Response<Body>, Infallible>>
where
    M: ServerStreamingService<R, Response = Frame> + Send + 'static,
    M::ResponseStream: Send + 'static,
    M::Future: Send + 'static,
    R: Message + Default + 'static,
    B: HttpBody + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    async move {
        let mut grpc = Grpc::new(FrameCodec::<R>::default()).apply_max_message_size_config(Some(bytes_max), None);
        Ok(grpc.server_streaming(method, request).await)
    }
    .boxed()
}

#[derive(Clone)]
struct ListMethod(List);

impl ServerStreamingService<pb::ListWorkloadsOptions> for ListMethod {
    type Response = Frame;
    type ResponseStream = Frames;
    type Future = BoxFuture<'static, Result<Response<Frames>, Status>>;

    fn call(&mut self, request: Request<pb::ListWorkloadsOptions>) -> Self::Future {
        let listed = (self.0)(request.into_inner());
        async move { listed.await.map(Response::new) }.boxed()
    }
}

#[derive(Clone)]
struct StatusStream {
    cache: Arc<Cache>,
    limits: StreamLimits,
    shutdown: CancellationToken,
}

/// Encoded messages.
pub type Frames = Pin<Box<dyn Stream<Item = Result<Frame, Status>> + Send>>;

impl ServerStreamingService<pb::WorkloadStatusStreamOptions> for StatusStream {
    type Response = Frame;
    type ResponseStream = Frames;
    type Future = Ready<Result<Response<Frames>, Status>>;

    fn call(&mut self, request: Request<pb::WorkloadStatusStreamOptions>) -> Self::Future {
        ready(self.open(request.into_inner()).map(Response::new))
    }
}

impl StatusStream {
    fn open(&self, options: pb::WorkloadStatusStreamOptions) -> Result<Frames, Status> {
        let wanted = Subscribe::parse(options, &self.limits)?;
        Ok(Box::pin(subscribe(self.cache.clone(), wanted, &self.limits, self.shutdown.clone())?))
    }
}

/// Requests are decoded as ever; answers are bytes.
#[derive(Debug)]
struct FrameCodec<R>(PhantomData<fn() -> R>);

impl<R> Default for FrameCodec<R> {
    fn default() -> Self {
        Self(PhantomData)
    }
}

impl<R: Message + Default + 'static> Codec for FrameCodec<R> {
    type Encode = Frame;
    type Decode = R;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self::default()
    }

    fn decoder(&mut self) -> Self {
        Self::default()
    }
}

impl<R> Encoder for FrameCodec<R> {
    type Item = Frame;
    type Error = Status;

    fn encode(&mut self, frame: Frame, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.reserve(frame.len());
        buffer.put_slice(&frame.body);
        buffer.put_slice(&frame.tail);
        Ok(())
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, BATCH_BYTES)
    }
}

impl<R: Message + Default> Decoder for FrameCodec<R> {
    type Item = R;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<R>, Status> {
        R::decode(buffer).map(Some).map_err(|error| Status::internal(format!("the request does not decode: {error}")))
    }

    fn buffer_settings(&self) -> BufferSettings {
        BufferSettings::new(BUFFER_BYTES, BATCH_BYTES)
    }
}
