//! Reading from the front, and on as the files grow.

use super::{
    super::files::{LOG, LOG_OLD},
    record::parse,
};
use crate::port::LogLine;
use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::PathBuf,
};

/// How much is read at once, in bytes: several of the longest records.
const CHUNK_BYTES: usize = 128 * 1024;

/// A place in the output of a workload.
pub(in super::super) struct Reader {
    folder: PathBuf,
    /// Files that are to be read to their end, oldest first; the last one may still grow.
    files: VecDeque<File>,
    partial: Vec<u8>,
}

impl Reader {
    /// At the oldest record that is kept.
    pub(in super::super) fn open(folder: PathBuf) -> io::Result<Self> {
        // The newer file first: when the writer moves on in between, the older one is the same file, and nothing is lost.
        let newer = open(&folder, LOG)?;
        let older = open(&folder, LOG_OLD)?;
        let same = matches!((&older, &newer), (Some(a), Some(b)) if inode(a)? == inode(b)?);
        let files = older.filter(|_| !same).into_iter().chain(newer).collect();
        Ok(Self { folder, files, partial: Vec::new() })
    }

    /// The records that come next; none when all that is there now was read.
    pub(in super::super) fn next(&mut self) -> io::Result<Vec<LogLine>> {
        loop {
            if self.files.is_empty() {
                self.files.extend(open(&self.folder, LOG)?);
            }
            let Some(file) = self.files.front_mut() else { return Ok(Vec::new()) };
            let begun = self.partial.len();
            file.take(CHUNK_BYTES as u64).read_to_end(&mut self.partial)?;
            if self.partial.len() > begun {
                let lines = self.cut();
                if !lines.is_empty() {
                    return Ok(lines);
                }
                continue;
            }
            if self.files.len() == 1 {
                let Some(newer) = open(&self.folder, LOG)? else { return Ok(Vec::new()) };
                if inode(&newer)? == inode(&self.files[0])? {
                    return Ok(Vec::new());
                }
                // The writer moved on. It may have written to the old file after we read its end, so that is read once more.
                self.files.push_back(newer);
                continue;
            }
            self.files.pop_front();
            self.partial.clear();
        }
    }

    fn cut(&mut self) -> Vec<LogLine> {
        let Some(end) = self.partial.iter().rposition(|b| *b == b'\n') else { return Vec::new() };
        let lines = self.partial[..end].split(|b| *b == b'\n').filter_map(parse).collect();
        self.partial.drain(..=end);
        lines
    }
}

fn open(folder: &std::path::Path, name: &str) -> io::Result<Option<File>> {
    match File::open(folder.join(name)) {
        Ok(file) => Ok(Some(file)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

fn inode(file: &File) -> io::Result<(u64, u64)> {
    file.metadata().map(|m: fs::Metadata| (m.dev(), m.ino()))
}

#[cfg(test)]
mod tests {
    use super::{super::writer::Writer, *};
    use crate::port::Stream;

    #[test]
    fn a_reader_keeps_up_over_rotations() {
        let folder = tempfile::tempdir().unwrap();
        let mut writer = Writer::open(folder.path().to_owned(), 200_000);
        let mut reader = Reader::open(folder.path().to_owned()).unwrap();
        let mut seen = Vec::new();
        for n in 0..20_000 {
            writer.line(n, Stream::Stdout, format!("line {n}").as_bytes(), false);
            if n % 500 == 0 {
                writer.flush();
                while let lines @ [_, ..] = &reader.next().unwrap()[..] {
                    seen.extend(lines.iter().map(|l| l.at_ms));
                }
            }
        }
        writer.flush();
        while let lines @ [_, ..] = &reader.next().unwrap()[..] {
            seen.extend(lines.iter().map(|l| l.at_ms));
        }
        assert_eq!(seen, (0..20_000).collect::<Vec<_>>());
        let mut late = Reader::open(folder.path().to_owned()).unwrap();
        let first = late.next().unwrap();
        assert!(first[0].at_ms > 0, "the oldest lines are gone");
    }
}
