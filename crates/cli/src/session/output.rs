//! What is written, and what the exit codes come to.

use super::answer::{Answer, Target};
use crate::error::CliError;
use bytes::Bytes;
use std::collections::BTreeMap;

/// Longest line that is kept back until it is whole, in bytes: a longer one comes in pieces, each with its prefix.
const LINE_BYTES_MAX: usize = 64 << 10;

/// What is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expect {
    /// So many commands are to end.
    Ends(usize),
    /// Workloads are made, and left to run.
    Workloads,
}

/// What is to be done for an answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Write these bytes, as they are.
    Write(Target, Bytes),
    /// Tell that a workload was made.
    Created(String),
    /// Tell that something failed.
    Failed(String),
}

/// Follows the commands of one call to their ends.
#[derive(Debug)]
pub(super) struct Output {
    expect: Expect,
    /// Each line begins with the workload's id.
    prefix: bool,
    /// Lines that are not whole yet, when each has a prefix.
    lines: BTreeMap<(String, Target), Vec<u8>>,
    /// What looks like an end, by workload, until something follows.
    looks: BTreeMap<String, (i32, Bytes)>,
    /// Exit codes in the order in which the commands ended.
    codes: Vec<i32>,
    created: usize,
    failures: usize,
}

impl Output {
    pub fn new(expect: Expect, prefix: bool) -> Self {
        Self {
            expect,
            prefix,
            lines: BTreeMap::new(),
            looks: BTreeMap::new(),
            codes: Vec::new(),
            created: 0,
            failures: 0,
        }
    }

    /// What is to be done for an answer that is about workload `id`.
    pub fn take(&mut self, id: &str, answer: Answer) -> Vec<Step> {
        let mut steps = Vec::new();
        if let Some((_, bytes)) = self.looks.remove(id) {
            self.write(id, Target::Stdout, bytes, &mut steps);
        }
        match answer {
            // Of a workload that could not be made there is no id; the error comes next.
            Answer::Created(id) if id.is_empty() => {}
            Answer::Created(id) => {
                self.created += 1;
                steps.push(Step::Created(id));
            }
            Answer::Failed(reason) => {
                self.failures += 1;
                steps.push(Step::Failed(reason));
            }
            Answer::Output(target, bytes) => self.write(id, target, bytes, &mut steps),
            Answer::Exited(code) => {
                self.codes.push(code);
                self.flush(id, &mut steps);
            }
            Answer::Looks(code, bytes) => {
                self.looks.insert(id.to_owned(), (code, bytes));
            }
        }
        steps
    }

    fn write(&mut self, id: &str, target: Target, bytes: Bytes, steps: &mut Vec<Step>) {
        if !self.prefix {
            steps.push(Step::Write(target, bytes));
            return;
        }
        let line = self.lines.entry((id.to_owned(), target)).or_default();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            line.extend_from_slice(piece);
            if piece.ends_with(b"\n") || line.len() >= LINE_BYTES_MAX {
                steps.push(Step::Write(target, prefixed(id, std::mem::take(line))));
            }
        }
    }

    /// Writes the lines of a workload that nothing follows any more.
    fn flush(&mut self, id: &str, steps: &mut Vec<Step>) {
        for target in [Target::Stdout, Target::Stderr] {
            match self.lines.remove(&(id.to_owned(), target)) {
                Some(line) if !line.is_empty() => steps.push(Step::Write(target, prefixed(id, line))),
                _ => {}
            }
        }
    }

    /// What is left to be done when core has said all, and the exit code.
    pub fn finish(mut self) -> (Vec<Step>, Result<u8, CliError>) {
        let mut steps = Vec::new();
        for (id, (code, _)) in std::mem::take(&mut self.looks) {
            self.codes.push(code);
            self.flush(&id, &mut steps);
        }
        let ids: Vec<String> = self.lines.keys().map(|(id, _)| id.clone()).collect();
        for id in ids {
            self.flush(&id, &mut steps);
        }
        (steps, self.code())
    }

    /// The exit code: that of the first command that failed.
    fn code(&self) -> Result<u8, CliError> {
        let (done, wanted, what) = match self.expect {
            Expect::Ends(wanted) => (self.codes.len(), wanted, "ended"),
            Expect::Workloads => (self.created, 1, "were made"),
        };
        if self.failures > 0 {
            return Err(CliError::Items(format!("{done} of {} {what}", wanted.max(done + self.failures))));
        }
        if done < wanted {
            let message = match wanted {
                1 => "core said no more, and not how it ended".to_owned(),
                _ => format!("core said no more, and only of {done} of {wanted} how they ended"),
            };
            return Err(CliError::Failed(message));
        }
        let failed = self.codes.iter().find(|code| **code != 0);
        Ok(failed.map_or(0, |code| exit_byte(*code)))
    }
}

