//! The exit status of a process that is not our child.

use rustix::event::{PollFd, PollFlags, poll};
use std::{
    os::{fd::AsRawFd, fd::BorrowedFd, unix::process::ExitStatusExt},
    process::ExitStatus,
};

/// Asks for the exit status; kernels know it since Linux 6.15.
const PIDFD_INFO_EXIT: u64 = libc::PIDFD_INFO_EXIT as u64;
/// How long the new parent may take to collect it; only then the status is told. An init collects at once, and one that does
/// not must not hold up the news of the end.
const COLLECTED_WAIT: rustix::time::Timespec = rustix::time::Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// How the process behind `pidfd` ended; `None` where the kernel does not tell.
#[allow(unsafe_code)]
pub(super) fn exit_of(pidfd: BorrowedFd<'_>) -> Option<ExitStatus> {
    // Hung up means collected. Asking for no event waits for exactly that.
    let mut fds = [PollFd::from_borrowed_fd(pidfd, PollFlags::empty())];
    poll(&mut fds, Some(&COLLECTED_WAIT)).ok()?;
    // SAFETY: the structure is integers only, for which zero is a value.
    let mut info: libc::pidfd_info = unsafe { std::mem::zeroed() };
    info.mask = PIDFD_INFO_EXIT;
    // SAFETY: the request's number carries the size of this structure, so the kernel writes no more than that; one that
    // does not know the request refuses it and writes nothing.
    let answer = unsafe { libc::ioctl(pidfd.as_raw_fd(), libc::PIDFD_GET_INFO, &raw mut info) };
    (answer == 0 && info.mask & PIDFD_INFO_EXIT != 0).then(|| ExitStatus::from_raw(info.exit_code))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    use std::{os::fd::AsFd, process::Command};

    #[test]
    fn it_is_the_status_or_not_known() {
        let mut child = Command::new("sh").args(["-c", "exit 7"]).spawn().unwrap();
        let pidfd = pidfd_open(Pid::from_child(&child), PidfdFlags::empty()).unwrap();
        child.wait().unwrap();
        let status = exit_of(pidfd.as_fd());
        assert!(status.is_none_or(|s| s.code() == Some(7)), "{status:?}");
    }
}
