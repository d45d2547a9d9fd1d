//! Output that the engine has kept.

use super::{
    call::Call, events::seconds, fault::chain, frames::Piece, inspect::Container, runtime::Docker, session::decoded,
    target::Target,
};
use crate::{port::*, reason::one_line};
use bytes::{Buf, BytesMut};
use eru_types::{EngineId, limits::LAST_LINE_BYTES_MAX};
use futures::{StreamExt, TryStreamExt, future, stream, stream::BoxStream};
use http_body_util::BodyExt;
use std::collections::VecDeque;

/// Longest piece of a line. The engine cuts at the same length.
const PIECE_BYTES_MAX: usize = 16 * 1024;
/// Longest time in front of a piece: `2026-11-24T18:30:40.144618099+00:00` and a space.
const TIME_BYTES_MAX: usize = 36;

impl Docker {
    /// # Cost
    /// Two round trips: whether there is a terminal must be known.
    pub(super) async fn container_logs(
        &self,
        id: &EngineId,
        options: LogOptions,
    ) -> Result<BoxStream<'static, Result<LogLine>>> {
        let found = self.look(id.as_str()).await.map_err(self.error_of(id))?;
        self.log_lines(&found, &options, true).await.map_err(|fault| fault.of_workload(&self.options.endpoint, id))
    }

    async fn log_lines(
        &self,
        found: &Container,
        options: &LogOptions,
        stdout: bool,
    ) -> Result<BoxStream<'static, Result<LogLine>>, super::fault::Fault> {
        if options.until_ms.is_some_and(|until| until <= 0) {
            return Ok(stream::empty().boxed());
        }
        let time = |ms: i64| seconds(ms.saturating_mul(1_000_000));
        let mut target = Target::new(&["containers", &found.id, "logs"]).with("stderr", "1").with("timestamps", "1");
        if stdout {
            target = target.with("stdout", "1");
        }
        // What is not a number of its own is "all" for the engine.
        target = target
            .with("tail", options.tail.and_then(|n| i32::try_from(n).ok()).map_or("all".into(), |n| n.to_string()));
        // 0 would be "no bound" for the engine, as it is for us.
        if let Some(since) = options.since_ms.filter(|ms| *ms > 0) {
            target = target.with("since", time(since));
        }
        if let Some(until) = options.until_ms {
            target = target.with("until", time(until));
        }
        if options.follow {
            target = target.with("follow", "1");
        }
        let answer = self.transport.open(Call::get(target)).await?;
        let chunks = answer
            .into_body()
            .into_data_stream()
            .map_err(|e| Error::Failed(format!("the output broke: {}", chain(&e))));
        let terminal = found.config.tty;
        let pieces = decoded(chunks.boxed(), terminal).boxed();
        let (since, until) = (options.since_ms.unwrap_or(i64::MIN), options.until_ms.unwrap_or(i64::MAX));
        // The engine's bounds are both inclusive, and finer than ours.
        let within = move |line: &LogLine| (since..until).contains(&line.at_ms);
        Ok(Lines { pieces, reading: Reading::new(terminal), ended: false }
            .stream()
            .try_filter(move |line| future::ready(within(line)))
            .boxed())
    }

    pub(super) async fn last_log_lines(&self, id: &EngineId, lines: usize) -> Result<Vec<String>> {
        let found = self.look(id.as_str()).await.map_err(self.error_of(id))?;
        let options = LogOptions { tail: Some(lines), ..LogOptions::default() };
        let mut all = self.log_lines(&found, &options, true).await.map_err(self.error_of(id))?;
        let mut last = VecDeque::new();
        while let Some(line) = all.try_next().await? {
            last.push_back(shown(&line.data));
            if last.len() > lines {
                last.pop_front();
            }
        }
        Ok(last.into())
    }

    /// The last line of standard error, looked for in the last `lines`; empty when there is none, or none can be read.
    pub(super) async fn last_error_line(&self, found: &Container, lines: usize) -> String {
        let options = LogOptions { tail: Some(lines), ..LogOptions::default() };
        let Ok(mut all) = self.log_lines(found, &options, false).await else { return String::new() };
        let mut last = String::new();
        while let Ok(Some(line)) = all.try_next().await {
            if line.stream == Stream::Stderr && !line.data.trim_ascii().is_empty() {
                last = one_line(&String::from_utf8_lossy(&line.data));
            }
        }
        last
    }
}

