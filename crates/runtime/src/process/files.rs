//! The files of a workload's folder.

use super::{identity::Identity, user::RunAs};
use crate::port::CreateRequest;
use eru_types::{EngineId, ExitStatus, limits::REASON_BYTES_MAX};
use jiff::Timestamp;
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

/// Between why a run ended and what comes then.
const SEPARATOR: &str = "; ";

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
    /// When the next one begins, where one follows. 0 in the records of a shim that did not write it.
    #[serde(default)]
    pub(super) retry_at_ms: i64,
}

impl Exit {
    /// Why it does not run, for people: also that it soon will.
    pub(super) fn told(&self) -> String {
        let Some(at) = Timestamp::from_millisecond(self.retry_at_ms).ok().filter(|at| !self.finished && !at.is_zero())
        else {
            return self.reason.clone();
        };
        let next = format!("its restart policy starts it again at {} UTC", at.strftime("%H:%M:%S"));
        if self.reason.is_empty() {
            return next;
        }
        let room = REASON_BYTES_MAX - next.len() - SEPARATOR.len();
        format!("{}{SEPARATOR}{next}", &self.reason[..self.reason.floor_char_boundary(room)])
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_tells_of_the_next_try() {
        let record = r#"{"run":3,"status":{"code":1,"signal":0,"oom_killed":false,"at_ms":1},"executed":true,"reason":"","started_at_ms":1,"restarts":2,"finished":false}"#;
        let exit: Exit = serde_json::from_str(record).unwrap();
        assert_eq!(exit.told(), "", "a record of before");
        let waiting = Exit { retry_at_ms: 1_795_545_040_371, ..exit };
        let next = "its restart policy starts it again at 18:30:40 UTC";
        assert_eq!(waiting.told(), next);
        let boom = Exit { reason: "boom".into(), ..waiting };
        assert_eq!(boom.told(), format!("boom; {next}"));
        assert_eq!(Exit { finished: true, ..boom.clone() }.told(), "boom");
        let long = Exit { reason: "名".repeat(REASON_BYTES_MAX), ..boom }.told();
        assert!(long.ends_with(next) && (REASON_BYTES_MAX - 2..=REASON_BYTES_MAX).contains(&long.len()), "{long}");
    }
}
