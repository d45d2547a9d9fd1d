//! What is in the images: a root file system as a tar archive.

use anyhow::{Context, Result};
use std::{fs::File, io::Write, path::Path};
use tar::{Builder, EntryType, Header};

/// The names of the one binary beside `eru` itself.
const NAMES: [&str; 5] = ["eru-cli", "eru-core", "eru-agent", "eru-controller", "eru-hello"];
/// What of busybox the tests call.
const APPLETS: [&str; 22] = [
    "sh", "cat", "dd", "echo", "env", "false", "head", "hostname", "httpd", "id", "killall", "ls", "mkdir", "nc", "ps",
    "sleep", "stty", "touch", "true", "wc", "wget", "yes",
];
/// Users that images and specs name: root, which the engine is asked for by name, and nobody.
const PASSWD: &str = "root:x:0:0:root:/:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n";
const GROUP: &str = "root:x:0:\nnogroup:x:65534:\n";
/// Every file has this time, seconds since the epoch: the archive depends on its content alone.
const MTIME: u64 = 1_700_000_000;

/// Writes the file system of our images.
pub fn eru(binary: &Path, archive: &Path) -> Result<()> {
    let mut tree = Tree::create(archive)?;
    tree.system()?;
    tree.folders(&["usr/", "usr/bin/", "etc/eru/"])?;
    tree.program("usr/bin/eru", binary)?;
    for name in NAMES {
        tree.link(&format!("usr/bin/{name}"), "eru")?;
    }
    tree.finish()
}

/// Writes the file system of the tests' image.
pub fn busybox(binary: &Path, archive: &Path) -> Result<()> {
    let mut tree = Tree::create(archive)?;
    tree.system()?;
    tree.folders(&["bin/"])?;
    tree.program("bin/busybox", binary)?;
    for applet in APPLETS {
        tree.link(&format!("bin/{applet}"), "busybox")?;
    }
    tree.finish()
}

struct Tree(Builder<File>);

impl Tree {
    fn create(archive: &Path) -> Result<Self> {
        let file = File::create(archive).with_context(|| format!("cannot write {}", archive.display()))?;
        Ok(Self(Builder::new(file)))
    }

    /// What every program may expect of a system.
    fn system(&mut self) -> Result<()> {
        self.folders(&["etc/"])?;
        self.entry("tmp/", EntryType::Directory, 0o1777, &[])?;
        self.entry("etc/passwd", EntryType::Regular, 0o644, PASSWD.as_bytes())?;
        self.entry("etc/group", EntryType::Regular, 0o644, GROUP.as_bytes())
    }

    fn folders(&mut self, paths: &[&str]) -> Result<()> {
        paths.iter().try_for_each(|path| self.entry(path, EntryType::Directory, 0o755, &[]))
    }

    fn program(&mut self, path: &str, from: &Path) -> Result<()> {
        let file = File::open(from).with_context(|| format!("cannot read {}", from.display()))?;
        let mut header = header(EntryType::Regular, 0o755, file.metadata()?.len());
        Ok(self.0.append_data(&mut header, path, file)?)
    }

    fn link(&mut self, path: &str, target: &str) -> Result<()> {
        let mut header = header(EntryType::Symlink, 0o777, 0);
        Ok(self.0.append_link(&mut header, path, target)?)
    }

    fn entry(&mut self, path: &str, kind: EntryType, mode: u32, content: &[u8]) -> Result<()> {
        let mut header = header(kind, mode, content.len() as u64);
        Ok(self.0.append_data(&mut header, path, content)?)
    }

    fn finish(self) -> Result<()> {
        Ok(self.0.into_inner()?.flush()?)
    }
}

fn header(kind: EntryType, mode: u32, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(MTIME);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_has_what_programs_expect() {
        let dir = tempfile::tempdir().unwrap();
        let (binary, archive) = (dir.path().join("eru"), dir.path().join("rootfs.tar"));
        std::fs::write(&binary, "binary").unwrap();
        eru(&binary, &archive).unwrap();
        let mut found: Vec<String> = tar::Archive::new(File::open(&archive).unwrap())
            .entries()
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let target = entry.link_name().unwrap().map(|t| format!(" -> {}", t.display())).unwrap_or_default();
                format!("{:o} {}{target}", entry.header().mode().unwrap(), entry.path().unwrap().display())
            })
            .collect();
        found.sort();
        assert_eq!(
            found,
            [
                "1777 tmp/",
                "644 etc/group",
                "644 etc/passwd",
                "755 etc/",
                "755 etc/eru/",
                "755 usr/",
                "755 usr/bin/",
                "755 usr/bin/eru",
                "777 usr/bin/eru-agent -> eru",
                "777 usr/bin/eru-cli -> eru",
                "777 usr/bin/eru-controller -> eru",
                "777 usr/bin/eru-core -> eru",
                "777 usr/bin/eru-hello -> eru",
            ]
        );
        let first = std::fs::read(&archive).unwrap();
        eru(&binary, &archive).unwrap();
        assert_eq!(std::fs::read(&archive).unwrap(), first, "the same binary, the same archive");
    }
}
