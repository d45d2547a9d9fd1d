//! The last records, read from the end.

use super::{
    super::files::{LOG, LOG_OLD},
    record::{RECORD_BYTES_MAX, parse},
};
use crate::port::LogLine;
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::Path,
};

/// The last `count` records, oldest first.
///
/// # Cost
/// Reads about 16 KiB, more only as far as the lines are long.
pub(in super::super) fn last_records(folder: &Path, count: usize) -> io::Result<Vec<LogLine>> {
    let mut lines = last_of_file(&folder.join(LOG), count)?;
    if lines.len() < count {
        let mut older = last_of_file(&folder.join(LOG_OLD), count - lines.len())?;
        older.append(&mut lines);
        lines = older;
    }
    Ok(lines)
}

fn last_of_file(path: &Path, count: usize) -> io::Result<Vec<LogLine>> {
    let mut file = match File::open(path) {
        Ok(file) if count > 0 => file,
        Ok(_) => return Ok(Vec::new()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(e),
    };
    let size = file.seek(SeekFrom::End(0))?;
    let mut window = RECORD_BYTES_MAX as u64;
    loop {
        let from = size.saturating_sub(window);
        file.seek(SeekFrom::Start(from))?;
        let mut text = Vec::new();
        (&mut file).take(size - from).read_to_end(&mut text)?;
        // The first piece may be the rest of a record, unless the window begins where the file does.
        let skipped = usize::from(from > 0);
        let records: Vec<&[u8]> = text.split_inclusive(|b| *b == b'\n').skip(skipped).collect();
        if from == 0 || records.len() > count {
            let complete = records.iter().filter_map(|r| parse(r.strip_suffix(b"\n")?));
            let mut lines: Vec<LogLine> = complete.collect();
            lines.drain(..lines.len().saturating_sub(count));
            return Ok(lines);
        }
        window *= 4;
    }
}