/// A line for people, not longer than a status may carry.
fn shown(data: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(data.strip_suffix(b"\r").unwrap_or(data)).into_owned();
    if text.len() > LAST_LINE_BYTES_MAX {
        text.truncate(text.floor_char_boundary(LAST_LINE_BYTES_MAX));
    }
    text
}

struct Lines {
    pieces: BoxStream<'static, Result<Piece>>,
    reading: Reading,
    ended: bool,
}

impl Lines {
    fn stream(self) -> impl futures::Stream<Item = Result<LogLine>> + Send {
        stream::try_unfold(self, async |mut lines| {
            loop {
                if let Some(line) = lines.reading.next(lines.ended) {
                    return Ok(Some((line, lines)));
                }
                if lines.ended {
                    return Ok(None);
                }
                match lines.pieces.next().await {
                    Some(piece) => lines.reading.add(&piece?),
                    None => lines.ended = true,
                }
            }
        })
    }
}

/// Log lines out of pieces of output. Without a terminal each frame is one piece of a line with its time in front. With one,
/// lines follow each other, each with its time in front, and the engine cuts those that are too long without saying so.
struct Reading {
    terminal: bool,
    /// Of standard output and of standard error.
    frame: BytesMut,
    stream: Stream,
    /// A frame is complete.
    complete: bool,
    /// Where in a line that came in pieces we are: its time, and how much of a piece was given.
    line: Option<(i64, usize)>,
}

impl Reading {
    fn new(terminal: bool) -> Self {
        Self { terminal, frame: BytesMut::new(), stream: Stream::Stdout, complete: false, line: None }
    }

    fn add(&mut self, piece: &Piece) {
        self.stream = piece.stream;
        self.frame.extend_from_slice(&piece.data);
        self.complete = piece.ends;
    }

    fn next(&mut self, ended: bool) -> Option<LogLine> {
        if self.terminal { self.next_of_terminal(ended) } else { self.next_of_frame() }
    }

    fn next_of_frame(&mut self) -> Option<LogLine> {
        if self.frame.is_empty() && (!self.complete || self.line.is_none()) {
            return None;
        }
        let at_ms = match self.line {
            Some((at_ms, _)) => at_ms,
            None if !self.complete && self.frame.len() < TIME_BYTES_MAX => return None,
            None => {
                let (at_ms, length) = time_of(&self.frame).unwrap_or((0, 0));
                self.frame.advance(length);
                self.line = Some((at_ms, 0));
                at_ms
            }
        };
        if !self.complete && self.frame.len() <= PIECE_BYTES_MAX {
            return None;
        }
        let stream = self.stream;
        if self.frame.len() > PIECE_BYTES_MAX + 1
            || (self.frame.len() == PIECE_BYTES_MAX + 1 && !self.frame.ends_with(b"\n"))
        {
            let data = self.frame.split_to(PIECE_BYTES_MAX).freeze();
            return Some(LogLine { at_ms, stream, data, partial: true });
        }
        let partial = !self.frame.ends_with(b"\n");
        let mut data = self.frame.split().freeze();
        data.truncate(data.len() - usize::from(!partial));
        self.line = None;
        self.complete = false;
        Some(LogLine { at_ms, stream, data, partial })
    }

    fn next_of_terminal(&mut self, ended: bool) -> Option<LogLine> {
        let (at_ms, given) = match self.line {
            Some(line) => line,
            None if self.frame.is_empty()
                || (!ended && self.frame.len() < TIME_BYTES_MAX && !self.frame.contains(&b'\n')) =>
            {
                return None;
            }
            None => {
                let (at_ms, length) = time_of(&self.frame).unwrap_or((0, 0));
                self.frame.advance(length);
                self.line = Some((at_ms, 0));
                (at_ms, 0)
            }
        };
        let room = PIECE_BYTES_MAX - given;
        let line_end = self.frame.iter().take(room + 1).position(|b| *b == b'\n');
        if let Some(at) = line_end {
            let data = self.frame.split_to(at).freeze();
            self.frame.advance(1);
            self.line = None;
            return Some(LogLine { at_ms, stream: Stream::Stdout, data, partial: false });
        }
        // A piece that is as long as the engine's is followed by the time of the next.
        if self.frame.len() >= room + TIME_BYTES_MAX || (ended && self.frame.len() >= room) {
            let data = self.frame.split_to(room).freeze();
            self.line = match time_of(&self.frame) {
                Some(_) => None,
                None => Some((at_ms, 0)),
            };
            return Some(LogLine { at_ms, stream: Stream::Stdout, data, partial: true });
        }
        if ended && !self.frame.is_empty() {
            self.line = None;
            return Some(LogLine { at_ms, stream: Stream::Stdout, data: self.frame.split().freeze(), partial: true });
        }
        None
    }
}

