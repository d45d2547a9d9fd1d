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
