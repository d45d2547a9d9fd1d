//! Connections that a daemon hands over: output of a process comes, input goes.

use super::{
    call::Call,
    fault::{Fault, chain},
    frames::Decoder,
    runtime::Docker,
};
use crate::port::{Error, Input, Result, Stream};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream, stream::BoxStream};
use hyper_util::rt::TokioIo;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::ReaderStream;

/// How much is read at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// What a terminal takes for the end of its input.
const END_OF_INPUT: &[u8] = &[4];

/// The output of a process, and its input.
pub(super) struct Hijacked {
    pub(super) output: BoxStream<'static, Result<(Stream, Bytes)>>,
    pub(super) input: Input,
}

impl Docker {
    /// Makes `call` and takes the connection over.
    pub(super) async fn hijack(&self, call: Call, terminal: bool) -> Result<Hijacked, Fault> {
        let answer = self.transport.open(call.hijacking()).await?;
        if answer.status() != http::StatusCode::SWITCHING_PROTOCOLS {
            return Err(Fault::Nonsense(format!("status {} where a connection was asked for", answer.status())));
        }
        let upgraded = hyper::upgrade::on(answer).await.map_err(|e| Fault::Unreachable(chain(&e)))?;
        let (reader, writer) = tokio::io::split(TokioIo::new(upgraded));
        let input: Input = if terminal { Box::pin(TerminalInput { writer, ended: 0 }) } else { Box::pin(writer) };
        Ok(Hijacked { output: output(reader, terminal), input })
    }
}

fn output(reader: impl AsyncRead + Send + 'static, terminal: bool) -> BoxStream<'static, Result<(Stream, Bytes)>> {
    let chunks =
        ReaderStream::with_capacity(reader, CHUNK_BYTES).map_err(|e| Error::Failed(format!("the output broke: {e}")));
    decoded(chunks.boxed(), terminal).map_ok(|piece| (piece.stream, piece.data)).boxed()
}

/// Pieces of output out of chunks; it ends after an error.
pub(super) fn decoded(
    chunks: BoxStream<'static, Result<Bytes>>,
    terminal: bool,
) -> impl futures::Stream<Item = Result<super::frames::Piece>> + Send {
    struct Reading {
        chunks: BoxStream<'static, Result<Bytes>>,
        chunk: Bytes,
        decoder: Decoder,
    }
    let reading = Reading { chunks, chunk: Bytes::new(), decoder: Decoder::new(terminal) };
    stream::try_unfold(reading, async |mut reading| {
        loop {
            if let Some(piece) = reading.decoder.next(&mut reading.chunk)? {
                return Ok(Some((piece, reading)));
            }
            match reading.chunks.next().await {
                Some(chunk) => reading.chunk = chunk?,
                None => return reading.decoder.finish().map(|()| None),
            }
        }
    })
}

/// Input of a terminal. The engine takes a closed connection for the end of everything, so the end of the input is said as
/// people type it.
struct TerminalInput<W> {
    writer: W,
    ended: usize,
}

impl<W: AsyncWrite + Unpin> AsyncWrite for TerminalInput<W> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.writer).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.writer).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.ended < END_OF_INPUT.len() {
            let rest = &END_OF_INPUT[self.ended..];
            match ready!(Pin::new(&mut self.writer).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => self.ended += written,
            }
        }
        Pin::new(&mut self.writer).poll_flush(cx)
    }
}
