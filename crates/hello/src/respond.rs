//! What is answered.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use std::{
    cell::Cell,
    convert::Infallible,
    future::pending,
    time::{Duration, Instant},
};

/// What a server was told so far. It has one thread, so cells suffice.
#[derive(Debug)]
pub struct State {
    /// Who it says it is.
    pub name: String,
    failing: Cell<bool>,
    fails_at: Option<Instant>,
    hanging: Cell<bool>,
    exit_code: Cell<Option<u8>>,
}

impl State {
    /// A healthy server of that name.
    pub fn new(name: String, fail_health_after: Option<Duration>) -> Self {
        Self {
            name,
            failing: Cell::new(false),
            fails_at: fail_health_after.map(|after| Instant::now() + after),
            hanging: Cell::new(false),
            exit_code: Cell::new(None),
        }
    }

    /// The exit code that was asked for.
    pub fn exit_code(&self) -> Option<u8> {
        self.exit_code.get()
    }

    fn is_healthy(&self) -> bool {
        !self.failing.get() && self.fails_at.is_none_or(|at| Instant::now() < at)
    }
}

/// Answers one request, or never while hanging.
pub async fn respond<B>(state: &State, request: Request<B>) -> Result<Response<Full<Bytes>>, Infallible> {
    if state.hanging.get() {
        return pending().await;
    }
    let (status, text) = answer(state, request.method(), request.uri().path(), request.uri().query());
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if state.exit_code().is_some() {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

fn answer(state: &State, method: &Method, path: &str, query: Option<&str>) -> (StatusCode, String) {
    let allowed = match path {
        "/" | "/health" => [Method::GET, Method::HEAD].contains(method),
        "/fail" | "/heal" | "/hang" | "/exit" => *method == Method::POST,
        _ => return (StatusCode::NOT_FOUND, "not found: there are /, /health, /fail, /heal, /hang and /exit\n".into()),
    };
    if !allowed {
        let wanted = if path == "/" || path == "/health" { "GET" } else { "POST" };
        return (StatusCode::METHOD_NOT_ALLOWED, format!("{path} wants {wanted}\n"));
    }
    match path {
        "/" => (StatusCode::OK, format!("hello from {} pid {}\n", state.name, std::process::id())),
        "/health" if state.is_healthy() => (StatusCode::OK, "ok\n".into()),
        "/health" => (StatusCode::SERVICE_UNAVAILABLE, "failing, as asked\n".into()),
        "/fail" => {
            state.failing.set(true);
            (StatusCode::OK, "health fails from now on\n".into())
        }
        "/heal" => {
            state.failing.set(false);
            (StatusCode::OK, "health is as it was\n".into())
        }
        "/hang" => {
            state.hanging.set(true);
            (StatusCode::OK, "this is the last answer\n".into())
        }
        _ => match code(query) {
            Some(code) => {
                state.exit_code.set(Some(code));
                (StatusCode::OK, format!("ends with code {code}\n"))
            }
            None => (StatusCode::BAD_REQUEST, "/exit wants code=N, a number from 0 to 255\n".into()),
        },
    }
}

/// The exit code of a query; 0 without one.
fn code(query: Option<&str>) -> Option<u8> {
    match query {
        None | Some("") => Some(0),
        Some(query) => query.strip_prefix("code=")?.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(state: &State, method: Method, target: &str) -> (u16, String) {
        let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
        let (status, text) = answer(state, &method, path, query);
        (status.as_u16(), text)
    }

    #[test]
    fn health_follows_what_was_asked() {
        let state = State::new("3".into(), None);
        let health = || ask(&state, Method::GET, "/health").0;
        assert_eq!(ask(&state, Method::GET, "/").1, format!("hello from 3 pid {}\n", std::process::id()));
        assert_eq!(health(), 200);
        ask(&state, Method::POST, "/fail");
        assert_eq!(health(), 503);
        ask(&state, Method::POST, "/heal");
        assert_eq!(health(), 200);
        let late = State::new("3".into(), Some(Duration::ZERO));
        assert_eq!(ask(&late, Method::GET, "/health").0, 503);
    }

    #[test]
    fn odd_requests_change_nothing() {
        let state = State::new("3".into(), None);
        for (method, target, status) in [
            (Method::GET, "/fail", 405),
            (Method::GET, "/exit", 405),
            (Method::POST, "/", 405),
            (Method::GET, "/x", 404),
            (Method::GET, "/../health", 404),
            (Method::POST, "/exit?code=256", 400),
            (Method::POST, "/exit?code=x", 400),
            (Method::POST, "/exit?other=1", 400),
        ] {
            assert_eq!(ask(&state, method, target).0, status, "{target}");
        }
        assert_eq!(state.exit_code(), None);
        assert_eq!(ask(&state, Method::POST, "/exit?code=9").0, 200);
        assert_eq!(state.exit_code(), Some(9));
    }
}
