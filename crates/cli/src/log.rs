//! Log lines on standard error, in the form that scripts around the original know.

use crate::render::clean;
use rustix::termios::isatty;
use std::fmt::Write as _;
use std::io::Write as _;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Debug,
    Info,
    Warning,
    Error,
}

/// Writes log lines. On a terminal a progress line may stand below them.
#[derive(Debug)]
pub(crate) struct Log {
    terminal: bool,
    colour: bool,
    debug: bool,
    /// A progress line stands on the terminal and is to be wiped before the next line.
    progress: std::cell::Cell<bool>,
    /// The terminal does not return to the start of the line by itself.
    raw: std::cell::Cell<bool>,
}

impl Log {
    pub fn new(debug: bool) -> Self {
        let terminal = isatty(std::io::stderr());
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { terminal, colour, debug, progress: false.into(), raw: false.into() }
    }

    /// Whether somebody looks at a terminal, so that progress can be shown.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    pub fn debug(&self, message: impl AsRef<str>) {
        if self.debug {
            self.line(Level::Debug, message.as_ref());
        }
    }

    pub fn info(&self, message: impl AsRef<str>) {
        self.line(Level::Info, message.as_ref());
    }

    pub fn warn(&self, message: impl AsRef<str>) {
        self.line(Level::Warning, message.as_ref());
    }

    pub fn error(&self, message: impl AsRef<str>) {
        self.line(Level::Error, message.as_ref());
    }

    /// Shows how far something is; only on a terminal, where it is overwritten by what follows.
    pub fn progress(&self, text: &str) {
        if self.terminal {
            self.write(&format!("\r\x1b[K{}", clean(text)));
            self.progress.set(true);
        }
    }

    /// Wipes the progress line.
    pub fn end_progress(&self) {
        if self.progress.take() {
            self.write("\r\x1b[K");
        }
    }

    /// Whether the terminal is in raw mode, so that a line feed does not return to the start of the line.
    pub fn set_raw(&self, raw: bool) {
        self.raw.set(raw);
    }

    fn line(&self, level: Level, message: &str) {
        self.end_progress();
        let time = jiff::Zoned::now().strftime("%Y-%m-%d %H:%M:%S").to_string();
        let line = format(level, &time, message, self.terminal, self.colour);
        self.write(&if self.raw.get() { line.replace('\n', "\r\n") } else { line });
    }

    fn write(&self, text: &str) {
        // When nobody can read standard error, there is nobody to tell.
        let _ = std::io::stderr().write_all(text.as_bytes());
    }
}

fn format(level: Level, time: &str, message: &str, terminal: bool, colour: bool) -> String {
    if !terminal {
        let level = match level {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
        };
        return format!("time=\"{time}\" level={level} msg={}\n", quote(message));
    }
    let (word, code) = match level {
        Level::Debug => ("DEBU", 37),
        Level::Info => ("INFO", 36),
        Level::Warning => ("WARN", 33),
        Level::Error => ("ERRO", 31),
    };
    let word = if colour { format!("\x1b[{code}m{word}\x1b[0m") } else { word.to_owned() };
    format!("{word}[{time}] {}\n", clean(message))
}

/// A value as logrus writes it: bare when it is one plain word, else quoted with Go's escapes.
fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._/@^+".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() && (c as u32) < 0x80 => {
                let _ = write!(quoted, "\\x{:02x}", c as u32);
            }
            c if c.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", c as u32);
            }
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms() {
        let time = "2026-11-24 18:30:04";
        assert_eq!(
            format(Level::Info, time, "[Deploy] Bound bridge ip 172.17.0.2:80", false, false),
            "time=\"2026-11-24 18:30:04\" level=info msg=\"[Deploy] Bound bridge ip 172.17.0.2:80\"\n"
        );
        assert_eq!(
            format(Level::Error, time, "exec: \"/bin/x\"\n\x1b[2J", false, false),
            "time=\"2026-11-24 18:30:04\" level=error msg=\"exec: \\\"/bin/x\\\"\\n\\x1b[2J\"\n"
        );
        assert_eq!(format(Level::Info, time, "plain", false, false), format!("time=\"{time}\" level=info msg=plain\n"));
        assert_eq!(
            format(Level::Warning, time, "a1b2c3d deleted", true, false),
            "WARN[2026-11-24 18:30:04] a1b2c3d deleted\n"
        );
        assert_eq!(format(Level::Info, time, "\x1b[2J", true, true), format!("\x1b[36mINFO\x1b[0m[{time}] \\x1b[2J\n"));
    }
}