/// An exit code as our own can carry it: one that does not fit stays a failure.
fn exit_byte(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(u8::MAX)
}

fn prefixed(id: &str, mut line: Vec<u8>) -> Bytes {
    if !line.ends_with(b"\n") {
        line.push(b'\n');
    }
    [format!("[{id}] ").as_bytes(), &line].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn out(text: &'static str) -> Answer {
        Answer::Output(Target::Stdout, Bytes::from_static(text.as_bytes()))
    }

    fn looks(code: i32) -> Answer {
        Answer::Looks(code, Bytes::from(format!("[exitcode] {code}")))
    }

    /// What is written to standard output for answers, and the exit code or the error.
    fn run(expect: Expect, prefix: bool, answers: Vec<(&str, Answer)>) -> (String, Result<u8, String>) {
        let mut output = Output::new(expect, prefix);
        let mut steps: Vec<Step> = answers.into_iter().flat_map(|(id, answer)| output.take(id, answer)).collect();
        let (last, code) = output.finish();
        steps.extend(last);
        let text = steps.iter().filter_map(|step| match step {
            Step::Write(Target::Stdout, bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            _ => None,
        });
        (text.collect(), code.map_err(|error| error.to_string()))
    }

    #[test]
    fn the_code_of_the_command() {
        let one = |answers| run(Expect::Ends(1), false, answers);
        assert_eq!(one(vec![("a", out("hi")), ("a", Answer::Exited(3))]), ("hi".into(), Ok(3)));
        assert_eq!(one(vec![("a", Answer::Exited(-1))]).1, Ok(255));
        assert_eq!(one(vec![("a", Answer::Exited(300))]).1, Ok(255));
        assert_eq!(one(vec![("a", looks(7))]), (String::new(), Ok(7)));
        // The command wrote it: more follows.
        assert_eq!(one(vec![("a", looks(7)), ("a", Answer::Exited(0))]), ("[exitcode] 7".into(), Ok(0)));
        assert_eq!(one(vec![("a", out("hi"))]).1, Err("core said no more, and not how it ended".into()));
        assert_eq!(one(vec![("a", Answer::Failed("no".into()))]).1, Err("0 of 1 ended".into()));
    }

    #[test]
    fn several_commands() {
        let two = |answers| run(Expect::Ends(2), true, answers);
        let answers = vec![
            ("a", out("on")),
            ("b", out("two\nthree")),
            ("a", out("e\n")),
            ("b", Answer::Exited(0)),
            ("a", out("last")),
            ("a", looks(4)),
        ];
        assert_eq!(two(answers), ("[b] two\n[a] one\n[b] three\n[a] last\n".into(), Ok(4)));
        let error = "core said no more, and only of 1 of 2 how they ended";
        assert_eq!(two(vec![("a", looks(0))]).1, Err(error.into()));
    }

    #[test]
    fn workloads_that_are_left_to_run() {
        let made = |answers| run(Expect::Workloads, false, answers).1;
        assert_eq!(made(vec![("a", Answer::Created("a".into()))]), Ok(0));
        let failed = vec![("", Answer::Created(String::new())), ("", Answer::Failed("full".into()))];
        assert_eq!(made(failed), Err("0 of 1 were made".into()));
    }
}
