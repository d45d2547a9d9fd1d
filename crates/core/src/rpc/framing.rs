//! Output cut for messages: one line a message, or as it comes. No byte is added and none is taken away.

use crate::cluster::PIECE_BYTES_MAX;
use bytes::{Bytes, BytesMut};
use eru_runtime::Stream;
use std::collections::VecDeque;

/// Output cut for messages.
pub(super) struct Framing {
    /// What each output has of a line that did not end yet; `None` = nothing is held back.
    held: Option<[BytesMut; 2]>,
    ready: VecDeque<(Stream, Bytes)>,
}

impl Framing {
    /// By lines, or with `raw` as it comes.
    pub(super) fn new(raw: bool) -> Self {
        Self { held: (!raw).then(Default::default), ready: VecDeque::new() }
    }

    /// Takes what came.
    pub(super) fn feed(&mut self, stream: Stream, mut data: Bytes) {
        let Some(held) = &mut self.held else {
            while !data.is_empty() {
                self.ready.push_back((stream, data.split_to(PIECE_BYTES_MAX.min(data.len()))));
            }
            return;
        };
        let held = &mut held[index(stream)];
        while !data.is_empty() {
            let room = PIECE_BYTES_MAX - held.len();
            let end = data.iter().take(room).position(|byte| *byte == b'\n').map(|at| at + 1);
            let is_whole = end.is_some() || data.len() >= room;
            let part = data.split_to(end.unwrap_or(room.min(data.len())));
            if !is_whole {
                held.extend_from_slice(&part);
            } else if held.is_empty() {
                self.ready.push_back((stream, part));
            } else {
                held.extend_from_slice(&part);
                self.ready.push_back((stream, held.split().freeze()));
            }
        }
    }

    /// The output ended: what is held is all that comes.
    pub(super) fn finish(&mut self) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let held = self.held.as_mut().map(|held| held[index(stream)].split()).unwrap_or_default();
            if !held.is_empty() {
                self.ready.push_back((stream, held.freeze()));
            }
        }
    }

    /// What makes the next message.
    pub(super) fn next(&mut self) -> Option<(Stream, Bytes)> {
        self.ready.pop_front()
    }
}

fn index(stream: Stream) -> usize {
    match stream {
        Stream::Stdout => 0,
        Stream::Stderr => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(raw: bool, pieces: &[(Stream, &[u8])]) -> Vec<(Stream, Vec<u8>)> {
        let mut framing = Framing::new(raw);
        let mut all = Vec::new();
        for (stream, data) in pieces {
            framing.feed(*stream, Bytes::copy_from_slice(data));
            all.extend(std::iter::from_fn(|| framing.next()));
        }
        framing.finish();
        all.extend(std::iter::from_fn(|| framing.next()));
        all.into_iter().map(|(stream, data)| (stream, data.to_vec())).collect()
    }

    #[test]
    fn a_line_is_a_message_with_its_end() {
        use Stream::{Stderr, Stdout};
        let pieces: [(Stream, &[u8]); 4] = [(Stdout, b"a\r\nb"), (Stderr, b"x\n"), (Stdout, b"c\n\nd"), (Stderr, b"y")];
        let lines = cut(false, &pieces);
        let want: [(Stream, &[u8]); 6] =
            [(Stdout, b"a\r\n"), (Stderr, b"x\n"), (Stdout, b"bc\n"), (Stdout, b"\n"), (Stdout, b"d"), (Stderr, b"y")];
        assert_eq!(lines, want.map(|(stream, data)| (stream, data.to_vec())));
        let raw = cut(true, &pieces);
        assert_eq!(raw, pieces.map(|(stream, data)| (stream, data.to_vec())));
    }

    #[test]
    fn a_long_line_comes_in_pieces() {
        let long = vec![b'x'; 3 * PIECE_BYTES_MAX + 5];
        for raw in [false, true] {
            let lens: Vec<_> = cut(raw, &[(Stream::Stdout, &long)]).iter().map(|(_, data)| data.len()).collect();
            assert_eq!(lens, [PIECE_BYTES_MAX, PIECE_BYTES_MAX, PIECE_BYTES_MAX, 5]);
        }
        let exact = [vec![b'x'; PIECE_BYTES_MAX - 1], b"\n".to_vec()].concat();
        assert_eq!(cut(false, &[(Stream::Stdout, &exact[..10]), (Stream::Stdout, &exact[10..])]).len(), 1);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_added(raw: bool, pieces: Vec<(bool, Vec<u8>)>) {
            let stream = |out: bool| if out { Stream::Stdout } else { Stream::Stderr };
            let fed: Vec<(Stream, &[u8])> = pieces.iter().map(|(out, data)| (stream(*out), &data[..])).collect();
            let got = cut(raw, &fed);
            for wanted in [Stream::Stdout, Stream::Stderr] {
                let of = |all: Vec<(Stream, Vec<u8>)>| {
                    all.into_iter().filter(|(s, _)| *s == wanted).flat_map(|(_, data)| data).collect::<Vec<_>>()
                };
                let all = fed.iter().map(|(stream, data)| (*stream, data.to_vec())).collect();
                prop_assert_eq!(of(got.clone()), of(all));
            }
            prop_assert!(got.iter().all(|(_, data)| !data.is_empty() && data.len() <= PIECE_BYTES_MAX));
        }
    }
}
