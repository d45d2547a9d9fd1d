//! The command's process, as parent or as its guardian.

use super::{
    super::{exit_of::exit_of, files::Run, identity::members},
    command::group_of,
};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, kill_process_group, pidfd_open, wait,
    waitid,
};
use std::{
    fs, io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::process::ExitStatusExt,
    },
    process::ExitStatus,
    thread,
    time::{Duration, Instant},
};

/// How long the end of descendants is waited for after they were killed: one that hangs in the kernel is left behind.
pub(super) const REAP_MAX: Duration = Duration::from_secs(5);
const REAP_LOOK_EVERY: Duration = Duration::from_millis(1);

/// How the main process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Code(i32),
    Signal(i32),
    /// It was not our child, and the kernel does not tell others.
    Unknown,
}

impl Ending {
    fn of(status: ExitStatus) -> Self {
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Code(code),
            (_, Some(signal)) => Self::Signal(signal),
            _ => Self::Unknown,
        }
    }
}

/// The main process.
pub(super) struct Main {
    pub(super) run: Run,
    pidfd: OwnedFd,
    is_child: bool,
}

impl Main {
    /// A process that this shim has just executed.
    pub(super) fn child(run: Run) -> io::Result<Self> {
        // A child keeps its id until it is waited for.
        let pidfd = pidfd_open(group_of(&run), PidfdFlags::empty())?;
        Ok(Self { run, pidfd, is_child: true })
    }

    /// A process that a shim before this one executed; `None` when it is gone.
    pub(super) fn adopt(run: Run) -> Option<Self> {
        let pidfd = run.child.open()?;
        Some(Self { run, pidfd, is_child: false })
    }

    /// Becomes readable when it ended.
    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// How it ended; `None` while it runs. It is not waited for yet, so that its id stays taken.
    pub(super) fn ending(&self) -> Option<Ending> {
        if !self.is_child {
            return (!self.run.child.is_alive()).then(|| exit_of(self.as_fd()).map_or(Ending::Unknown, Ending::of));
        }
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        match waitid(WaitId::PidFd(self.as_fd()), options) {
            Ok(None) => None,
            Ok(Some(status)) => Some(match (status.exit_status(), status.terminating_signal()) {
                (Some(code), _) => Ending::Code(code),
                (_, Some(signal)) => Ending::Signal(signal),
                _ => Ending::Unknown,
            }),
            Err(_) => Some(Ending::Unknown),
        }
    }

    /// Signals the whole group, if the process that leads it is there and not another one of the same id.
    pub(super) fn signal_group(&self, signal: Signal) {
        if self.is_child || self.run.child.is_alive() {
            let _ = kill_process_group(group_of(&self.run), signal);
        }
    }

    /// Kills whatever is left of the workload, now that the main process has ended or has to.
    pub(super) fn kill_all(&self) {
        self.signal_group(Signal::KILL);
        if self.is_child {
            self.kill_orphans();
        } else {
            // Nobody keeps the id of a group that is not ours, so each member is known by group and session.
            let group = group_of(&self.run);
            for pid in members(group.as_raw_nonzero().get(), self.run.session) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }

    /// Kills what was handed to us when its parent ended, in groups of their own too.
    fn kill_orphans(&self) {
        for pid in children().into_iter().filter(|pid| *pid != group_of(&self.run)) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// Waits until every descendant is gone, killing those that appear.
    pub(super) fn reap_all(&self) {
        let begun = Instant::now();
        while begun.elapsed() < REAP_MAX {
            match wait(WaitOptions::NOHANG) {
                Ok(Some(_)) => {}
                Ok(None) => {
                    self.kill_orphans();
                    thread::sleep(REAP_LOOK_EVERY);
                }
                Err(_) => return,
            }
        }
    }

    /// Waits for orphans that ended, and leaves the main process alone.
    pub(super) fn reap_orphans(&self) {
        for pid in children().into_iter().filter(|pid| *pid != group_of(&self.run)) {
            let _ = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

/// The children of this process, zombies included. Empty where the kernel does not list them.
fn children() -> Vec<Pid> {
    let own = std::process::id();
    let text = fs::read_to_string(format!("/proc/{own}/task/{own}/children")).unwrap_or_default();
    text.split_ascii_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?)).collect()
}
