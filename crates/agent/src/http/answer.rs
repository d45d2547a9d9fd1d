//! The pages.

use super::metrics;
use crate::{
    report::Reporter,
    vitals::{Standing, Vitals},
};
use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use std::{fmt::Write, sync::Arc};

/// What an answer to anything else says.
const PATHS: &str = "nothing here; there are /healthz, /version and /metrics\n";
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The text format of Prometheus.
const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");

/// What the pages are made from.
pub(crate) struct Pages {
    pub(crate) vitals: Arc<Vitals>,
    pub(crate) reporter: Arc<Reporter>,
    pub(crate) nodename: String,
    pub(crate) version: String,
    /// The kind of runtime, as a word.
    pub(crate) runtime: &'static str,
}

impl Pages {
    /// Answers one request. A slash at the end makes no difference: the original's paths had one.
    pub(crate) fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        let path = path.strip_suffix('/').unwrap_or(path);
        let (status, content, text) = match path {
            "/healthz" | "/version" | "/metrics" if !matches!(*method, Method::GET | Method::HEAD) => {
                let mut refused = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET only\n".into());
                refused.headers_mut().insert(header::ALLOW, HeaderValue::from_static("GET, HEAD"));
                return refused;
            }
            "/healthz" => {
                let (healthy, text) = self.health();
                (if healthy { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }, TEXT, text)
            }
            "/version" => (StatusCode::OK, JSON, self.version()),
            "/metrics" => (StatusCode::OK, PROMETHEUS, metrics::text(self)),
            _ => (StatusCode::NOT_FOUND, TEXT, PATHS.into()),
        };
        page(status, content, text)
    }

    fn health(&self) -> (bool, String) {
        let (core, runtime) = (self.vitals.core(), self.vitals.runtime());
        let mut text = String::new();
        for (name, standing) in [("runtime", &runtime), ("core", &core)] {
            let _ = writeln!(text, "{name}: {}", in_words(standing));
        }
        (core.answers && runtime.answers, text)
    }

    fn version(&self) -> String {
        let version = serde_json::json!({
            "name": "eru-agent",
            "version": self.version,
            "node": self.nodename,
            "runtime": self.runtime,
        });
        format!("{version}\n")
    }
}

fn in_words(standing: &Standing) -> String {
    if standing.answers {
        return "ok".into();
    }
    format!("no answer for {} s: {}", standing.since.elapsed().as_secs(), standing.complaint)
}

fn page(status: StatusCode, content: HeaderValue, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, content);
    response
}
