//! The output of a process, as a daemon sends it: with a terminal the bytes as they are, without one in frames of a header of
//! eight bytes (which output, length) and a payload. Which of the two it is must be known: bytes do not tell.

use crate::port::{Error, Result, Stream};
use bytes::{Buf, Bytes};

/// Largest payload of a frame. Daemons send what they read at once, some ten thousand bytes; more is no frame.
const FRAME_BYTES_MAX: u32 = 64 * 1024 * 1024;
/// Length of a header.
const HEADER_BYTES: usize = 8;
/// Longest text of a failure that a daemon tells inside of the stream.
const FAILURE_BYTES_MAX: usize = 4096;

/// Some output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) stream: Stream,
    pub(super) data: Bytes,
    /// Whether its frame ends with it. Without frames nothing ends.
    pub(super) ends: bool,
}

/// Reads output out of chunks that are split anywhere.
#[derive(Debug)]
pub(super) enum Decoder {
    /// Of a terminal.
    Raw,
    /// Of a process without one.
    Framed(Frames),
}

impl Decoder {
    pub(super) fn new(terminal: bool) -> Self {
        if terminal { Self::Raw } else { Self::Framed(Frames::default()) }
    }

    /// Takes the next piece out of `chunk`; `None` = all of it was taken.
    ///
    /// # Errors
    /// What is no frame, and what the daemon says went wrong. Nothing can be read after it.
    pub(super) fn next(&mut self, chunk: &mut Bytes) -> Result<Option<Piece>> {
        match self {
            Self::Raw if chunk.is_empty() => Ok(None),
            Self::Raw => Ok(Some(Piece { stream: Stream::Stdout, data: std::mem::take(chunk), ends: false })),
            Self::Framed(frames) => frames.next(chunk),
        }
    }

    /// The stream ended here.
    ///
    /// # Errors
    /// In the middle of a frame.
    pub(super) fn finish(&self) -> Result<()> {
        match self {
            Self::Framed(Frames { head: 0, left: 0, failure: None, .. }) | Self::Raw => Ok(()),
            Self::Framed(_) => Err(Error::Failed("the output was cut inside of a frame".into())),
        }
    }
}

/// Where in a frame we are.
#[derive(Debug)]
pub(super) struct Frames {
    header: [u8; HEADER_BYTES],
    /// Bytes of the header that are there; 0 while in a payload.
    head: usize,
    /// Bytes of the payload that are still to come.
    left: usize,
    stream: Stream,
    /// The daemon tells what went wrong.
    failure: Option<Vec<u8>>,
}

impl Default for Frames {
    fn default() -> Self {
        Self { header: [0; HEADER_BYTES], head: 0, left: 0, stream: Stream::Stdout, failure: None }
    }
}

impl Frames {
    fn next(&mut self, chunk: &mut Bytes) -> Result<Option<Piece>> {
        loop {
            if self.left == 0 && !self.header(chunk)? {
                return Ok(None);
            }
            if self.left == 0 {
                continue;
            }
            if chunk.is_empty() {
                return Ok(None);
            }
            let data = chunk.split_to(self.left.min(chunk.len()));
            self.left -= data.len();
            match &mut self.failure {
                None => return Ok(Some(Piece { stream: self.stream, data, ends: self.left == 0 })),
                Some(text) => {
                    let room = FAILURE_BYTES_MAX - text.len();
                    text.extend_from_slice(&data[..data.len().min(room)]);
                    if self.left == 0 || text.len() == FAILURE_BYTES_MAX {
                        return Err(Error::Failed(crate::reason::one_line(&String::from_utf8_lossy(text))));
                    }
                }
            }
        }
    }

