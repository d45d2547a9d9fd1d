//! A way to a core that can be cut: now, after so many bytes of the core, or for good.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

use parking_lot::Mutex;
use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering::SeqCst},
    },
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::{JoinHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;

/// Bytes that are read at a time: less than a snapshot, so that one can be cut in the middle.
const BUFFER_BYTES: usize = 1024;

/// Takes connections and leads them to a core until it is dropped.
pub struct Proxy {
    /// Where clients connect.
    pub address: String,
    way: Arc<Way>,
    task: JoinHandle<()>,
}

struct Way {
    target: Mutex<SocketAddr>,
    cut: Mutex<CancellationToken>,
    /// How many bytes of the core still pass before the connection that carries them is cut.
    bytes_left: AtomicI64,
    refuses: AtomicBool,
}

impl Proxy {
    pub async fn start(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let way = Arc::new(Way {
            target: Mutex::new(target),
            cut: Mutex::default(),
            bytes_left: AtomicI64::new(i64::MAX),
            refuses: AtomicBool::new(false),
        });
        let task = tokio::spawn(accept(listener, way.clone()));
        Self { address, way, task }
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        std::mem::take(&mut *self.way.cut.lock()).cancel();
    }

    /// Cuts the connection that carries the last of the core's next `bytes`.
    pub fn cut_after(&self, bytes: i64) {
        self.way.bytes_left.store(bytes, SeqCst);
    }

    /// From now on nobody gets through, or everybody does.
    pub fn refuse(&self, refuses: bool) {
        self.way.refuses.store(refuses, SeqCst);
        if refuses {
            self.cut();
        }
    }

    /// New connections go there.
    pub fn lead_to(&self, target: SocketAddr) {
        *self.way.target.lock() = target;
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, way: Arc<Way>) {
    let mut connections = JoinSet::new();
    loop {
        let (client, _) = listener.accept().await.unwrap();
        while connections.try_join_next().is_some() {}
        if !way.refuses.load(SeqCst) {
            connections.spawn(carry(client, way.clone()));
        }
    }
}

async fn carry(client: TcpStream, way: Arc<Way>) -> io::Result<()> {
    let cut = way.cut.lock().clone();
    let target = *way.target.lock();
    let core = TcpStream::connect(target).await?;
    let (mut client_read, client_write) = client.into_split();
    let (core_read, mut core_write) = core.into_split();
    tokio::select! {
        () = cut.cancelled() => Ok(()),
        copied = tokio::io::copy(&mut client_read, &mut core_write) => copied.map(drop),
        copied = answers(core_read, client_write, &way) => copied,
    }
}

async fn answers(mut core: OwnedReadHalf, mut client: OwnedWriteHalf, way: &Way) -> io::Result<()> {
    let mut buffer = [0; BUFFER_BYTES];
    loop {
        let read = core.read(&mut buffer).await?;
        if read == 0 {
            return Ok(());
        }
        let len = i64::try_from(read).expect("a buffer is small");
        let left = way.bytes_left.fetch_sub(len, SeqCst);
        if left <= len {
            way.bytes_left.store(i64::MAX, SeqCst);
            client.write_all(&buffer[..usize::try_from(left).unwrap_or(0)]).await?;
            return Ok(());
        }
        client.write_all(&buffer[..read]).await?;
    }
}
