//! What every verb is given: whom to ask, how to print.

use crate::args::Globals;
use crate::error::CliError;
use crate::log::Log;
use crate::output::Format;
use crate::stream::Stream;
use eru_client::{Client, ClientOptions, ConnectError, ControllerRpc, CoreRpc, CredentialsError, Error, Retry, Route};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tonic::{Response, Status, Streaming};

/// How long a connection may take to be made: a lost first packet is sent again after one second, and then after two more.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How often a quiet connection is probed, and how long the answer may take: a dead peer is noticed in both together.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// How long an answer may take. A dead peer is noticed long before; this is for one that lives and never answers.
const DEADLINE: Duration = Duration::from_secs(15 * 60);
/// How long a command inside a workload may keep silent before its first output: for ever, as far as anyone can tell.
const CONVERSATION_DEADLINE: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// Largest reply, in bytes: a hundred thousand workloads in one list.
const REPLY_BYTES_MAX: usize = 256 << 20;

/// Whom to ask and how to print.
pub(crate) struct Context {
    /// How standard output is written.
    pub output: Format,
    /// Standard error.
    pub log: Log,
    /// The name that this program was called by, for commands that a message proposes.
    pub called: &'static str,
    core: Client,
    controller: Client,
}

impl Context {
    /// Connects nothing yet: a client does that with its first call.
    pub fn new(globals: Globals, called: &'static str) -> Result<Self, CliError> {
        let options = ClientOptions {
            username: globals.username,
            password: globals.password,
            connect_timeout: CONNECT_TIMEOUT,
            deadline: DEADLINE,
            keepalive: KEEP_ALIVE,
            message_bytes_max: REPLY_BYTES_MAX,
        };
        let connect = |what: &str, addresses: &str| {
            Client::connect(&[addresses], options.clone()).map_err(|error| refusal(what, &error))
        };
        Ok(Self {
            output: globals.output,
            log: Log::new(globals.debug),
            called,
            core: connect("core", &globals.eru)?,
            controller: connect("controller", &globals.controller)?,
        })
    }

    /// Asks core something that changes nothing, if need be the next one.
    pub async fn read<M: Clone, T>(
        &self,
        name: &str,
        request: M,
        call: impl AsyncFn(CoreRpc, M) -> Result<Response<T>, Status>,
    ) -> Result<T, CliError> {
        self.call("core", Retry::Idempotent, name, async |route: Route| call(route.core(), request.clone()).await).await
    }

    /// Asks core to change something; the next one only when it surely did not reach the first.
    pub async fn write<M: Clone, T>(
        &self,
        name: &str,
        request: M,
        call: impl AsyncFn(CoreRpc, M) -> Result<Response<T>, Status>,
    ) -> Result<T, CliError> {
        self.call("core", Retry::Unsent, name, async |route: Route| call(route.core(), request.clone()).await).await
    }

    /// As [`Context::read`], for an answer that is a stream. Once it is open, it stays with its core.
    pub async fn read_stream<M: Clone, T>(
        &self,
        name: &str,
        request: M,
        call: impl AsyncFn(CoreRpc, M) -> Result<Response<Streaming<T>>, Status>,
    ) -> Result<Stream<T>, CliError> {
        self.stream(Retry::Idempotent, name, request, call).await
    }

    /// As [`Context::write`], for an answer that is a stream.
    pub async fn write_stream<M: Clone, T>(
        &self,
        name: &str,
        request: M,
        call: impl AsyncFn(CoreRpc, M) -> Result<Response<Streaming<T>>, Status>,
    ) -> Result<Stream<T>, CliError> {
        self.stream(Retry::Unsent, name, request, call).await
    }

    async fn stream<M: Clone, T>(
        &self,
        retry: Retry,
        name: &str,
        request: M,
        call: impl AsyncFn(CoreRpc, M) -> Result<Response<Streaming<T>>, Status>,
    ) -> Result<Stream<T>, CliError> {
        let open = async |route: Route| {
            let answer = call(route.core(), request.clone()).await?;
            Ok(answer.map(|messages| Stream::new(messages, route)))
        };
        self.call("core", retry, name, open).await
    }

    /// Opens a conversation with core: `first` is said, then what comes from `rest`. It stays with its core; another one is
    /// tried only when it surely did not reach the first. It may take as long as it takes: an original core answers when
    /// there is output.
    pub async fn converse<M: Clone, T>(
        &self,
        name: &str,
        first: M,
        rest: mpsc::Receiver<M>,
        call: impl AsyncFn(CoreRpc, Requests<M>) -> Result<Response<Streaming<T>>, Status>,
    ) -> Result<Stream<T>, CliError> {
        let rest = Arc::new(Mutex::new(rest));
        let open = async |route: Route| {
            let requests = Requests { first: Some(first.clone()), rest: rest.clone() };
            let answer = call(route.core(), requests).await?;
            Ok(answer.map(|messages| Stream::new(messages, route)))
        };
        let client = self.core.with_deadline(CONVERSATION_DEADLINE);
        self.call_on(&client, "core", Retry::Unsent, name, open).await
    }