    /// Goes on with a header; whether it is complete.
    fn header(&mut self, chunk: &mut Bytes) -> Result<bool> {
        let taken = chunk.len().min(HEADER_BYTES - self.head);
        chunk.copy_to_slice(&mut self.header[self.head..self.head + taken]);
        self.head += taken;
        if self.head < HEADER_BYTES {
            return Ok(false);
        }
        let [kind, zeros @ .., a, b, c, d] = self.header;
        let length = u32::from_be_bytes([a, b, c, d]);
        if zeros != [0; 3] || kind > 3 || length > FRAME_BYTES_MAX {
            return Err(Error::Failed(format!("the output is in no frames: a header of {:02x?}", self.header)));
        }
        self.head = 0;
        self.left = length as usize;
        self.stream = if kind == 2 { Stream::Stderr } else { Stream::Stdout };
        self.failure = (kind == 3).then(Vec::new);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(kind: u8, data: &[u8]) -> Vec<u8> {
        let length = u32::try_from(data.len()).unwrap().to_be_bytes();
        [&[kind, 0, 0, 0], &length[..], data].concat()
    }

    /// All output of each stream, fed in these chunks.
    fn read(terminal: bool, chunks: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>, usize)> {
        let (mut decoder, mut out, mut err, mut ends) = (Decoder::new(terminal), Vec::new(), Vec::new(), 0);
        for chunk in chunks {
            let mut chunk = Bytes::copy_from_slice(chunk);
            while let Some(piece) = decoder.next(&mut chunk)? {
                assert!(!piece.data.is_empty());
                if piece.stream == Stream::Stdout { &mut out } else { &mut err }.extend_from_slice(&piece.data);
                ends += usize::from(piece.ends);
            }
            assert!(chunk.is_empty());
        }
        decoder.finish()?;
        Ok((out, err, ends))
    }

    #[test]
    fn every_split_reads_the_same() {
        let wire = [frame(1, b"one\n"), frame(2, b"two"), frame(1, b""), frame(0, b"\x01\x00\x00\x00"), frame(2, b"!")]
            .concat();
        let want = (b"one\n\x01\x00\x00\x00".to_vec(), b"two!".to_vec(), 4);
        for a in 0..=wire.len() {
            for b in a..=wire.len() {
                assert_eq!(read(false, &[&wire[..a], &wire[a..b], &wire[b..]]).unwrap(), want, "split at {a}, {b}");
            }
        }
        let single: Vec<&[u8]> = wire.chunks(1).collect();
        assert_eq!(read(false, &single).unwrap(), want);
    }

    #[test]
    fn a_terminal_loses_nothing() {
        // What looks like a header is none.
        let typed: &[&[u8]] = &[b"abc", b"\x02defghijkl", b"\x01\x00\x00\x00\x00\x00\x00\x05x"];
        assert_eq!(read(true, typed).unwrap().0, typed.concat());
    }

    #[test]
    fn nonsense_and_cuts_are_errors() {
        for nonsense in [
            &b"hello world"[..],
            &[1, 0, 0, 9, 0, 0, 0, 1, 0],
            &[4, 0, 0, 0, 0, 0, 0, 1, 0],
            &[1, 0, 0, 0, 255, 0, 0, 0],
        ] {
            assert!(read(false, &[nonsense]).unwrap_err().to_string().contains("no frames"), "{nonsense:?}");
        }
        let wire = frame(1, b"one");
        for cut in 1..wire.len() {
            assert!(read(false, &[&wire[..cut]]).unwrap_err().to_string().contains("cut inside"), "{cut}");
        }
        let failed = frame(3, b"the driver\nfailed");
        let (a, b) = failed.split_at(12);
        assert!(read(false, &[a, b]).unwrap_err().to_string().contains("the driver\\nfailed"));
        let long = frame(3, &[b'x'; 2 * FAILURE_BYTES_MAX]);
        assert!(read(false, &[&long]).is_err());
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..256), at in 0usize..256) {
            let (a, b) = bytes.split_at(at.min(bytes.len()));
            let _ = read(false, &[a, b]);
            prop_assert_eq!(read(true, &[a, b]).unwrap().0, bytes);
        }

        #[test]
        fn random_frames_come_back(frames in proptest::collection::vec((0u8..3, proptest::collection::vec(any::<u8>(), 0..40)), 0..12), size in 1usize..30) {
            let wire: Vec<u8> = frames.iter().flat_map(|(kind, data)| frame(*kind, data)).collect();
            let chunks: Vec<&[u8]> = wire.chunks(size).collect();
            let of = |err: bool| -> Vec<u8> {
                frames.iter().filter(|(kind, _)| (*kind == 2) == err).flat_map(|(_, data)| data.clone()).collect()
            };
            let (out, err, _) = read(false, &chunks).unwrap();
            prop_assert_eq!((out, err), (of(false), of(true)));
        }
    }
}
