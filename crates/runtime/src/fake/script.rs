//! What a simulated workload does when it is started: its command, when the first word is [`PROGRAM`].
//!
//! | word | effect |
//! | --- | --- |
//! | `print:TEXT` | a line on standard output |
//! | `eprint:TEXT` | a line on standard error |
//! | `exit:CODE` | it ends at once with this code |
//! | `ignore-term` | a stop has to wait for its grace time |
//! | `cannot-execute` | the start fails |
//!
//! Every other command, and one without `exit:`, runs until it is stopped or killed.

use crate::port::Stream;
use eru_types::name::excerpt;

/// The first word of a scripted command.
pub const PROGRAM: &str = "eru-fake";

/// A command, understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) lines: Vec<(Stream, String)>,
    pub(super) exit_code: Option<i32>,
    pub(super) ignores_term: bool,
    pub(super) cannot_execute: bool,
}

impl Script {
    /// Reads a command.
    pub(super) fn parse(command: &[String]) -> Result<Self, String> {
        let mut script = Self::default();
        let Some((PROGRAM, words)) = command.split_first().map(|(first, rest)| (first.as_str(), rest)) else {
            return Ok(script);
        };
        for word in words {
            match word.split_once(':').unwrap_or((word, "")) {
                ("print", text) => script.lines.push((Stream::Stdout, text.to_owned())),
                ("eprint", text) => script.lines.push((Stream::Stderr, text.to_owned())),
                ("exit", code) => {
                    let code = code.parse::<u8>().map_err(|_| {
                        format!("command: exit must be a number from 0 to 255, got \"{}\"", excerpt(code))
                    })?;
                    script.exit_code = Some(code.into());
                }
                ("ignore-term", "") => script.ignores_term = true,
                ("cannot-execute", "") => script.cannot_execute = true,
                _ => return Err(format!("command: {PROGRAM} does not know \"{}\"", excerpt(word))),
            }
        }
        Ok(script)
    }
}
