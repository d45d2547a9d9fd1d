//! How much is logged.

use crate::read::{At, Read};
use std::fmt;
use std::str::FromStr;

/// How much is logged, by the names of the original, in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Only what someone must look at. The original's `fatal` and `panic` mean the same here.
    Error,
    /// And what was unexpected but recovered.
    Warn,
    /// And transitions.
    #[default]
    Info,
    /// And every request.
    Debug,
    /// And everything else.
    Trace,
}

impl LogLevel {
    /// The name, as `tracing` spells it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text.to_ascii_lowercase().as_str() {
            "panic" | "fatal" | "error" => Self::Error,
            "warn" | "warning" => Self::Warn,
            "info" => Self::Info,
            "debug" => Self::Debug,
            "trace" => Self::Trace,
            _ => {
                let got = eru_types::name::excerpt(text);
                return Err(format!("must be one of error, warn, info, debug, trace, got \"{got}\""));
            }
        })
    }
}

impl Read for LogLevel {
    fn read(at: At<'_>) -> Option<Self> {
        at.parse()
    }
}
