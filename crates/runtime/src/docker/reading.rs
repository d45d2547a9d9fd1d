//! Log lines out of output that the engine has kept. Pure: no IO, no clock.

use super::frames::Piece;
use crate::port::*;
use bytes::{Buf, BytesMut};
use futures::{StreamExt, stream, stream::BoxStream};

/// Longest piece of a line. The engine cuts at the same length.
const PIECE_BYTES_MAX: usize = 16 * 1024;
/// Longest time in front of a piece: `2026-11-24T18:30:40.144618099+00:00` and a space.
const TIME_BYTES_MAX: usize = 36;

/// The lines of these pieces, of a container with a terminal or without; they end after an error.
pub(super) fn log_lines(
    pieces: BoxStream<'static, Result<Piece>>,
    terminal: bool,
) -> impl futures::Stream<Item = Result<LogLine>> + Send {
    Lines { pieces, reading: Reading::new(terminal), ended: false }.stream()
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
    /// The time of the line that was begun.
    line: Option<i64>,
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

    /// Takes the time in front of a line.
    fn begin(&mut self) -> i64 {
        let (at_ms, length) = time_of(&self.frame).unwrap_or((0, 0));
        self.frame.advance(length);
        self.line = Some(at_ms);
        at_ms
    }

    fn next_of_frame(&mut self) -> Option<LogLine> {
        if self.frame.is_empty() && (!self.complete || self.line.is_none()) {
            return None;
        }
        let at_ms = match self.line {
            Some(at_ms) => at_ms,
            None if !self.complete && self.frame.len() < TIME_BYTES_MAX => return None,
            None => self.begin(),
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
        let at_ms = match self.line {
            Some(at_ms) => at_ms,
            None if self.frame.is_empty()
                || (!ended && self.frame.len() < TIME_BYTES_MAX && !self.frame.contains(&b'\n')) =>
            {
                return None;
            }
            None => self.begin(),
        };
        let line_end = self.frame.iter().take(PIECE_BYTES_MAX + 1).position(|b| *b == b'\n');
        if let Some(at) = line_end {
            let data = self.frame.split_to(at).freeze();
            self.frame.advance(1);
            self.line = None;
            return Some(LogLine { at_ms, stream: Stream::Stdout, data, partial: false });
        }
        // A piece that is as long as the engine's is followed by the time of the next.
        let beyond = self.frame.get(PIECE_BYTES_MAX..).unwrap_or_default();
        let decides = ended || beyond.len() >= TIME_BYTES_MAX || time_of(beyond).is_some();
        if decides && self.frame.len() >= PIECE_BYTES_MAX {
            let data = self.frame.split_to(PIECE_BYTES_MAX).freeze();
            self.line = if time_of(&self.frame).is_some() { None } else { Some(at_ms) };
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
    use futures::TryStreamExt;

    const TIME: &str = "2026-11-24T18:30:40.144618099Z ";
    const AT_MS: i64 = 1_795_545_040_144;

    fn piece(stream: Stream, data: &[u8], ends: bool) -> Piece {
        Piece { stream, data: Bytes::copy_from_slice(data), ends }
    }

    async fn read(terminal: bool, pieces: Vec<Piece>) -> Vec<LogLine> {
        let pieces = stream::iter(pieces.into_iter().map(Ok)).boxed();
        log_lines(pieces, terminal).try_collect().await.unwrap()
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
    async fn a_line_of_a_terminal_is_not_held_back() {
        let long = vec![b'x'; PIECE_BYTES_MAX];
        let wire = [TIME.as_bytes(), &long, TIME.as_bytes(), b"y\r\n"].concat();
        let pieces = stream::iter([Ok(piece(Stream::Stdout, &wire, false))]).chain(stream::pending()).boxed();
        let lines = log_lines(pieces, true).take(2).try_collect::<Vec<_>>();
        let lines = tokio::time::timeout(std::time::Duration::from_secs(10), lines).await.unwrap().unwrap();
        assert_eq!(lines, [line(Stream::Stdout, &long, true), line(Stream::Stdout, b"y\r", false)]);
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
}
