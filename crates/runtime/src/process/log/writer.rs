//! Writing, in the shim.

use super::{
    super::files::{LOG, LOG_OLD},
    record::{LINE_BYTES_MAX, RECORD_BYTES_MAX, append},
};
use crate::port::Stream;
use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

/// Appends records to the files. What cannot be written is dropped: a full disk must not hold up a workload.
pub(in super::super) struct Writer {
    folder: PathBuf,
    file: Option<File>,
    size: u64,
    size_max: u64,
    batch: Vec<u8>,
}

impl Writer {
    /// Goes on where the file ends. Both files together stay below `bytes_max`.
    pub(in super::super) fn open(folder: PathBuf, bytes_max: u64) -> Self {
        let size_max = (bytes_max / 2).max(RECORD_BYTES_MAX as u64);
        let mut writer = Self { folder, file: None, size: 0, size_max, batch: Vec::new() };
        writer.reopen();
        writer
    }

    fn reopen(&mut self) {
        let path = self.folder.join(LOG);
        self.file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path).ok();
        let Some(file) = &mut self.file else { return };
        self.size = file.metadata().map_or(0, |m| m.len());
        // A writer that was killed may have left half a record; it must not swallow the next one.
        let mut last = [b'\n'];
        let cut = self.size > 0 && file.seek(SeekFrom::End(-1)).and_then(|_| file.read(&mut last)).is_ok();
        if cut && last != [b'\n'] && file.write_all(b"\n").is_ok() {
            self.size += 1;
        }
    }

    /// Takes a line, or a piece of one. It is written by [`Self::flush`] at the latest.
    pub(in super::super) fn line(&mut self, at_ms: i64, stream: Stream, data: &[u8], partial: bool) {
        if self.size + (self.batch.len() + data.len() + RECORD_BYTES_MAX - LINE_BYTES_MAX) as u64 > self.size_max {
            self.flush();
            self.rotate();
        }
        append(&mut self.batch, at_ms, stream, data, partial);
    }

    /// Writes what was taken.
    pub(in super::super) fn flush(&mut self) {
        if self.batch.is_empty() {
            return;
        }
        if self.file.is_none() {
            self.reopen();
        }
        if let Some(file) = &mut self.file {
            match file.write_all(&self.batch) {
                Ok(()) => self.size += self.batch.len() as u64,
                // Opened anew next time, which also mends a half-written record.
                Err(_) => self.file = None,
            }
        }
        self.batch.clear();
    }

    fn rotate(&mut self) {
        // Where the file cannot be moved aside its content goes: the bound holds in any case.
        if fs::rename(self.folder.join(LOG), self.folder.join(LOG_OLD)).is_err()
            && let Some(file) = &self.file
        {
            let _ = file.set_len(0);
        }
        self.file = None;
        self.size = 0;
        self.reopen();
    }
}

/// Cuts the bytes of one output into lines.
pub(in super::super) struct Pump {
    stream: Stream,
    partial: Vec<u8>,
    last: Vec<u8>,
}

impl Pump {
    pub(in super::super) fn new(stream: Stream) -> Self {
        Self { stream, partial: Vec::new(), last: Vec::new() }
    }

    /// Takes bytes as they came.
    pub(in super::super) fn feed(&mut self, writer: &mut Writer, at_ms: i64, mut bytes: &[u8]) {
        while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
            self.take(writer, at_ms, &bytes[..end]);
            self.end_line(writer, at_ms, true);
            bytes = &bytes[end + 1..];
        }
        self.take(writer, at_ms, bytes);
    }

    /// Ends a line that has no line end: nothing follows it.
    pub(in super::super) fn finish(&mut self, writer: &mut Writer, at_ms: i64) {
        self.end_line(writer, at_ms, false);
    }

    /// The last line that had anything in it.
    pub(in super::super) fn last_line(&self) -> &[u8] {
        &self.last
    }

    /// Forgets the last line.
    pub(in super::super) fn forget(&mut self) {
        self.last.clear();
    }

    fn take(&mut self, writer: &mut Writer, at_ms: i64, mut bytes: &[u8]) {
        while self.partial.len() + bytes.len() > LINE_BYTES_MAX {
            let (piece, rest) = bytes.split_at(LINE_BYTES_MAX - self.partial.len());
            self.partial.extend_from_slice(piece);
            self.end_line(writer, at_ms, false);
            bytes = rest;
        }
        self.partial.extend_from_slice(bytes);
    }

    /// Writes what is there; an empty line only where one was printed.
    fn end_line(&mut self, writer: &mut Writer, at_ms: i64, ended: bool) {
        if ended || !self.partial.is_empty() {
            writer.line(at_ms, self.stream, &self.partial, !ended);
        }
        if !self.partial.trim_ascii().is_empty() {
            std::mem::swap(&mut self.last, &mut self.partial);
        }
        self.partial.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tail::last_records, *};

    #[test]
    fn lines_are_split_and_the_files_stay_bounded() {
        const BYTES_MAX: u64 = 100_000;
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(folder.path().to_owned(), BYTES_MAX);
        let mut pump = Pump::new(Stream::Stdout);
        for _ in 0..200 {
            pump.feed(&mut writer, 1, &[b'x'; 10_000]);
        }
        pump.feed(&mut writer, 2, b"tail\n\nlast");
        pump.finish(&mut writer, 3);
        pump.finish(&mut writer, 4);
        writer.flush();
        let size = |name| fs::metadata(folder.path().join(name)).unwrap().len();
        assert!(size(LOG) + size(LOG_OLD) <= BYTES_MAX && size(LOG_OLD) > BYTES_MAX / 4);
        let lines = last_records(folder.path(), 4).unwrap();
        let texts: Vec<_> = lines.iter().map(|l| String::from_utf8_lossy(&l.data)).collect();
        assert_eq!((texts[0].len(), &*texts[2], &*texts[3]), (LINE_BYTES_MAX, "", "last"));
        assert!(texts[1].ends_with("xtail") && texts[1].len() == 200 * 10_000 % LINE_BYTES_MAX + 4);
        assert_eq!(pump.last_line(), b"last");
    }

    #[test]
    fn half_a_record_does_not_swallow_the_next() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(LOG), "5 o whole\n5 o ha").unwrap();
        let mut writer = Writer::open(folder.path().to_owned(), 1 << 20);
        writer.line(6, Stream::Stderr, b"next", false);
        writer.flush();
        let lines = last_records(folder.path(), 10).unwrap();
        assert_eq!(lines.len(), 3);
        assert_eq!((&lines[2].data[..], lines[2].stream), (&b"next"[..], Stream::Stderr));
    }
}
