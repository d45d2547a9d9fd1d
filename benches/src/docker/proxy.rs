//! A socket between Eru and the engine that notes when a create was sent and when a start was answered: the border of
//! "our own part", seen from outside.

use anyhow::Result;
use eru_testkit::docker::now;
use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        UnixListener, UnixStream,
        unix::{OwnedReadHalf, OwnedWriteHalf},
    },
    task::JoinHandle,
};

/// A call that is noted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// A container is made.
    Create,
    /// It is started.
    Start,
}

/// What was noted, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// The call.
    pub call: Call,
    /// Its first byte went to the engine; otherwise the first byte of its answer came from it.
    pub sent: bool,
    /// When.
    pub at: Duration,
}

type Marks = Arc<Mutex<Vec<Mark>>>;

/// A running proxy; ends when dropped.
pub struct Proxy {
    /// The endpoint to give to Eru.
    pub endpoint: String,
    marks: Marks,
    task: JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    /// Listens at `path` for the engine at `endpoint`, `unix://PATH`.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub fn start(path: &Path, endpoint: &str) -> Result<Self> {
        let engine: PathBuf = endpoint.trim_start_matches("unix://").into();
        let listener = UnixListener::bind(path)?;
        let marks = Marks::default();
        let noted = marks.clone();
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, engine.clone(), noted.clone()));
            }
        });
        Ok(Self { endpoint: format!("unix://{}", path.display()), marks, task })
    }

    /// What was noted since the last time.
    ///
    /// # Panics
    /// When a connection panicked.
    pub fn take(&self) -> Vec<Mark> {
        std::mem::take(&mut *self.marks.lock().expect("no connection panics"))
    }
}

async fn serve(ours: UnixStream, engine: PathBuf, marks: Marks) {
    let Ok(theirs) = UnixStream::connect(engine).await else { return };
    let (our_read, our_write) = ours.into_split();
    let (their_read, their_write) = theirs.into_split();
    // A connection carries one request at a time, so the next bytes after a call are its answer.
    let asked: Arc<Mutex<Option<Call>>> = Arc::default();
    let note = move |marks: &Marks, call, sent| {
        marks.lock().expect("no connection panics").push(Mark { call, sent, at: now() });
    };
    let up = copy(our_read, their_write, {
        let (marks, asked) = (marks.clone(), asked.clone());
        move |piece: &[u8]| {
            let call = match () {
                () if head_has(piece, b"/containers/create") => Call::Create,
                () if head_has(piece, b"/start") => Call::Start,
                () => return,
            };
            note(&marks, call, true);
            *asked.lock().expect("no connection panics") = Some(call);
        }
    });
    let down = copy(their_read, our_write, move |_: &[u8]| {
        if let Some(call) = asked.lock().expect("no connection panics").take() {
            note(&marks, call, false);
        }
    });
    tokio::join!(up, down);
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut note: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 64 << 10];
    while let Ok(read) = from.read(&mut buffer).await {
        if read == 0 {
            break;
        }
        note(&buffer[..read]);
        if to.write_all(&buffer[..read]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}

/// Whether the piece begins with a POST whose path has the part.
fn head_has(piece: &[u8], part: &[u8]) -> bool {
    let line = piece.split(|byte| *byte == b'\r').next().unwrap_or_default();
    line.starts_with(b"POST ") && line.windows(part.len()).any(|window| window == part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_line_of_a_post_counts() {
        assert!(head_has(b"POST /v1.41/containers/create?name=x HTTP/1.1\r\nHost: d\r\n\r\n{}", b"/containers/create"));
        assert!(!head_has(b"GET /containers/create HTTP/1.1\r\n", b"/containers/create"));
        assert!(!head_has(b"POST /x HTTP/1.1\r\n\r\n/containers/create", b"/containers/create"));
    }
}
