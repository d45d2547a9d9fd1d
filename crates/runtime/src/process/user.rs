//! Whom a command runs as. The user files are read here, because a static program cannot ask the system's resolver.

use eru_types::name::excerpt;
use serde::{Deserialize, Serialize};
use std::{fs, path::PathBuf};

/// Another user, for a runtime that runs as root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunAs {
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// The other groups.
    pub(super) groups: Vec<u32>,
}

/// A user as the request means it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct User {
    /// `None` = whoever we are.
    pub(super) run_as: Option<RunAs>,
    pub(super) home: PathBuf,
}

struct Line<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
    home: &'a str,
}

fn lines(passwd: &str) -> impl Iterator<Item = Line<'_>> {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Line { name, uid, gid, home: fields.nth(1)? })
    })
}

/// Understands a request's user: empty and `root` are whoever we are, unless that is root, when other users may be named.
/// An ordinary user may only name itself.
pub(super) fn resolve(wanted: &str) -> Result<User, String> {
    let own = rustix::process::geteuid().as_raw();
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let group = fs::read_to_string("/etc/group").unwrap_or_default();
    resolve_in(&passwd, &group, wanted, own)
}

fn resolve_in(passwd: &str, group: &str, wanted: &str, own: u32) -> Result<User, String> {
    let ours = lines(passwd).find(|l| l.uid == own);
    let own_name = ours.as_ref().map_or_else(|| own.to_string(), |l| l.name.to_owned());
    if matches!(wanted, "" | "root") || wanted == own_name || wanted == own.to_string() {
        let home = ours.map_or_else(|| PathBuf::from("/"), |l| PathBuf::from(l.home));
        return Ok(User { run_as: None, home });
    }
    if own != 0 {
        return Err(format!(
            "user must be empty, root or \"{own_name}\", got \"{}\": plain commands run as the user that Eru runs as",
            excerpt(wanted)
        ));
    }
    let line = lines(passwd)
        .find(|l| l.name == wanted || l.uid.to_string() == wanted)
        .ok_or_else(|| format!("user \"{}\" is not in /etc/passwd", excerpt(wanted)))?;
    let groups = group.lines().filter_map(|entry| {
        let fields: Vec<&str> = entry.split(':').collect();
        let is_member = fields.get(3)?.split(',').any(|member| member == line.name);
        fields.get(2)?.parse().ok().filter(|_| is_member)
    });
    let run_as = RunAs { uid: line.uid, gid: line.gid, groups: groups.collect() };
    Ok(User { run_as: Some(run_as), home: PathBuf::from(line.home) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nbroken\nalice:x:1000:1001:,,,:/home/alice:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nwheel:x:10:bob,alice\nalice:x:1001:\n";

    #[test]
    fn users_are_understood() {
        let resolve = |wanted, own| resolve_in(PASSWD, GROUP, wanted, own);
        for wanted in ["", "root", "alice", "1000"] {
            let user = resolve(wanted, 1000).unwrap();
            assert_eq!((user.run_as, user.home), (None, PathBuf::from("/home/alice")), "{wanted}");
        }
        let alice = RunAs { uid: 1000, gid: 1001, groups: vec![10] };
        assert_eq!(resolve("alice", 0).unwrap().run_as, Some(alice));
        assert_eq!(resolve("root", 0).unwrap(), User { run_as: None, home: "/root".into() });
        assert!(resolve("bob", 0).unwrap_err().contains("\"bob\" is not in /etc/passwd"));
        assert!(resolve("bob", 1000).unwrap_err().contains("root or \"alice\", got \"bob\""));
        assert_eq!(resolve("", 77).unwrap().home, PathBuf::from("/"));
    }
}
