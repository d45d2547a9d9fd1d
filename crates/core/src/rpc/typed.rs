//! What a client types, on its way to a process.

use crate::cluster::Cluster;
use bytes::Bytes;
use eru_api::pb;
use eru_runtime::{Input, SessionControl};
use futures::{FutureExt, Stream, StreamExt, future::BoxFuture};
use serde::Deserialize;
use std::{sync::Arc, time::Duration};
use tokio::io::AsyncWriteExt;
use tokio_util::sync::{CancellationToken, DropGuard};

/// First byte of a message that gives the terminal a size.
const RESIZE: u8 = 0x80;
/// First byte of a message that ends the input.
const CLOSE: u8 = 0x1d;
/// What interrupts whatever runs in a terminal.
const INTERRUPT: u8 = 0x03;
/// How long keys wait for a change of size that was asked for before them.
const RESIZE_PATIENCE: Duration = Duration::from_millis(50);
/// How long a process may take to accept that nobody types any more.
const HANG_UP_PATIENCE: Duration = Duration::from_secs(1);

/// One message of a client.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Typed {
    /// As the original has it: the first byte may say that it is no input.
    framed: Bytes,
    /// Input, whatever its bytes are.
    input: Bytes,
    /// The input ends after it.
    close: bool,
}

impl From<pb::ExecuteWorkloadOptions> for Typed {
    fn from(message: pb::ExecuteWorkloadOptions) -> Self {
        Self { framed: message.repl_cmd, input: message.input, close: message.close_input }
    }
}

impl From<pb::RunAndWaitOptions> for Typed {
    fn from(message: pb::RunAndWaitOptions) -> Self {
        Self { framed: message.cmd, input: message.input, close: message.close_input }
    }
}

/// What a message asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Data(Bytes),
    Resize(u16, u16),
    Close,
}

/// The original's JSON of a size.
#[derive(Deserialize)]
struct Size {
    #[serde(rename = "Row")]
    rows: u16,
    #[serde(rename = "Col")]
    columns: u16,
}

impl Typed {
    fn parts(self) -> impl Iterator<Item = Part> {
        let framed = match self.framed.first() {
            None => None,
            Some(&CLOSE) => Some(Part::Close),
            Some(&RESIZE) => match serde_json::from_slice::<Size>(&self.framed[1..]) {
                Ok(size) if size.rows > 0 && size.columns > 0 => Some(Part::Resize(size.rows, size.columns)),
                // A size that is none changes nothing, as in the original; the session is worth more than the message.
                _ => None,
            },
            Some(_) => Some(Part::Data(self.framed)),
        };
        let input = Some(Part::Data(self.input)).filter(|part| *part != Part::Data(Bytes::new()));
        framed.into_iter().chain(input).chain(self.close.then_some(Part::Close))
    }
}

/// What is typed into. Without input only sizes count.
pub(super) struct Keyboard {
    pub(super) input: Option<Input>,
    pub(super) control: Arc<dyn SessionControl>,
    /// It is that of a terminal.
    pub(super) terminal: bool,
}

/// Passes on what is typed, in a task of its own, so that output that nobody reads does not hold up input. The end of the
/// messages is the end of the input; it hangs up when they break off, or when the guard is dropped. `first` may hold input
/// already.
pub(super) fn pass_on<M: Into<Typed> + Send + 'static>(
    cluster: &Arc<Cluster>,
    first: Typed,
    messages: impl Stream<Item = Result<M, tonic::Status>> + Send + Unpin + 'static,
    keyboard: impl Future<Output = Option<Keyboard>> + Send + 'static,
) -> crate::cluster::Result<DropGuard> {
    let over = CancellationToken::new();
    let guard = over.clone().drop_guard();
    cluster.tasks.spawn(async move {
        let keyboard = tokio::select! {
            () = over.cancelled() => return,
            keyboard = keyboard => keyboard,
        };
        let Some(mut keyboard) = keyboard else {
            tokio::select! {
                () = over.cancelled() => {}
                () = drain(messages) => {}
            }
            return;
        };
        let is_gone = tokio::select! {
            () = over.cancelled() => true,
            is_gone = keyboard.type_all(first, messages) => is_gone,
        };
        if !is_gone {
            // Who has said everything still listens.
            over.cancelled().await;
        }
        // What does not take it in time has other reasons to end: its engine lets go of it.
        let _ = tokio::time::timeout(HANG_UP_PATIENCE, keyboard.hang_up()).await;
    })?;
    Ok(guard)
}