/// The time in front of `bytes` in milliseconds, and how long it is with the space after it.
fn time_of(bytes: &[u8]) -> Option<(i64, usize)> {
    let head = &bytes[..bytes.len().min(TIME_BYTES_MAX)];
    let length = head.iter().position(|b| *b == b' ')?;
    let time: jiff::Timestamp = std::str::from_utf8(&head[..length]).ok()?.parse().ok()?;
    Some((time.as_millisecond(), length + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    const TIME: &str = "2026-11-24T18:30:40.144618099Z ";
    const AT_MS: i64 = 1_795_545_040_144;

    fn piece(stream: Stream, data: &[u8], ends: bool) -> Piece {
        Piece { stream, data: Bytes::copy_from_slice(data), ends }
    }

    async fn read(terminal: bool, pieces: Vec<Piece>) -> Vec<LogLine> {
        let pieces = stream::iter(pieces.into_iter().map(Ok)).boxed();
        Lines { pieces, reading: Reading::new(terminal), ended: false }.stream().try_collect().await.unwrap()
    }

    fn line(stream: Stream, data: &[u8], partial: bool) -> LogLine {
        LogLine { at_ms: AT_MS, stream, data: Bytes::copy_from_slice(data), partial }
    }

    #[tokio::test]
    async fn frames_become_lines_however_they_are_split() {
        let long = vec![b'x'; PIECE_BYTES_MAX];
        let frames = [
            (Stream::Stdout, [TIME.as_bytes(), b"one\n"].concat()),
            (Stream::Stderr, [TIME.as_bytes(), b"\n"].concat()),
            (Stream::Stdout, [TIME.as_bytes(), &long].concat()),
            (Stream::Stdout, [TIME.as_bytes(), b"end\n"].concat()),
        ];
        let want = [
            line(Stream::Stdout, b"one", false),
            line(Stream::Stderr, b"", false),
            line(Stream::Stdout, &long, true),
            line(Stream::Stdout, b"end", false),
        ];
        for size in [1, 2, 7, 31, 32, 35, 36, 5000, usize::MAX] {
            let mut pieces = Vec::new();
            for (stream, data) in &frames {
                let mut chunks = data.chunks(size.min(data.len())).peekable();
                while let Some(chunk) = chunks.next() {
                    pieces.push(piece(*stream, chunk, chunks.peek().is_none()));
                }
            }
            assert_eq!(read(false, pieces).await, want, "in chunks of {size}");
        }
    }

    #[tokio::test]
    async fn a_frame_that_is_too_long_comes_in_pieces() {
        let long = vec![b'x'; 2 * PIECE_BYTES_MAX + 5];
        let pieces = vec![piece(Stream::Stdout, &[TIME.as_bytes(), &long, b"\n"].concat(), true)];
        let lines = read(false, pieces).await;
        let lengths: Vec<_> = lines.iter().map(|l| (l.data.len(), l.partial, l.at_ms)).collect();
        assert_eq!(lengths, [(PIECE_BYTES_MAX, true, AT_MS), (PIECE_BYTES_MAX, true, AT_MS), (5, false, AT_MS)]);
    }

    #[tokio::test]
    async fn lines_of_a_terminal_however_they_are_split() {
        let long = vec![b'x'; PIECE_BYTES_MAX];
        let wire = [
            TIME.as_bytes(),
            b"\x01\x00one\r\n",
            TIME.as_bytes(),
            b"\n",
            TIME.as_bytes(),
            &long,
            TIME.as_bytes(),
            b"end\r\n",
            TIME.as_bytes(),
            b"$ ",
        ]
        .concat();
        let want = [
            line(Stream::Stdout, b"\x01\x00one\r", false),
            line(Stream::Stdout, b"", false),
            line(Stream::Stdout, &long, true),
            line(Stream::Stdout, b"end\r", false),
            line(Stream::Stdout, b"$ ", true),
        ];
        for size in [1, 3, 31, 36, 5000, wire.len()] {
            let pieces = wire.chunks(size).map(|chunk| piece(Stream::Stdout, chunk, false)).collect();
            assert_eq!(read(true, pieces).await, want, "in chunks of {size}");
        }
    }

    #[test]
    fn last_lines_are_short() {
        assert_eq!(shown(b"one\r"), "one");
        assert!(shown("名".repeat(1000).as_bytes()).len() <= LAST_LINE_BYTES_MAX);
    }
}
