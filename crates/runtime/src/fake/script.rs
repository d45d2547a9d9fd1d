//! What a simulated workload does when it is started: its command, when the first word is [`PROGRAM`].
//!
//! | word | effect |
//! | --- | --- |
//! | `print:TEXT` | a line on standard output |
//! | `eprint:TEXT` | a line on standard error |
//! | `late:TEXT` | a line on standard output that is there once it ended, and that those who follow it do not get |
//! | `exit:CODE` | it ends at once with this code |
//! | `ignore-term` | a stop has to wait for its grace time |
//! | `cannot-execute` | the start fails |
//! | `cat` | with a terminal: what is written to an attached input is its output, and it ends with that input |
//!
//! Every other command, and one without `exit:`, runs until it is stopped or killed. What a command that is run inside of a
//! workload does is told by [`Step`].

use crate::port::Stream;
use bytes::Bytes;
use eru_types::name::excerpt;
use std::collections::VecDeque;

/// The first word of a scripted command.
pub const PROGRAM: &str = "eru-fake";

/// A command, understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) lines: Vec<(Stream, String)>,
    pub(super) late: Vec<String>,
    pub(super) exit_code: Option<i32>,
    pub(super) ignores_term: bool,
    pub(super) cannot_execute: bool,
    /// It reads what is attached to it.
    pub(super) reads_input: bool,
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
                ("late", text) => script.late.push(text.to_owned()),
                ("exit", code) => script.exit_code = Some(exit_code(code)?),
                ("ignore-term", "") => script.ignores_term = true,
                ("cannot-execute", "") => script.cannot_execute = true,
                ("cat", "") => script.reads_input = true,
                _ => return Err(format!("command: {PROGRAM} does not know \"{}\"", excerpt(word))),
            }
        }
        Ok(script)
    }
}

/// What a command does that is run inside of a workload, one step a word after [`PROGRAM`]. Any other command prints itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    /// `print:TEXT`, `eprint:TEXT`: a line. `write:TEXT`, `ewrite:TEXT`: without its end.
    Say(Stream, Bytes),
    /// `bytes:N`: N bytes; the one at place i is i modulo [`PATTERN`].
    Pattern { at: u64, end: u64 },
    /// `cat`: the input, until it ends.
    Cat,
    /// `size`: the size of the terminal as `ROWSxCOLUMNS`; `await-size`: when it is given one.
    Size { awaited: bool },
    /// `env`: the variables that were given, one a line.
    Env,
    /// `dir`: the working directory that was given.
    Dir,
    /// `hang`: nothing, until it is hung up on.
    Hang,
    /// `exit:CODE`: the end.
    Exit(i32),
}

/// The length of the pattern of `bytes:N`: a prime, so that no piece of it begins as the one before.
pub const PATTERN: u64 = 251;

impl Step {
    /// Reads a command.
    pub(super) fn parse(command: &[String]) -> Result<VecDeque<Self>, String> {
        let Some((PROGRAM, words)) = command.split_first().map(|(first, rest)| (first.as_str(), rest)) else {
            return Ok(VecDeque::from([Self::Say(Stream::Stdout, format!("{}\n", command.join(" ")).into())]));
        };
        words.iter().map(|word| Self::of(word)).collect()
    }

    fn of(word: &str) -> Result<Self, String> {
        let line = |text: &str| Bytes::from(format!("{text}\n"));
        let bytes = |text: &str| Bytes::from(text.to_owned());
        Ok(match word.split_once(':').unwrap_or((word, "")) {
            ("print", text) => Self::Say(Stream::Stdout, line(text)),
            ("eprint", text) => Self::Say(Stream::Stderr, line(text)),
            ("write", text) => Self::Say(Stream::Stdout, bytes(text)),
            ("ewrite", text) => Self::Say(Stream::Stderr, bytes(text)),
            ("bytes", count) => {
                let end = count
                    .parse()
                    .map_err(|_| format!("command: bytes must be a number of bytes, got \"{}\"", excerpt(count)))?;
                Self::Pattern { at: 0, end }
            }
            ("exit", code) => Self::Exit(exit_code(code)?),
            ("cat", "") => Self::Cat,
            ("size", "") => Self::Size { awaited: false },
            ("await-size", "") => Self::Size { awaited: true },
            ("env", "") => Self::Env,
            ("dir", "") => Self::Dir,
            ("hang", "") => Self::Hang,
            _ => return Err(format!("command: {PROGRAM} does not know \"{}\"", excerpt(word))),
        })
    }
}

fn exit_code(code: &str) -> Result<i32, String> {
    let parsed = code.parse::<u8>().map(i32::from);
    parsed.map_err(|_| format!("command: exit must be a number from 0 to 255, got \"{}\"", excerpt(code)))
}