/// Reads what nobody is there for, so that the client is not held up.
async fn drain<M>(mut messages: impl Stream<Item = Result<M, tonic::Status>> + Unpin) {
    while let Some(Ok(_)) = messages.next().await {}
}

impl Keyboard {
    /// Everything that is typed. Answers whether the client is gone, as opposed to having said everything.
    async fn type_all<M: Into<Typed>>(
        &mut self,
        first: Typed,
        mut messages: impl Stream<Item = Result<M, tonic::Status>> + Unpin,
    ) -> bool {
        let mut resizing: Option<BoxFuture<'static, ()>> = None;
        let mut next = Some(first);
        while let Some(message) = next {
            for part in message.parts() {
                match part {
                    Part::Data(data) => self.write(&data).await,
                    Part::Close => self.close().await,
                    Part::Resize(rows, columns) => {
                        // The newest size counts, and keys do not wait for long for an engine that is slow with it.
                        let resize = self.resize(rows, columns);
                        resizing = unfinished(resize).await;
                    }
                }
            }
            let mut reading = messages.next();
            let read = match resizing.as_mut() {
                None => reading.await,
                Some(resize) => tokio::select! {
                    read = &mut reading => read,
                    () = resize => {
                        resizing = None;
                        reading.await
                    }
                },
            };
            next = match read {
                Some(Ok(message)) => Some(message.into()),
                Some(Err(_)) => return true,
                None => None,
            };
        }
        self.close().await;
        if let Some(resize) = resizing {
            resize.await;
        }
        false
    }

    async fn write(&mut self, data: &[u8]) {
        let Some(input) = &mut self.input else { return };
        let typed = async {
            input.write_all(data).await?;
            input.flush().await
        };
        if typed.await.is_err() {
            // The process reads no more; how it ended comes with its output.
            self.input = None;
        }
    }

    async fn close(&mut self) {
        if let Some(input) = &mut self.input {
            // What cannot be ended has ended.
            let _ = input.shutdown().await;
        }
        // A terminal takes an interrupt even then.
        if !self.terminal {
            self.input = None;
        }
    }

    fn resize(&self, rows: u16, columns: u16) -> BoxFuture<'static, ()> {
        let control = self.control.clone();
        async move {
            if let Err(error) = control.resize(rows, columns).await {
                tracing::debug!(rows, columns, %error, "terminal not resized");
            }
        }
        .boxed()
    }

    /// Lets nothing wait for keys that nobody presses. Engines do not hang up on terminals, so what runs in one is interrupted
    /// and its input ended, as somebody who leaves would do.
    async fn hang_up(&mut self) {
        if self.terminal {
            self.write(&[INTERRUPT]).await;
        }
        self.close().await;
        self.input = None;
    }
}

/// Runs it for a moment; what is left of it then.
async fn unfinished(mut resize: BoxFuture<'static, ()>) -> Option<BoxFuture<'static, ()>> {
    match tokio::time::timeout(RESIZE_PATIENCE, &mut resize).await {
        Ok(()) => None,
        Err(_) => Some(resize),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(framed: &[u8], input: &[u8], close: bool) -> Vec<Part> {
        let (framed, input) = (Bytes::copy_from_slice(framed), Bytes::copy_from_slice(input));
        Typed { framed, input, close }.parts().collect()
    }

    #[test]
    fn the_first_byte_of_a_framed_message_has_a_meaning() {
        let data = |bytes: &'static [u8]| Part::Data(Bytes::from_static(bytes));
        assert_eq!(parts(b"", b"", false), []);
        assert_eq!(parts(b"ls\n", b"", false), [data(b"ls\n")]);
        assert_eq!(parts(b"\x80{\"Row\":24,\"Col\":80}", b"", false), [Part::Resize(24, 80)]);
        assert_eq!(parts(b"\x1dignored", b"", false), [Part::Close]);
        assert_eq!(parts(b"", b"\x80\x1d\0", false), [data(b"\x80\x1d\0")]);
        assert_eq!(parts(b"a", b"b", true), [data(b"a"), data(b"b"), Part::Close]);
        for no_size in
            [&b"\x80"[..], b"\x80nonsense", b"\x80{\"Row\":0,\"Col\":80}", b"\x80{\"Row\":-1,\"Col\":80}", b"\x80{}"]
        {
            assert_eq!(parts(no_size, b"", false), [], "{no_size:?}");
        }
    }
}
