//! The data folder of `eru up`.
//!
//! | name | what |
//! | --- | --- |
//! | `lock` | held by the running `eru up` |
//! | `machine.json` | the pod and the node that this machine is |
//! | `up.json` | its process id and addresses, while it is ready |
//! | `store/`, `controller/`, `runtime/` | core's store, the controller's store, the plain commands |
//! | `bin/` | links to this binary under its names, first in the commands' `PATH` |
//! | `eru.log` | the log, while a table is on the terminal |

use anyhow::{Context, Result, bail};
use eru_types::{NodeName, PodName};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    time::Duration,
};

/// Names that `bin/` holds.
const NAMES: [&str; 6] = ["eru", "eru-cli", "eru-core", "eru-agent", "eru-controller", "eru-hello"];

/// How long a lock is waited for, and how often it is tried: an execution takes milliseconds, on a busy machine too.
const LOCK_PATIENCE: Duration = Duration::from_millis(500);
const LOCK_PERIOD: Duration = Duration::from_millis(5);

/// What a running `eru up` says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its process id.
    pub pid: u32,
    /// Core's address.
    pub core: String,
    /// The controller's address.
    pub controller: String,
}

/// What this machine is to its core; chosen once, by the first `eru up`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Its pod.
    pub pod: PodName,
    /// Its node.
    pub node: NodeName,
}

/// The folder, locked by us until dropped.
pub struct Folder {
    path: PathBuf,
    _lock: File,
}

/// Where it is when nothing says otherwise: `/var/lib/eru` for root, else `$XDG_DATA_HOME/eru` or `~/.local/share/eru`.
///
/// # Errors
/// When there is no home.
pub fn default_path() -> Result<PathBuf> {
    if rustix::process::geteuid().is_root() {
        return Ok("/var/lib/eru".into());
    }
    let home = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    match (home("XDG_DATA_HOME"), home("HOME")) {
        (Some(data), _) => Ok(data.join("eru")),
        (None, Some(home)) => Ok(home.join(".local/share/eru")),
        (None, None) => bail!("neither XDG_DATA_HOME nor HOME is set: say where to keep data with --data-dir"),
    }
}

/// What the running `eru up` of this folder says of itself; `None` when none runs.
///
/// # Errors
/// When the file is there but cannot be read.
pub fn running(path: &Path) -> Result<Option<Running>> {
    let Some(lock) = try_lock(path)? else {
        let file = path.join("up.json");
        return match fs::read(&file) {
            Ok(text) => {
                Ok(Some(serde_json::from_slice(&text).with_context(|| format!("{} is damaged", file.display()))?))
            }
            Err(_) => bail!("eru up is starting or stopping on {}: try again in a moment", path.display()),
        };
    };
    drop(lock);
    Ok(None)
}

/// What this machine was at the last `eru up` of a folder.
///
/// # Errors
/// When the file is there but damaged.
pub fn machine(path: &Path) -> Result<Option<Machine>> {
    let file = path.join("machine.json");
    match fs::read(&file) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text).with_context(|| format!("{} is damaged", file.display()))?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Whether some `eru up` has the folder.
///
/// # Errors
/// When the lock cannot be asked.
pub fn lock_is_held(path: &Path) -> Result<bool> {
    Ok(try_lock(path)?.is_none())
}

fn try_lock(path: &Path) -> Result<Option<File>> {
    let file = path.join("lock");
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&file)
        .with_context(|| format!("cannot open {}", file.display()))?;
    match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(lock)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot lock {}", file.display())),
    }
}

/// Takes the lock, and waits a moment for it: a command that was being started when its `eru up` was killed holds the
/// descriptor until it is executed.
fn patient_lock(path: &Path) -> Result<Option<File>> {
    let begin = std::time::Instant::now();
    loop {
        match try_lock(path)? {
            None if begin.elapsed() < LOCK_PATIENCE => std::thread::sleep(LOCK_PERIOD),
            taken => return Ok(taken),
        }
    }
}

impl Folder {
    /// Makes the folder where it is missing, locks it, and links our names into `bin/`.
    ///
    /// # Errors
    /// When it cannot be made, or another `eru up` holds it.
    pub fn open(path: PathBuf) -> Result<Self> {
        fs::create_dir_all(&path).with_context(|| {
            format!("cannot make the data folder {}: choose another with --data-dir", path.display())
        })?;
        let path = path.canonicalize()?;
        let (owner, we) = (fs::metadata(&path)?.uid(), rustix::process::geteuid().as_raw());
        if owner != we {
            // Files of ours in it would lock its owner out.
            bail!(
                "{} belongs to user {owner}, and we are user {we}: run as its owner, or choose another with --data-dir",
                path.display()
            );
        }
        let Some(lock) = patient_lock(&path)? else {
            bail!("another eru up runs on {}: stop it, or choose another folder with --data-dir", path.display())
        };
        let folder = Self { path, _lock: lock };
        folder.not_ready()?;
        folder.link_names()?;
        Ok(folder)
    }

    fn link_names(&self) -> Result<()> {
        let bin = self.path.join("bin");
        fs::create_dir_all(&bin)?;
        let binary = std::env::current_exe().context("cannot tell where this binary is")?;
        for name in NAMES {
            let link = bin.join(name);
            if fs::read_link(&link).is_ok_and(|target| target == binary) {
                continue;
            }
            let fresh = bin.join(format!(".{name}"));
            let _ = fs::remove_file(&fresh);
            std::os::unix::fs::symlink(&binary, &fresh)?;
            fs::rename(&fresh, &link).with_context(|| format!("cannot write {}", link.display()))?;
        }
        Ok(())
    }

    /// Remembers what this machine is.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn remember(&self, machine: &Machine) -> Result<()> {
        self.replace("machine.json", &serde_json::to_vec(machine)?)
    }

    fn replace(&self, name: &str, content: &[u8]) -> Result<()> {
        let fresh = self.path.join(format!(".{name}"));
        fs::write(&fresh, content)
            .and_then(|()| fs::rename(&fresh, self.path.join(name)))
            .with_context(|| format!("cannot write {name}"))
    }

    /// A folder or file in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Says that we are ready.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn ready(&self, running: &Running) -> Result<()> {
        self.replace("up.json", &serde_json::to_vec(running)?)
    }

    /// Says that we are not ready.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn not_ready(&self) -> Result<()> {
        match fs::remove_file(self.path.join("up.json")) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_holder_and_what_it_says() {
        let dir = tempfile::tempdir().unwrap();
        let folder = Folder::open(dir.path().join("a/b")).unwrap();
        assert!(
            Folder::open(folder.path().to_owned()).is_err_and(|e| e.to_string().contains("another eru up runs on"))
        );
        assert!(running(folder.path()).is_err());
        let said = Running { pid: 7, core: "127.0.0.1:1".into(), controller: "127.0.0.1:2".into() };
        folder.ready(&said).unwrap();
        assert_eq!(running(folder.path()).unwrap(), Some(said));
        let path = folder.path().to_owned();
        assert!(path.join("bin/eru-hello").exists());
        drop(folder);
        assert_eq!(running(&path).unwrap(), None);
    }
}
