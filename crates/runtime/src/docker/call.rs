//! One request to a daemon.

use super::target::Target;
use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use http::{HeaderValue, Method, header, header::HeaderName};
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use hyper::body::Frame;
use serde::Serialize;
use std::{fmt, io, time::Duration};

/// How much longer than a question something may take that changes containers, images or networks.
const CHANGE_FACTOR: u32 = 4;

/// The body of a request.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A request, and how long its answer may take.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    pub(super) body: Body,
    /// The body once more, where it is not a stream.
    bytes: Option<Bytes>,
    extra: Duration,
}

impl Call {
    /// A question.
    pub(super) fn get(target: Target) -> Self {
        Self::new(Method::GET, target)
    }

    /// A change.
    pub(super) fn post(target: Target) -> Self {
        Self::new(Method::POST, target)
    }

    pub(super) fn new(method: Method, target: Target) -> Self {
        let bytes = Bytes::new();
        Self {
            method,
            target,
            headers: Vec::new(),
            body: full(bytes.clone()),
            bytes: Some(bytes),
            extra: Duration::ZERO,
        }
    }

    /// With a JSON body.
    pub(super) fn json(mut self, value: &impl Serialize) -> Self {
        let bytes = Bytes::from(serde_json::to_vec(value).expect("requests have text for keys"));
        self.body = full(bytes.clone());
        self.bytes = Some(bytes);
        self.header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    /// With a tar archive as its body.
    pub(super) fn archive(mut self, pieces: impl Stream<Item = io::Result<Bytes>> + Send + 'static) -> Self {
        self.body = StreamBody::new(pieces.map_ok(Frame::data)).boxed_unsync();
        self.bytes = None;
        self.header(header::CONTENT_TYPE, HeaderValue::from_static("application/x-tar"))
    }

    /// With one more header.
    pub(super) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    /// Asks for the connection itself.
    pub(super) fn hijacking(self) -> Self {
        self.header(header::CONNECTION, HeaderValue::from_static("Upgrade"))
            .header(header::UPGRADE, HeaderValue::from_static("tcp"))
    }

    /// Its answer may take that much longer.
    pub(super) fn longer(mut self, extra: Duration) -> Self {
        self.extra = extra;
        self
    }

    /// How long its answer may take, where a question may take `question`.
    pub(super) fn deadline(&self, question: Duration) -> Duration {
        let factor = if self.method == Method::GET { 1 } else { CHANGE_FACTOR };
        question * factor + self.extra
    }

    /// The same call, to be made once more; `None` where its body is a stream.
    pub(super) fn again(&mut self) -> Option<Self> {
        let bytes = self.bytes.clone()?;
        Some(Self {
            method: self.method.clone(),
            target: self.target.clone(),
            headers: self.headers.clone(),
            body: full(bytes.clone()),
            bytes: Some(bytes),
            extra: self.extra,
        })
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.target.as_str())
    }
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed_unsync()
}