    /// Asks the controller something that changes nothing.
    pub async fn read_controller<M: Clone, T>(
        &self,
        name: &str,
        request: M,
        call: impl AsyncFn(ControllerRpc, M) -> Result<Response<T>, Status>,
    ) -> Result<T, CliError> {
        let call = async |route: Route| call(route.controller(), request.clone()).await;
        self.call("controller", Retry::Idempotent, name, call).await
    }

    /// Asks the controller to change something.
    pub async fn write_controller<M: Clone, T>(
        &self,
        name: &str,
        request: M,
        call: impl AsyncFn(ControllerRpc, M) -> Result<Response<T>, Status>,
    ) -> Result<T, CliError> {
        let call = async |route: Route| call(route.controller(), request.clone()).await;
        self.call("controller", Retry::Unsent, name, call).await
    }

    async fn call<T>(
        &self,
        what: &'static str,
        retry: Retry,
        name: &str,
        call: impl AsyncFn(Route) -> Result<Response<T>, Status>,
    ) -> Result<T, CliError> {
        let client = if what == "core" { &self.core } else { &self.controller };
        self.call_on(client, what, retry, name, call).await
    }

    async fn call_on<T>(
        &self,
        client: &Client,
        what: &'static str,
        retry: Retry,
        name: &str,
        call: impl AsyncFn(Route) -> Result<Response<T>, Status>,
    ) -> Result<T, CliError> {
        let start = std::time::Instant::now();
        let result: Result<T, Error> = client.call(retry, |route| call(route)).await;
        let address = client.route().address().clone();
        self.log.debug(format!("{name} of {what} {address} took {:?}", start.elapsed()));
        result.map_err(|error| CliError::of_call(what, error))
    }
}

/// What is said in a conversation: the opening, then what comes. Each attempt to open it has one; only the one that
/// reached a core takes from what comes.
pub(crate) struct Requests<M> {
    first: Option<M>,
    rest: Arc<Mutex<mpsc::Receiver<M>>>,
}

impl<M: Unpin> tokio_stream::Stream for Requests<M> {
    type Item = M;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<M>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(first)),
            None => self.rest.lock().unwrap_or_else(PoisonError::into_inner).poll_recv(cx),
        }
    }
}

/// What is wrong with how core or the controller is to be reached.
fn refusal(what: &str, error: &ConnectError) -> CliError {
    CliError::Usage(match error {
        ConnectError::Address(error) => format!("{what} address: {error}"),
        ConnectError::Credentials(error @ CredentialsError::Username(_)) => format!("--username: {error}"),
        ConnectError::Credentials(error @ CredentialsError::Password) => format!("--password: {error}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Cli;
    use crate::exit::Exit;
    use clap::Parser as _;
    use eru_api::pb;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    fn refused(addresses: &str, username: &str, password: &str) -> String {
        let options = ClientOptions { username: username.into(), password: password.into(), ..Default::default() };
        refusal("core", &Client::connect(&[addresses], options).err().unwrap()).to_string()
    }

    #[tokio::test]
    async fn what_cannot_be_reached_at_all() {
        for (addresses, error) in [
            ("127.0.0.1", "core address: missing port, expected host:port, got \"127.0.0.1\""),
            (":5001", "core address: missing or malformed host, expected host:port, got \":5001\""),
            ("h:99999", "core address: port must be 1-65535, got \"h:99999\""),
            ("[::1", "core address: missing \"]\", got \"[::1\""),
        ] {
            assert_eq!(refused(addresses, "", ""), error);
        }
        assert!(refused("http://h:5001", "", "").starts_with("core address: unknown scheme, expected host:port"));
        assert!(refused("h:1", "a b", "x").starts_with("--username: username must be"));
        assert!(refused("h:1", "a", "\n").starts_with("--password: password must be"));
    }

    /// What `core info` says when `addresses` are those of core.
    async fn asked(addresses: &str) -> CliError {
        let cli = Cli::parse_from(["eru-cli", "--eru", addresses, "core", "info"]);
        let context = Context::new(cli.globals, "eru-cli").unwrap();
        context.read("Info", pb::Empty {}, async |mut core, o| core.info(o).await).await.unwrap_err()
    }

    /// An address whose every visitor is given `bytes`, for as long as the test runs.
    async fn peer(bytes: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((mut visitor, _)) = listener.accept().await {
                visitor.read_exact(&mut [0; 24]).await.unwrap();
                visitor.write_all(bytes).await.unwrap();
            }
        });
        address
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn nobody_of_ours_is_there() {
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
        let web = peer(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let tls = peer(b"\x15\x03\x01\x00\x02\x02\x16\x00\x00").await;
        for (address, reason) in
            [(&nobody, "connection refused"), (&web, "the peer does not speak gRPC"), (&tls, "peer expects TLS")]
        {
            let error = asked(address).await;
            assert_eq!(error.to_string(), format!("cannot reach core {address}: {reason}"));
            assert_eq!(error.exit(), Exit::Unreachable);
        }
        let other = "127.0.0.1:1";
        let error = asked(&format!("static://{nobody},{other}")).await;
        let reason = "connection refused";
        assert_eq!(error.to_string(), format!("cannot reach core {nobody}: {reason}; {other}: {reason}"));
        assert_eq!(error.exit(), Exit::Unreachable);
    }
}
