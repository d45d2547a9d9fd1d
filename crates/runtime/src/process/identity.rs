//! Which process is meant: a pid alone is given to another one sooner or later.

use rustix::process::{Pid, PidfdFlags, pidfd_open};
use serde::{Deserialize, Serialize};
use std::{fs, io, os::fd::OwnedFd, sync::OnceLock};

/// A process for all times.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Identity {
    /// The id of the boot that it runs in.
    boot: String,
    /// Its process id.
    pub(super) pid: i32,
    /// When it started, in clock ticks since the boot: field 22 of `/proc/PID/stat`.
    started: u64,
}

/// The fields of `/proc/PID/stat` that are used here.
pub(super) struct Stat {
    state: u8,
    pub(super) group: i32,
    pub(super) session: i32,
    started: u64,
}

impl Stat {
    /// Of the process with this id; `None` when there is none.
    pub(super) fn of(pid: &str) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    fn parse(text: &[u8]) -> Option<Self> {
        // The program's name comes in parentheses and may hold anything, parentheses and spaces too.
        let after_name = text.iter().rposition(|b| *b == b')')? + 1;
        let fields: Vec<&str> = std::str::from_utf8(&text[after_name..]).ok()?.split_ascii_whitespace().collect();
        Some(Self {
            state: fields.first()?.bytes().next()?,
            group: fields.get(2)?.parse().ok()?,
            session: fields.get(3)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        })
    }

    fn is_alive(&self) -> bool {
        !matches!(self.state, b'Z' | b'X' | b'x')
    }
}

impl Identity {
    /// The process that asks.
    pub(super) fn own() -> io::Result<Self> {
        let stat = Stat::of("self").ok_or_else(|| io::Error::other("/proc/self/stat cannot be read"))?;
        Ok(Self { boot: boot_id().to_owned(), pid: rustix::process::getpid().as_raw_pid(), started: stat.started })
    }

    /// A child of ours. It is there, if only as a zombie, until we wait for it.
    pub(super) fn of_child(pid: i32) -> io::Result<Self> {
        let stat = Stat::of(&pid.to_string()).ok_or_else(|| io::Error::other("/proc/PID/stat cannot be read"))?;
        Ok(Self { boot: boot_id().to_owned(), pid, started: stat.started })
    }

    /// Whether it still runs. A process that ended and was not collected yet does not.
    pub(super) fn is_alive(&self) -> bool {
        self.boot == boot_id()
            && Stat::of(&self.pid.to_string()).is_some_and(|s| s.started == self.started && s.is_alive())
    }

    /// Whether it belongs to an earlier boot of the machine.
    pub(super) fn is_of_another_boot(&self) -> bool {
        self.boot != boot_id()
    }

    /// A descriptor that becomes readable when it ends; `None` when it ended.
    pub(super) fn open(&self) -> Option<OwnedFd> {
        let fd = pidfd_open(self.as_pid()?, PidfdFlags::empty()).ok()?;
        // Looked at after it was opened: now the id cannot be given to another process unnoticed.
        self.is_alive().then_some(fd)
    }

    pub(super) fn as_pid(&self) -> Option<Pid> {
        Pid::from_raw(self.pid)
    }
}

/// The id of this boot. Empty where the kernel does not tell, which makes all boots one.
fn boot_id() -> &'static str {
    static BOOT: OnceLock<String> = OnceLock::new();
    BOOT.get_or_init(|| {
        let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        text.trim().to_owned()
    })
}

/// The processes of a group in a session, by id.
///
/// # Cost
/// Reads all of `/proc`.
pub(super) fn members(group: i32, session: i32) -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|e| e.file_name().into_string().ok()).filter_map(|name| {
        let pid = name.parse().ok().and_then(Pid::from_raw)?;
        let stat = Stat::of(&name)?;
        (stat.group == group && stat.session == session && stat.is_alive()).then_some(pid)
    });
    pids.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_its_successor() {
        let own = Identity::own().unwrap();
        assert!(own.is_alive() && own.open().is_some());
        let successor = Identity { started: own.started + 1, ..own.clone() };
        assert!(!successor.is_alive() && successor.open().is_none());
        let earlier = Identity { boot: "another".into(), ..own };
        assert!(!earlier.is_alive() && earlier.is_of_another_boot());
    }

    #[test]
    fn names_with_parentheses_do_not_confuse() {
        let text = b"12 (a) b (c)) S 1 22 33 0 -1 4194304 1 0 0 0 0 0 0 0 20 0 1 0 4711 0 0";
        let stat = Stat::parse(text).unwrap();
        assert_eq!((stat.group, stat.session, stat.started, stat.is_alive()), (22, 33, 4711, true));
        assert!(Stat::parse(b"").is_none() && Stat::parse(b"1 (x) S").is_none());
    }
}
