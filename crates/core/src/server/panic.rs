//! A panic costs the call that it happened in, never the process.

use bytes::Bytes;
use futures::FutureExt;
use http::{HeaderMap, Response};
use http_body::{Frame, SizeHint};
use std::{
    any::Any,
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};
use tonic::{Status, body::Body};

/// What a client reads of a panic: the details are in the log, as they may hold what is not the client's to see.
const TEXT: &str = "internal error: the call failed by a fault of core, which goes on; its log has the details";

/// Runs a call; a panic in it, or later in its stream, becomes INTERNAL.
pub(super) async fn guard(path: &str, call: impl Future<Output = Response<Body>>) -> Response<Body> {
    match AssertUnwindSafe(call).catch_unwind().await {
        Ok(response) => {
            let path: std::sync::Arc<str> = path.into();
            response.map(|inner| Body::new(Guarded { inner: Some(inner), path }))
        }
        Err(panic) => {
            report(path, &*panic);
            Status::internal(TEXT).into_http()
        }
    }
}

fn report(path: &str, panic: &(dyn Any + Send)) {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    tracing::error!(method = path, panic = text.unwrap_or("not a text"), "a handler panicked");
}

/// A body whose panics become a trailer.
struct Guarded {
    inner: Option<Body>,
    path: std::sync::Arc<str>,
}

impl http_body::Body for Guarded {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let Some(inner) = self.inner.as_mut() else { return Poll::Ready(None) };
        match catch_unwind(AssertUnwindSafe(|| Pin::new(inner).poll_frame(cx))) {
            Ok(polled) => polled,
            Err(panic) => {
                report(&self.path, &*panic);
                // What panicked is in no known state and is not asked again.
                self.inner = None;
                let mut trailers = HeaderMap::new();
                match Status::internal(TEXT).add_header(&mut trailers) {
                    Ok(()) => Poll::Ready(Some(Ok(Frame::trailers(trailers)))),
                    Err(status) => Poll::Ready(Some(Err(status))),
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(|inner| inner.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(SizeHint::default, |inner| inner.size_hint())
    }
}
