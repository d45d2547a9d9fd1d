//! HTTP/1.1 to a daemon: one version for all paths, a deadline for every answer, a bound for every body.

use super::{
    call::{Body, Call},
    connect::Connector,
    fault::{Fault, chain},
    options::Endpoint,
    target::Target,
    version::{ApiVersion, ServerVersion},
};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};
use parking_lot::Mutex;
use serde::{Deserialize, de::DeserializeOwned};
use std::{
    error::Error,
    sync::Arc,
    time::{Duration, Instant},
};

/// Largest JSON answer: a list of ten thousand containers is about 25 MB.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Largest answer that is read of a refusal, or of who is there.
const REFUSAL_BYTES_MAX: usize = 64 * 1024;
/// An idle connection is closed after that time.
const IDLE_FOR: Duration = Duration::from_secs(30);
/// Most connections that are kept idle: what one list asks at once.
const IDLE_LEN_MAX: usize = 16;

/// The way to one daemon. Clones share connections and what was agreed upon.
#[derive(Clone)]
pub(super) struct Transport(Arc<Inner>);

struct Inner {
    client: Client<Connector, Body>,
    connector: Connector,
    answer_within: Duration,
    agreed: Mutex<Agreed>,
}

/// What was agreed upon with a daemon.
#[derive(Default)]
struct Agreed {
    version: Option<ApiVersion>,
    /// How often there was something to agree upon.
    generation: u64,
}

impl Transport {
    pub(super) fn new(endpoint: Endpoint, answer_within: Duration) -> Self {
        let connector = Connector::new(endpoint);
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE_FOR)
            .pool_max_idle_per_host(IDLE_LEN_MAX)
            .build(connector.clone());
        Self(Arc::new(Inner { client, connector, answer_within, agreed: Mutex::default() }))
    }

    pub(super) fn connector(&self) -> &Connector {
        &self.0.connector
    }

    /// Grows when whoever answers may be another than before.
    pub(super) fn generation(&self) -> u64 {
        self.0.agreed.lock().generation
    }

    /// Waits for the head of the answer; its body may go on for as long as it likes.
    pub(super) async fn open(&self, call: Call) -> Result<Response<Incoming>, Fault> {
        let within = call.deadline(self.0.answer_within);
        let deadline = Instant::now() + within;
        self.attempt(call, deadline).await.map_err(|fault| late(fault, within))
    }

    /// Waits for the whole answer, which is of no interest.
    pub(super) async fn done(&self, call: Call) -> Result<(), Fault> {
        self.whole(call).await.map(drop)
    }

    /// Waits for the whole answer and reads it.
    pub(super) async fn json<T: DeserializeOwned>(&self, call: Call) -> Result<T, Fault> {
        let what = call.to_string();
        let body = self.whole(call).await?;
        serde_json::from_slice(&body).map_err(|e| Fault::Nonsense(format!("{e}, to {what}")))
    }

    async fn whole(&self, call: Call) -> Result<Bytes, Fault> {
        let within = call.deadline(self.0.answer_within);
        let deadline = Instant::now() + within;
        let work = async {
            let response = self.attempt(call, deadline).await?;
            body(response.into_body(), ANSWER_BYTES_MAX, deadline).await
        };
        work.await.map_err(|fault| late(fault, within))
    }

    /// One exchange, and one more where the daemon was replaced by one that refuses the version agreed upon with the last.
    async fn attempt(&self, mut call: Call, deadline: Instant) -> Result<Response<Incoming>, Fault> {
        let again = call.again();
        let version = self.version(deadline).await?;
        match self.exchange(Some(version), call, deadline).await {
            Err(fault) if fault.says(StatusCode::BAD_REQUEST, "client version") => {
                self.0.agreed.lock().version = None;
                let Some(call) = again else { return Err(fault) };
                let version = self.version(deadline).await?;
                self.exchange(Some(version), call, deadline).await
            }
            other => other,
        }
    }

    async fn version(&self, deadline: Instant) -> Result<ApiVersion, Fault> {
        if let Some(version) = self.0.agreed.lock().version {
            return Ok(version);
        }
        let response = self.exchange(None, Call::get(Target::new(&["version"])), deadline).await?;
        let text = body(response.into_body(), REFUSAL_BYTES_MAX, deadline).await?;
        let server: ServerVersion =
            serde_json::from_slice(&text).map_err(|e| Fault::Nonsense(format!("/version: {e}")))?;
        let version = server.agree()?;
        let mut agreed = self.0.agreed.lock();
        // Several that asked at once found out the same.
        if agreed.version != Some(version) {
            (agreed.version, agreed.generation) = (Some(version), agreed.generation + 1);
        }
        Ok(version)
    }

    async fn exchange(
        &self,
        version: Option<ApiVersion>,
        call: Call,
        deadline: Instant,
    ) -> Result<Response<Incoming>, Fault> {
        let result = self.exchange_once(version, call, deadline).await;
        if let Err(Fault::Unreachable(_) | Fault::Late(_)) = &result {
            // Whoever answers next may be another.
            self.0.agreed.lock().version = None;
        }
        result
    }

    async fn exchange_once(
        &self,
        version: Option<ApiVersion>,
        call: Call,
        deadline: Instant,
    ) -> Result<Response<Incoming>, Fault> {
        let authority = match self.0.connector.endpoint() {
            Endpoint::Unix(_) => "docker".to_owned(),
            Endpoint::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Endpoint::Tcp { host, port, .. } => format!("{host}:{port}"),
        };
        let prefix = version.map(|v| format!("/v{v}")).unwrap_or_default();
        let mut request = Request::builder()
            .method(call.method.clone())
            .uri(format!("http://{authority}{prefix}{}", call.target.as_str()))
            .header(header::HOST, authority)
            .header(header::USER_AGENT, "eru");
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        let request = request.body(call.body).map_err(|e| Fault::Nonsense(format!("a request that is none: {e}")))?;
        let response = match tokio::time::timeout_at(deadline.into(), self.0.client.request(request)).await {
            Err(_) => return Err(Fault::Late(Duration::ZERO)),
            // The client's own error only says at which step of its own it happened.
            Ok(Err(error)) => return Err(Fault::Unreachable(chain(error.source().unwrap_or(&error)))),
            Ok(Ok(response)) => response,
        };
        let status = response.status();
        // 304: it was so already.
        if status.is_success() || status == StatusCode::NOT_MODIFIED || status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(response);
        }
        let text = body(response.into_body(), REFUSAL_BYTES_MAX, deadline).await?;
        Err(Fault::refused(status, &message(&text)))
    }
}

/// The text of a refusal.
fn message(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        message: String,
    }
    match serde_json::from_slice::<Refusal>(body) {
        Ok(refusal) => refusal.message,
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    }
}

async fn body(body: Incoming, bytes_max: usize, deadline: Instant) -> Result<Bytes, Fault> {
    match tokio::time::timeout_at(deadline.into(), Limited::new(body, bytes_max).collect()).await {
        Err(_) => Err(Fault::Late(Duration::ZERO)),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Fault::Nonsense(format!("an answer of more than {bytes_max} bytes")))
        }
        Ok(Err(error)) => Err(Fault::Unreachable(chain(&*error))),
        Ok(Ok(whole)) => Ok(whole.to_bytes()),
    }
}

fn late(fault: Fault, within: Duration) -> Fault {
    match fault {
        Fault::Late(_) => Fault::Late(within),
        other => other,
    }
}
