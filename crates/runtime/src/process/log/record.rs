//! One record.

use crate::port::{LogLine, Stream};
use bytes::Bytes;
use std::io::Write;

/// The longest piece of a line in one record, in bytes; longer lines are split.
pub(super) const LINE_BYTES_MAX: usize = 16 * 1024;
/// The longest record: a line, the time, the mark and the line end.
pub(super) const RECORD_BYTES_MAX: usize = LINE_BYTES_MAX + 32;

/// Appends a record to `out`. A small letter marks the end of a line, a capital one a piece without.
pub(super) fn append(out: &mut Vec<u8>, at_ms: i64, stream: Stream, data: &[u8], partial: bool) {
    let mark = match (stream, partial) {
        (Stream::Stdout, false) => 'o',
        (Stream::Stderr, false) => 'e',
        (Stream::Stdout, true) => 'O',
        (Stream::Stderr, true) => 'E',
    };
    write!(out, "{at_ms} {mark} ").expect("memory takes every write");
    out.extend_from_slice(data);
    out.push(b'\n');
}

/// Reads a record without its line end; `None` for what is none, such as the rest of one that was cut off.
pub(super) fn parse(record: &[u8]) -> Option<LogLine> {
    let space = record.iter().position(|b| *b == b' ')?;
    let at_ms = std::str::from_utf8(&record[..space]).ok()?.parse().ok()?;
    let (stream, partial) = match record.get(space + 1..space + 3)? {
        b"o " => (Stream::Stdout, false),
        b"e " => (Stream::Stderr, false),
        b"O " => (Stream::Stdout, true),
        b"E " => (Stream::Stderr, true),
        _ => return None,
    };
    Some(LogLine { at_ms, stream, data: Bytes::copy_from_slice(&record[space + 3..]), partial })
}

/// A line as text: what is not UTF-8 is replaced, and the carriage return of a terminal dropped.
pub(in super::super) fn text_of(data: &[u8]) -> String {
    String::from_utf8_lossy(data.strip_suffix(b"\r").unwrap_or(data)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_keep_any_bytes() {
        for data in [&b""[..], b" ", b"a b", b"1 o x", b"\xff\0\r", "名".as_bytes()] {
            for partial in [false, true] {
                let mut out = Vec::new();
                append(&mut out, 1_700_000_000_000, Stream::Stderr, data, partial);
                assert_eq!(out.pop(), Some(b'\n'));
                let line = parse(&out).unwrap();
                assert_eq!((line.at_ms, line.stream, &line.data[..]), (1_700_000_000_000, Stream::Stderr, data));
                assert_eq!(line.partial, partial);
            }
        }
        for bad in [&b""[..], b"x", b"12", b"12 ", b"12 o", b"12 x y", b"y o z"] {
            assert!(parse(bad).is_none(), "{bad:?}");
        }
    }
}
