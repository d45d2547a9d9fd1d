//! Wishes to a shim, through its named pipe.

use super::files::CONTROL;
use rustix::fs::OFlags;
use std::{
    fs::{File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::Duration,
};

/// The longest grace time: a day. Longer ones are as good as none, and must not overflow a clock.
const GRACE_MAX: Duration = Duration::from_secs(86_400);
/// How much is read at once, in bytes: hundreds of wishes.
const READ_BYTES: usize = 4096;

/// What may be asked of a shim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    /// End the workload: SIGTERM, and after this time SIGKILL. Without grace, SIGKILL at once. No restart follows.
    Stop(Duration),
    /// Do not wait any longer before the restart.
    Start,
}

impl Wish {
    /// Tells the shim of a folder. Answers false when there is none that listens.
    pub(super) fn send(self, folder: &Path) -> io::Result<bool> {
        let text = match self {
            Self::Stop(grace) => format!("stop {}\n", grace.min(GRACE_MAX).as_millis()),
            Self::Start => "start\n".to_owned(),
        };
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        match OpenOptions::new().write(true).custom_flags(flags).open(folder.join(CONTROL)) {
            // Less than the pipe's atomic unit, so it arrives whole or not at all.
            Ok(mut pipe) => pipe.write_all(text.as_bytes()).map(|()| true),
            Err(e) if e.raw_os_error() == Some(libc::ENXIO) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Takes the wishes that wait in the pipe.
    pub(super) fn read_all(pipe: &mut File) -> Vec<Self> {
        let mut text = [0; READ_BYTES];
        let count = pipe.read(&mut text).unwrap_or(0);
        String::from_utf8_lossy(&text[..count]).lines().filter_map(Self::parse).collect()
    }

    fn parse(line: &str) -> Option<Self> {
        match line.split_once(' ') {
            None if line == "start" => Some(Self::Start),
            Some(("stop", grace_ms)) => Some(Self::Stop(Duration::from_millis(grace_ms.parse().ok()?).min(GRACE_MAX))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_are_read_as_they_were_sent() {
        for (line, wish) in [
            ("start", Some(Wish::Start)),
            ("stop 0", Some(Wish::Stop(Duration::ZERO))),
            ("stop 18446744073709551615", Some(Wish::Stop(GRACE_MAX))),
            ("stop", None),
            ("stop -1", None),
            ("", None),
        ] {
            assert_eq!(Wish::parse(line), wish, "{line:?}");
        }
    }
}
