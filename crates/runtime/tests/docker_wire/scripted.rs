//! A daemon that says what it is told to.

use eru_runtime::{Docker, DockerOptions};
use eru_types::EngineId;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::UnixListener,
    task::JoinHandle,
};

pub const VERSION: &str = r#"{"ApiVersion":"1.41","MinAPIVersion":"1.12"}"#;
/// How long the runtime waits for an answer here.
pub const WITHIN: Duration = Duration::from_millis(300);

/// The id of the only container of most scripts.
pub const ID: &str = "76bc45a2689355b0f068da2be4b5a13499fd0b1a1017bc76f27f9bef3321259d";

pub fn id() -> EngineId {
    EngineId::new(ID).expect("an id")
}

/// The description of a container, with what nobody knows.
pub fn container(id: &str, name: &str, state: &str) -> String {
    format!(
        r#"{{"Id":"{id}","Name":"/{name}","State":{{"Status":"{state}","Surprise":[1]}},"Config":{{"Labels":null}},"NetworkSettings":{{}}}}"#
    )
}

/// What it answers.
pub enum Reply {
    /// A status and a body.
    Full(u16, String),
    /// The bytes of an answer, one piece after the other; then the connection is cut.
    Pieces(Vec<Vec<u8>>),
    /// The bytes of an answer; then nothing more comes, and nothing is cut.
    Stalled(Vec<u8>),
    /// An answer after some time.
    Late(Duration, u16, String),
}

pub fn json(text: &str) -> Reply {
    Reply::Full(200, text.to_owned())
}

/// The head of an answer without a length, which ends with the connection.
pub fn head(status: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n").into_bytes()
}

/// The head that hands a connection over.
pub fn handed_over() -> Vec<u8> {
    b"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n".to_vec()
}

type Script = dyn Fn(&str) -> Reply + Send + Sync;

/// A scripted daemon; it ends when dropped.
pub struct Daemon {
    pub docker: Docker,
    pub asked: Arc<AtomicUsize>,
    task: JoinHandle<()>,
    _folder: tempfile::TempDir,
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Daemon {
    /// `script` gets `METHOD /path?query` with the version, and answers all but `/version`.
    pub fn new(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self::with_version(move |line| if line == "GET /version" { json(VERSION) } else { script(line) })
    }

    /// `script` answers everything.
    pub fn with_version(script: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("docker.sock");
        let listener = UnixListener::bind(&path).expect("a socket");
        let script: Arc<Script> = Arc::new(script);
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                connections.spawn(serve(stream, script.clone(), count.clone()));
            }
        });
        let options = DockerOptions {
            answer_within: WITHIN,
            silent_pull_max: WITHIN,
            ..DockerOptions::new(format!("unix://{}", path.display()))
        };
        Self { docker: Docker::connect(options).expect("an endpoint"), asked, task, _folder: folder }
    }
}

/// Answers the requests of one connection.
pub async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, script: Arc<Script>, count: Arc<AtomicUsize>) {
    let mut buffer = Vec::new();
    while let Some(line) = request(&mut stream, &mut buffer).await {
        count.fetch_add(1, Ordering::SeqCst);
        let (status, body) = match script(&line) {
            Reply::Full(status, body) => (status, body),
            Reply::Late(after, status, body) => {
                tokio::time::sleep(after).await;
                (status, body)
            }
            Reply::Stalled(bytes) => {
                let _ = stream.write_all(&bytes).await;
                let _ = stream.flush().await;
                return std::future::pending().await;
            }
            Reply::Pieces(pieces) => {
                for piece in pieces {
                    let _ = stream.write_all(&piece).await;
                    let _ = stream.flush().await;
                    tokio::task::yield_now().await;
                }
                let _ = stream.shutdown().await;
                return;
            }
        };
        let head =
            format!("HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
        if stream.write_all([head.as_bytes(), body.as_bytes()].concat().as_slice()).await.is_err() {
            return;
        }
        let _ = stream.flush().await;
    }
}

/// Reads one request; its first line without the protocol.
async fn request(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Option<String> {
    let end = |buffer: &[u8]| buffer.windows(4).position(|w| w == b"\r\n\r\n");
    while end(buffer).is_none() {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let at = end(buffer)?;
    let head = String::from_utf8_lossy(&buffer[..at]).to_ascii_lowercase();
    let line = String::from_utf8_lossy(&buffer[..at]).lines().next()?.trim_end_matches(" HTTP/1.1").to_owned();
    let length: usize =
        head.lines().find_map(|l| l.strip_prefix("content-length: ")).and_then(|n| n.trim().parse().ok()).unwrap_or(0);
    while buffer.len() < at + 4 + length {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    buffer.drain(..at + 4 + length);
    Some(line)
}
