//! The file that says which process is the agent, and keeps a second one out.

use anyhow::{Context, Result, bail};
use eru_config::layer::io_reason;
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

/// Longest content that is read, in bytes: a number and a line end are less.
const CONTENT_BYTES_MAX: u64 = 32;

/// Held as long as the agent runs. The lock on it ends with the process, however that ends, so a file that is left behind
/// keeps nobody out.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    file: File,
}

impl PidFile {
    /// Takes the file and writes our id into it.
    ///
    /// # Errors
    /// Another agent holds it; or it cannot be written.
    pub fn take(path: &Path) -> Result<Self> {
        let shown = path.display();
        let advice = "choose another with `pid` in the file or --pidfile";
        loop {
            let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).clone();
            let opened = options.open(path);
            let mut file =
                opened.map_err(|e| anyhow::anyhow!("cannot write pid file {shown}: {}; {advice}", io_reason(&e)))?;
            if !file.metadata().map_err(|e| anyhow::anyhow!("pid file {shown}: {}", io_reason(&e)))?.is_file() {
                bail!("cannot write pid file {shown}: it is not a regular file; {advice}");
            }
            if flock(&file, FlockOperation::NonBlockingLockExclusive).is_err() {
                let pid = content(&mut file);
                bail!("another agent runs as pid {pid} (pid file {shown}); stop it, or {advice}");
            }
            // Who held it before may have removed it between our open and our lock.
            let is_current = std::fs::metadata(path).is_ok_and(|there| {
                file.metadata().is_ok_and(|ours| (there.dev(), there.ino()) == (ours.dev(), ours.ino()))
            });
            if !is_current {
                continue;
            }
            let before = content(&mut file);
            if !before.is_empty() {
                tracing::info!(pid_file = %shown, pid = before, "replacing a pid file that nobody holds any more");
            }
            write(&mut file).with_context(|| format!("cannot write pid file {shown}"))?;
            return Ok(Self { path: path.to_owned(), file });
        }
    }

    /// Removes the file; it is ours as long as we hold it.
    ///
    /// # Errors
    /// When it cannot be removed. That it is gone already is none.
    pub fn remove(self) -> Result<()> {
        let Self { path, file } = self;
        let removed = std::fs::remove_file(&path);
        drop(file);
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                bail!("cannot remove pid file {}: {}", path.display(), io_reason(&error))
            }
            _ => Ok(()),
        }
    }
}

/// What the file says, shortened and escaped; it may be anything.
fn content(file: &mut File) -> String {
    use std::io::Seek as _;
    let mut bytes = Vec::new();
    let read = file.rewind().and_then(|()| file.take(CONTENT_BYTES_MAX).read_to_end(&mut bytes));
    let text = String::from_utf8_lossy(&bytes);
    if read.is_err() { "?".into() } else { eru_types::name::excerpt(text.trim()) }
}

fn write(file: &mut File) -> std::io::Result<()> {
    use std::io::Seek as _;
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn one_holds_it_and_what_is_left_behind_keeps_nobody_out() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agent.pid");
        std::fs::write(&path, "12345\n").unwrap();
        let held = PidFile::take(&path).unwrap();
        let ours = std::process::id().to_string();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), ours);
        let refused = PidFile::take(&path).unwrap_err().to_string();
        assert!(refused.starts_with(&format!("another agent runs as pid {ours} (pid file ")), "{refused}");
        held.remove().unwrap();
        assert!(!path.exists());
        let again = PidFile::take(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        std::fs::remove_file(&path).unwrap();
        again.remove().unwrap();
    }

    #[test]
    fn what_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for (path, cause) in
            [(folder.path().to_owned(), "directory"), (folder.path().join("no/agent.pid"), "no such file")]
        {
            let refused = PidFile::take(&path).unwrap_err().to_string();
            assert!(refused.contains(cause) && refused.contains("--pidfile"), "{refused}");
        }
    }
}
