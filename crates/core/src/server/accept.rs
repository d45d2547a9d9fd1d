//! Accepting connections: bounded in number, over all and of one address, patient when the
//! system has no more files, closed when their clients say nothing, and closable.

use crate::options::ServerLimits;
use parking_lot::Mutex;
use std::{
    collections::{HashMap, hash_map::Entry},
    io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Sleep,
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

/// How long to wait after the system refused us another connection: without it the loop would spin until a file is free.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// What an HTTP/2 client sends before anything else, in bytes. From then on the server asks it for signs of life itself.
const PREFACE_BYTES: usize = 24;

/// A connection that ends with an error when its client does not begin in time or when the core gives up waiting for it,
/// and holds its place among the connections until it is dropped.
pub(super) struct Connection {
    stream: TcpStream,
    killed: Pin<Box<WaitForCancellationFutureOwned>>,
    handshake: Option<Handshake>,
    _place: OwnedSemaphorePermit,
    _guest: Guest,
}

/// A client that has not begun yet.
struct Handshake {
    deadline: Pin<Box<Sleep>>,
    missing_bytes: usize,
}

/// How many connections each address has.
#[derive(Clone, Default)]
struct Guests(Arc<Mutex<HashMap<IpAddr, usize>>>);

/// One connection of an address, counted until it is dropped.
struct Guest {
    ip: IpAddr,
    guests: Guests,
}

impl Guests {
    /// Counts one more connection of `ip`; `None` when it has `max`.
    fn enter(&self, ip: IpAddr, max: usize) -> Option<Guest> {
        let ip = site(ip);
        let mut counts = self.0.lock();
        let count = counts.entry(ip).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(Guest { ip, guests: self.clone() })
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        let mut counts = self.guests.0.lock();
        if let Entry::Occupied(mut count) = counts.entry(self.ip) {
            *count.get_mut() -= 1;
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

/// Whom an address belongs to: who has one IPv6 address has the 2^64 of its network.
fn site(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() >> 64 << 64).into()),
        ip @ IpAddr::V4(_) => ip,
    }
}

/// The connections of `listener`, as the server takes them. At most `connections_max` are open at a time; the others wait
/// in the listener's queue. Those beyond what one address may have are closed at once. `kill` ends those that are open.
pub(super) fn incoming(
    listener: TcpListener,
    limits: ServerLimits,
    kill: CancellationToken,
) -> impl futures::Stream<Item = io::Result<Connection>> {
    let places = Arc::new(Semaphore::new(limits.connections_max.min(Semaphore::MAX_PERMITS)));
    let guests = Guests::default();
    futures::stream::unfold((listener, places, guests, kill), move |(listener, places, guests, kill)| async move {
        let place = places.clone().acquire_owned().await.expect("the semaphore is never closed");
        let (stream, guest) = loop {
            match listener.accept().await {
                Ok((stream, peer)) => match guests.enter(peer.ip(), limits.connections_per_ip_max) {
                    Some(guest) => break (stream, guest),
                    None => tracing::warn!(
                        ip = %peer.ip(),
                        max = limits.connections_per_ip_max,
                        "a connection is refused: its address has as many as grpc.max_connections_per_ip allows"
                    ),
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        };
        // Small messages must not wait for the acknowledgement of those before. A connection where this fails is gone.
        let _ = stream.set_nodelay(true);
        let connection = Connection {
            stream,
            killed: Box::pin(kill.clone().cancelled_owned()),
            handshake: Some(Handshake {
                deadline: Box::pin(tokio::time::sleep(limits.handshake)),
                missing_bytes: PREFACE_BYTES,
            }),
            _place: place,
            _guest: guest,
        };
        Some((Ok(connection), (listener, places, guests, kill)))
    })
}

impl Connected for Connection {
    type ConnectInfo = <TcpStream as Connected>::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.killed.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        let Some(handshake) = &mut self.handshake else { return read };
        handshake.missing_bytes = handshake.missing_bytes.saturating_sub(buf.filled().len() - before);
        if handshake.missing_bytes == 0 {
            self.handshake = None;
            return read;
        }
        if read.is_pending() && handshake.deadline.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_as_many_places_as_it_may_and_gets_them_back() {
        let guests = Guests::default();
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        let first = guests.enter(ip("10.0.0.1"), 2).unwrap();
        let _second = guests.enter(ip("::ffff:10.0.0.1"), 2).unwrap();
        assert!(guests.enter(ip("10.0.0.1"), 2).is_none());
        let other = guests.enter(ip("10.0.0.2"), 2);
        assert!(other.is_some());
        drop((first, other));
        let _third = guests.enter(ip("10.0.0.1"), 2).unwrap();
        let _six = guests.enter(ip("2001:db8::1"), 1).unwrap();
        assert!(guests.enter(ip("2001:db8::2:1"), 1).is_none(), "the same network");
        assert!(guests.enter(ip("2001:db8:0:1::1"), 1).is_some(), "another one");
        assert_eq!(guests.0.lock().len(), 2, "who is gone is not remembered");
    }
}
