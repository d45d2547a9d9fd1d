//! Connections to a daemon: a Unix socket, TCP, or TLS over TCP.

use super::options::Endpoint;
use futures::future::BoxFuture;
use http::Uri;
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use parking_lot::Mutex;
use rustix::net::sockopt;
use std::{
    io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream},
};
use tokio_rustls::TlsConnector;

/// How long a connection may take, the TLS handshake included.
const CONNECT_WITHIN: Duration = Duration::from_secs(5);
/// A peer that vanished without a word is noticed after 15 + 3 x 5 seconds: an event stream may be silent for days.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_PROBES: u32 = 3;

/// Makes connections to one endpoint.
#[derive(Debug, Clone)]
pub(super) struct Connector {
    endpoint: Arc<Endpoint>,
    peer: Arc<Mutex<Peer>>,
}

/// Who answered last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Peer {
    /// The process that listens on the Unix socket, as the kernel tells it; `None` where it lives in another namespace.
    pub(super) pid: Option<i32>,
    /// The address of the host.
    pub(super) address: Option<IpAddr>,
}

impl Connector {
    pub(super) fn new(endpoint: Endpoint) -> Self {
        Self { endpoint: Arc::new(endpoint), peer: Arc::default() }
    }

    /// Where it connects to.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Who answered last; nothing is known before the first connection.
    pub(super) fn peer(&self) -> Peer {
        *self.peer.lock()
    }

    async fn connect(self) -> io::Result<Wire> {
        match &*self.endpoint {
            Endpoint::Unix(path) => {
                let stream = UnixStream::connect(path).await?;
                let pid = stream.peer_cred().ok().and_then(|c| c.pid()).filter(|pid| *pid > 0);
                *self.peer.lock() = Peer { pid, address: None };
                Ok(Wire(Box::pin(stream)))
            }
            Endpoint::Tcp { host, port, tls } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await?;
                *self.peer.lock() = Peer { pid: None, address: Some(stream.peer_addr()?.ip()) };
                stream.set_nodelay(true)?;
                sockopt::set_socket_keepalive(&stream, true)?;
                sockopt::set_tcp_keepidle(&stream, KEEPALIVE_IDLE)?;
                sockopt::set_tcp_keepintvl(&stream, KEEPALIVE_INTERVAL)?;
                sockopt::set_tcp_keepcnt(&stream, KEEPALIVE_PROBES)?;
                let Some(config) = tls else { return Ok(Wire(Box::pin(stream))) };
                let name = rustls::pki_types::ServerName::try_from(host.clone())
                    .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
                let stream = TlsConnector::from(config.clone()).connect(name, stream).await?;
                Ok(Wire(Box::pin(stream)))
            }
        }
    }
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<Wire>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<TokioIo<Wire>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connect = self.clone().connect();
        Box::pin(async move {
            match tokio::time::timeout(CONNECT_WITHIN, connect).await {
                Ok(wire) => wire.map(TokioIo::new),
                Err(_) => Err(io::Error::new(
                    io::ErrorKind::TimedOut,
                    format!("no connection within {} s", CONNECT_WITHIN.as_secs()),
                )),
            }
        })
    }
}

trait Duplex: AsyncRead + AsyncWrite + Send {}
impl<T: AsyncRead + AsyncWrite + Send> Duplex for T {}

/// A connection of any kind.
pub(super) struct Wire(Pin<Box<dyn Duplex>>);

impl Connection for Wire {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.0.as_mut().poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    #[tokio::test]
    async fn a_host_that_has_a_name_has_the_address_that_answered() {
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let connector = Connector::new(Endpoint::Tcp { host: "localhost".into(), port, tls: None });
        assert_eq!(connector.peer(), Peer::default());
        connector.clone().connect().await.unwrap();
        assert_eq!(connector.peer().address, Some(Ipv4Addr::LOCALHOST.into()));
    }
}
