//! The files of a workload's folder.

use super::{identity::Identity, user::RunAs};
use crate::port::CreateRequest;
use eru_types::{EngineId, ExitStatus};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    net::Ipv4Addr,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

pub(super) const SPEC: &str = "spec.json";
pub(super) const SHIM_LOCK: &str = "shim.lock";
pub(super) const SHIM: &str = "shim.json";
pub(super) const RUN: &str = "run.json";
pub(super) const EXIT: &str = "exit.json";
pub(super) const OUT: &str = "out";
pub(super) const ERR: &str = "err";
pub(super) const CONTROL: &str = "control";
pub(super) const LOG: &str = "log";
pub(super) const LOG_OLD: &str = "log.1";
pub(super) const WORK: &str = "work";

/// What a workload was made as; never changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Spec {
    pub(super) id: EngineId,
    pub(super) request: CreateRequest,
    pub(super) address: Ipv4Addr,
    pub(super) created_at_ms: i64,
    /// The whole environment, the request's own included.
    pub(super) env: Vec<(String, String)>,
    /// Where the command begins.
    pub(super) dir: PathBuf,
    /// Whom it runs as; `None` = whoever we are.
    pub(super) run_as: Option<RunAs>,
    pub(super) log_bytes_max: u64,
}

/// A run that was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    /// The how-manieth it is, from 1.
    pub(super) run: u64,
    pub(super) child: Identity,
    /// The session of its first shim, which tells its process group from a later one of the same id.
    pub(super) session: i32,
    /// Whether the command was executed; before that the process is only on its way there.
    pub(super) executed: bool,
    pub(super) started_at_ms: i64,
    pub(super) restarts: u32,
}

/// A run that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Exit {
    pub(super) run: u64,
    pub(super) status: ExitStatus,
    /// Whether the command was ever executed.
    pub(super) executed: bool,
    pub(super) reason: String,
    pub(super) started_at_ms: i64,
    pub(super) restarts: u32,
    /// Whether no other run follows by itself.
    pub(super) finished: bool,
}

/// Reads a record; `None` when there is no such file.
pub(super) fn read<T: DeserializeOwned>(path: &Path) -> io::Result<Option<T>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(e),
    }
}

/// Replaces a record whole: whoever reads it sees the old or the new one. It survives the death of the process that writes,
/// not that of the machine.
pub(super) fn write(path: &Path, record: &impl Serialize) -> io::Result<()> {
    replace(path, record, false)
}

/// As [`write()`], and it survives the death of the machine.
pub(super) fn write_durably(path: &Path, record: &impl Serialize) -> io::Result<()> {
    replace(path, record, true)?;
    sync_folder(path.parent().expect("a record lies in a folder"))
}

fn replace(path: &Path, record: &impl Serialize, durable: bool) -> io::Result<()> {
    let mut fresh = OsString::from(path);
    fresh.push(".new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(&serde_json::to_vec(record)?)?;
    if durable {
        file.sync_data()?;
    }
    fs::rename(&fresh, path)
}

/// Makes names in a folder survive the death of the machine.
pub(super) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// The lock of a file; `None` while another process has it.
pub(super) fn try_lock(path: &Path) -> io::Result<Option<File>> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// What the system said, without the number that std adds.
pub(super) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}
