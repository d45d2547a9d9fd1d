//! The terminal: raw mode, and back on every way out.

use rustix::stdio;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};
use std::os::fd::AsFd;

/// Whether standard input is a terminal.
pub(super) fn is_terminal() -> bool {
    isatty(stdio::stdin())
}

/// A terminal in raw mode: every key goes to the command, and nothing is echoed here. Dropping it, in a panic as well,
/// makes the terminal what it was.
#[derive(Debug)]
pub(super) struct RawMode<F: AsFd> {
    terminal: F,
    before: Termios,
}

impl<F: AsFd> RawMode<F> {
    pub fn enter(terminal: F) -> Result<Self, rustix::io::Errno> {
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&terminal, OptionalActions::Now, &raw)?;
        Ok(Self { terminal, before })
    }
}

impl<F: AsFd> Drop for RawMode<F> {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing more.
        let _ = tcsetattr(&self.terminal, OptionalActions::Now, &self.before);
    }
}

/// Rows and columns of the terminal; nothing when it does not know.
pub(super) fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(stdio::stdin()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, OutputModes};

    #[test]
    fn a_panic_leaves_the_terminal_as_it_was() {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let terminal = std::fs::OpenOptions::new().read(true).write(true).open(name).unwrap();
        let modes = || {
            let now = tcgetattr(&terminal).unwrap();
            (now.local_modes.contains(LocalModes::ECHO), now.output_modes.contains(OutputModes::OPOST))
        };
        assert_eq!(modes(), (true, true));
        let panicked = std::panic::catch_unwind(|| {
            let _raw = RawMode::enter(&terminal).unwrap();
            assert_eq!(modes(), (false, false));
            panic!("as if something of ours were broken");
        });
        assert!(panicked.is_err());
        assert_eq!(modes(), (true, true));
    }
}
