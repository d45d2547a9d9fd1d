//! Archives on our disk: written beside their name, and given it when they are whole.

use crate::error::CliError;
use crate::ids;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Longest part of a name that comes from the workload, in bytes: a file name may have 255, and ours adds less than 100.
const NAME_BYTES_MAX: usize = 120;
/// Most names that are tried when one is taken.
const NAMES_TRIED_MAX: u32 = 1000;

/// A path that was copied.
#[derive(Debug, Serialize)]
pub(super) struct Copied {
    /// Id of the workload.
    pub id: String,
    /// Path inside it.
    pub path: String,
    /// The archive, a tar file.
    pub file: PathBuf,
}

/// The archives of one command, by workload and path.
#[derive(Debug)]
pub(super) struct Archives {
    dir: PathBuf,
    time: String,
    /// What has begun; nothing for what failed.
    begun: BTreeMap<(String, String), Option<Part>>,
}

impl Archives {
    /// Archives for a folder, which is made if it is not there.
    pub fn in_folder(dir: &Path) -> Result<Self, CliError> {
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.map_err(|error| refusal(dir, &error))?;
        let time = jiff::Zoned::now().strftime("%Y.%m.%d.%H.%M.%S").to_string();
        Ok(Self { dir: dir.to_owned(), time, begun: BTreeMap::new() })
    }

    /// Adds to the archive of `from`, a workload and a path, whose name core says.
    pub fn append(&mut self, from: (String, String), name: &str, data: &[u8]) -> Result<(), CliError> {
        if !self.begun.contains_key(&from) {
            let part = Part::begin(
                &self.dir,
                self.begun.len(),
                format!("{}-{}-{}", ids::short(&from.0), file_name(name, &from.1), self.time),
            );
            self.begun.insert(from.clone(), Some(part?));
        }
        match self.begun.get_mut(&from) {
            Some(Some(part)) => part.file.write_all(data).map_err(|error| refusal(&part.path, &error)),
            _ => Ok(()),
        }
    }

    /// Throws away what there is of `from`.
    pub fn refuse(&mut self, from: (String, String)) {
        self.begun.insert(from, None);
    }

    /// Gives every archive its name, when core has said all.
    pub fn finish(self) -> Result<Vec<Copied>, CliError> {
        let mut done = Vec::new();
        for ((id, path), part) in self.begun {
            if let Some(part) = part {
                done.push(Copied { id, path, file: part.finish(&self.dir)? });
            }
        }
        Ok(done)
    }
}

/// An archive that is not whole. Dropped, it is gone.
#[derive(Debug)]
struct Part {
    file: File,
    path: PathBuf,
    /// What it is to be called, without `.tar`.
    name: String,
}

impl Part {
    fn begin(dir: &Path, number: usize, name: String) -> Result<Self, CliError> {
        let path = dir.join(format!(".{name}.{}.{number}.part", std::process::id()));
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|error| refusal(&path, &error))?;
        Ok(Self { file, path, name })
    }

    /// Takes the first name that is free; what is there is never overwritten.
    fn finish(self, dir: &Path) -> Result<PathBuf, CliError> {
        for number in 1..=NAMES_TRIED_MAX {
            let suffix = if number == 1 { String::new() } else { format!("-{number}") };
            let wanted = dir.join(format!("{}{suffix}.tar", self.name));
            match give_name(&self.path, &wanted) {
                Ok(()) => return Ok(wanted),
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(refusal(&wanted, &error)),
            }
        }
        Err(CliError::Failed(format!("cannot write \"{}\": all names are taken", dir.join(&self.name).display())))
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        // Under its own name it is here no more.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Renames without overwriting; where the file system cannot, by a second link.
fn give_name(from: &Path, to: &Path) -> std::io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => std::fs::hard_link(from, to),
        Err(error) => Err(error.into()),
    }
}

/// A name that is safe in a folder of ours: that of the file, or else the last part of the path.
fn file_name(name: &str, path: &str) -> String {
    let last = |text: &str| text.rsplit('/').find(|part| !part.is_empty()).unwrap_or_default().to_owned();
    let name = Some(last(name)).filter(|name| !name.is_empty()).unwrap_or_else(|| last(path));
    let safe = |c: char| if c.is_control() || c == '/' { '_' } else { c };
    let mut name: String = name.chars().map(safe).collect();
    while name.len() > NAME_BYTES_MAX {
        name.pop();
    }
    if name.is_empty() || name.starts_with("..") { "root".to_owned() } else { name }
}

fn refusal(path: &Path, error: &std::io::Error) -> CliError {
    CliError::Failed(format!("cannot write \"{}\": {}", path.display(), eru_config::layer::io_reason(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(path: &str) -> (String, String) {
        ("f".repeat(64), path.to_owned())
    }

    fn names(dir: &Path) -> Vec<String> {
        let name = |entry: std::io::Result<std::fs::DirEntry>| entry.unwrap().file_name().into_string().unwrap();
        let mut names: Vec<String> = std::fs::read_dir(dir).unwrap().map(name).collect();
        names.sort();
        names
    }

    #[test]
    fn only_what_is_whole_gets_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().join("new");
        let mut archives = Archives::in_folder(&dir).unwrap();
        archives.append(from("/etc/passwd"), "passwd", b"one").unwrap();
        archives.append(from("/big"), "big", b"begun").unwrap();
        archives.append(from("/etc/passwd"), "passwd", b"two").unwrap();
        archives.refuse(from("/big"));
        archives.append(from("/big"), "big", b"late").unwrap();
        assert_eq!(names(&dir).len(), 1);
        let time = archives.time.clone();
        let done = archives.finish().unwrap();
        assert_eq!(names(&dir), [format!("ffffffffffff-passwd-{time}.tar")]);
        assert_eq!((done.len(), std::fs::read(&done[0].file).unwrap()), (1, b"onetwo".to_vec()));
    }

    #[test]
    fn nothing_is_left_of_what_is_given_up_and_nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let mut archives = Archives::in_folder(dir.path()).unwrap();
        archives.append(from("/a"), "x", b"1").unwrap();
        drop(archives);
        assert_eq!(names(dir.path()), [""; 0]);
        let mut archives = Archives::in_folder(dir.path()).unwrap();
        archives.append(from("/a/x"), "x", b"1").unwrap();
        archives.append(from("/b/x"), "x", b"2").unwrap();
        let time = archives.time.clone();
        let done = archives.finish().unwrap();
        assert_eq!(names(dir.path()), ["-2.tar", ".tar"].map(|end| format!("ffffffffffff-x-{time}{end}")));
        assert_eq!(done.iter().map(|copied| std::fs::read(&copied.file).unwrap()).collect::<Vec<_>>(), [b"1", b"2"]);
    }

    #[test]
    fn names_that_others_chose() {
        for (name, path, want) in [
            ("passwd", "/etc/passwd", "passwd"),
            ("../../etc/cron.d/x", "/x", "x"),
            ("", "/www/", "www"),
            ("..", "/", "root"),
            ("", "/", "root"),
            ("a\nb", "/", "a_b"),
        ] {
            assert_eq!(file_name(name, path), want);
        }
        assert_eq!(file_name(&"é".repeat(200), "/").len(), 120);
    }
}
