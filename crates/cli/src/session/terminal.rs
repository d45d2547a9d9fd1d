//! The terminal: raw mode, and back on every way out.

use rustix::stdio;
use rustix::termios::{OptionalActions, Termios, isatty, tcgetattr, tcgetwinsize, tcsetattr};

/// Whether standard input is a terminal.
pub(super) fn is_terminal() -> bool {
    isatty(stdio::stdin())
}

/// The terminal of standard input in raw mode: every key goes to the command, and nothing is echoed here. Dropping it, a
/// panic included, makes it what it was.
#[derive(Debug)]
pub(super) struct RawMode {
    before: Termios,
}

impl RawMode {
    pub fn enter() -> Result<Self, rustix::io::Errno> {
        let before = tcgetattr(stdio::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(stdio::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self { before })
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing more.
        let _ = tcsetattr(stdio::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Rows and columns of the terminal; nothing when it does not know.
pub(super) fn size() -> Option<(u16, u16)> {
    let size = tcgetwinsize(stdio::stdin()).ok()?;
    (size.ws_row > 0 && size.ws_col > 0).then_some((size.ws_row, size.ws_col))
}
