//! The file of an engine: one line of JSON per change, appended; the last line of a workload is what counts.

use super::record::Record;
use eru_types::EngineId;
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    path::Path,
};

#[derive(Serialize)]
enum Line<'a> {
    Put(&'a Record),
    Removed(&'a EngineId),
}

#[derive(Deserialize)]
enum OwnedLine {
    Put(Box<Record>),
    Removed(EngineId),
}

/// An open journal. A line is in the kernel when a call returns, so the end of this process loses nothing; a power cut may.
pub(super) struct Journal(File);

impl Journal {
    /// Reads what `path` holds, writes it anew without what was overtaken, and goes on appending.
    pub(super) fn open(path: &Path) -> io::Result<(Self, Vec<Record>)> {
        let text = match fs::read(path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(e) => return Err(e),
        };
        let mut records = HashMap::new();
        // A last line without its end was cut off by a kill, before anybody was answered.
        for line in text.split_inclusive(|b| *b == b'\n').filter(|l| l.ends_with(b"\n")) {
            match serde_json::from_slice(line)? {
                OwnedLine::Put(record) => records.insert(record.id.clone(), *record),
                OwnedLine::Removed(id) => records.remove(&id),
            };
        }
        let records: Vec<Record> = records.into_values().collect();
        let fresh = path.with_extension("new");
        let mut file = OpenOptions::new().append(true).create(true).open(&fresh)?;
        file.set_len(0)?;
        let mut text = Vec::new();
        for record in &records {
            append(&mut text, &Line::Put(record))?;
        }
        file.write_all(&text)?;
        fs::rename(&fresh, path)?;
        Ok((Self(file), records))
    }

    pub(super) fn put(&mut self, record: &Record) -> io::Result<()> {
        self.write(&Line::Put(record))
    }

    pub(super) fn remove(&mut self, id: &EngineId) -> io::Result<()> {
        self.write(&Line::Removed(id))
    }

    fn write(&mut self, line: &Line<'_>) -> io::Result<()> {
        let mut text = Vec::with_capacity(512);
        append(&mut text, line)?;
        self.0.write_all(&text)
    }
}

fn append(text: &mut Vec<u8>, line: &Line<'_>) -> io::Result<()> {
    serde_json::to_writer(&mut *text, line)?;
    text.push(b'\n');
    Ok(())
}
