//! Which service answers a call: by the first part of its path.

use super::{auth, panic};
use crate::options::Auth;
use futures::{FutureExt, future::BoxFuture};
use http::{Request, Response};
use std::{collections::HashMap, convert::Infallible, sync::Arc, task};
use tonic::{Status, body::Body, codegen::Service};

type Handler = Arc<dyn Fn(Request<Body>) -> BoxFuture<'static, Response<Body>> + Send + Sync>;

/// The services of this core behind authentication and the guard against panics.
#[derive(Clone, Default)]
pub(super) struct Router {
    services: Arc<HashMap<&'static str, Handler>>,
    auth: Option<Arc<Auth>>,
}

/// Collects the services of a [`Router`].
#[derive(Default)]
pub(super) struct Builder(HashMap<&'static str, Handler>);

impl Builder {
    /// Adds a generated service, whose full name is `name`.
    pub(super) fn add<S>(mut self, name: &'static str, service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible> + Clone + Send + Sync + 'static,
        S::Future: Send + 'static,
    {
        // Generated services are always ready, so that nobody has to ask them.
        let call = move |request| -> BoxFuture<'static, Response<Body>> {
            service.clone().call(request).map(|answer| answer.unwrap_or_else(|never| match never {})).boxed()
        };
        self.0.insert(name, Arc::new(call));
        self
    }

    pub(super) fn build(self, auth: Option<Auth>) -> Router {
        Router { services: Arc::new(self.0), auth: auth.map(Arc::new) }
    }
}

impl Router {
    async fn answer(self, request: Request<Body>) -> Response<Body> {
        if let Some(auth) = &self.auth
            && let Err(status) = auth::check(auth, request.headers())
        {
            return status.into_http();
        }
        let path = request.uri().path().to_owned();
        let service = path.strip_prefix('/').and_then(|p| p.split('/').next()).and_then(|name| self.services.get(name));
        match service {
            Some(service) => panic::guard(&path, async { service(request).await }).await,
            None => {
                let path = eru_types::name::excerpt(&path);
                Status::unimplemented(format!("no such method: {path}")).into_http()
            }
        }
    }
}

impl Service<Request<Body>> for Router {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
        task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.clone().answer(request).map(Ok).boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eru_config::Secret;
    use http_body_util::BodyExt;
    use std::pin::Pin;

    /// A service whose method `Call` panics at once, `Stream` after its first message, and `Fine` answers.
    #[derive(Clone)]
    struct Faulty;

    impl Service<Request<Body>> for Faulty {
        type Response = Response<Body>;
        type Error = Infallible;
        type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

        fn poll_ready(&mut self, _: &mut task::Context<'_>) -> task::Poll<Result<(), Infallible>> {
            task::Poll::Ready(Ok(()))
        }

        fn call(&mut self, request: Request<Body>) -> Self::Future {
            async move {
                match request.uri().path() {
                    "/faulty/Call" => panic!("a fault"),
                    "/faulty/Stream" => Ok(Response::new(Body::new(PanicsSecond { polled: false }))),
                    _ => Ok(Status::ok("").into_http()),
                }
            }
            .boxed()
        }
    }

    struct PanicsSecond {
        polled: bool,
    }

    impl http_body::Body for PanicsSecond {
        type Data = bytes::Bytes;
        type Error = Status;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut task::Context<'_>,
        ) -> task::Poll<Option<Result<http_body::Frame<bytes::Bytes>, Status>>> {
            assert!(!self.polled, "a fault in a stream");
            self.polled = true;
            task::Poll::Ready(Some(Ok(http_body::Frame::data(bytes::Bytes::from_static(b"first")))))
        }
    }

    async fn code(router: &Router, path: &str, headers: &[(&'static str, &'static str)]) -> String {
        let mut request = Request::builder().uri(path);
        for (key, value) in headers {
            request = request.header(*key, *value);
        }
        let answer = router.clone().call(request.body(Body::empty()).unwrap()).await.unwrap();
        let in_head = answer.headers().get("grpc-status").cloned();
        let collected = answer.into_body().collect().await.unwrap();
        let in_tail = collected.trailers().and_then(|t| t.get("grpc-status").cloned());
        in_head.or(in_tail).unwrap().to_str().unwrap().to_owned()
    }

    #[tokio::test]
    async fn a_panic_costs_its_call_and_nothing_else() {
        let router = Builder::default().add("faulty", Faulty).build(None);
        for _ in 0..3 {
            assert_eq!(code(&router, "/faulty/Call", &[]).await, "13");
            assert_eq!(code(&router, "/faulty/Stream", &[]).await, "13");
            assert_eq!(code(&router, "/faulty/Fine", &[]).await, "0");
        }
    }

    #[tokio::test]
    async fn what_nobody_serves_is_unimplemented() {
        let router = Builder::default().add("faulty", Faulty).build(None);
        for path in ["/", "/nobody/Call", "/faultyx/Fine", "//faulty/Fine", "/x/../faulty/Fine"] {
            assert_eq!(code(&router, path, &[]).await, "12", "{path}");
        }
    }

    #[tokio::test]
    async fn nothing_is_called_without_the_password() {
        let auth = Auth { username: "admin".into(), password: Secret::new("secret") };
        let router = Builder::default().add("faulty", Faulty).build(Some(auth));
        assert_eq!(code(&router, "/faulty/Call", &[]).await, "16");
        assert_eq!(code(&router, "/faulty/Fine", &[("admin", "wrong")]).await, "16");
        assert_eq!(code(&router, "/faulty/Fine", &[("admin", "secret")]).await, "0");
    }
}
