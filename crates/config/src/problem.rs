//! What is wrong with an input, and where.

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

/// Most problems that are shown of one input: a file that has more is not the file that was meant.
pub const PROBLEMS_LEN_MAX: usize = 100;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A place in a text.
    Text {
        /// The file's name, as the user gave it.
        source: Arc<str>,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
    },
    /// An environment variable or a flag, by name.
    Named(Arc<str>),
}

impl Origin {
    /// What sorts origins: places of the text as they stand in it, then everything else.
    fn position(&self) -> (usize, usize) {
        match self {
            Self::Text { line, column, .. } => (*line, *column),
            Self::Named(_) => (usize::MAX, 0),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text { source, line, column } => write!(f, "{source}:{line}:{column}"),
            Self::Named(name) => f.write_str(name),
        }
    }
}

/// One thing that is wrong, or, as a warning, looks wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where the value came from.
    pub origin: Origin,
    /// The field, as `healthcheck.timeout`; empty for the input as a whole.
    pub path: String,
    /// What is wrong, what was given and what is allowed.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() {
            write!(f, "{}: {}", self.origin, self.message)
        } else {
            write!(f, "{}: {}: {}", self.origin, self.path, self.message)
        }
    }
}

/// An input that was refused, with everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InputError {
    /// The file could not be read.
    #[error("cannot read {name}: {reason}")]
    Unreadable {
        /// The file's name, as the user gave it.
        name: String,
        /// Why, and what to do.
        reason: String,
    },
    /// The content was refused. Never empty.
    #[error("{}", lines(.0))]
    Refused(Vec<Problem>),
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

impl From<Problem> for InputError {
    fn from(problem: Problem) -> Self {
        Self::Refused(vec![problem])
    }
}

/// Collects the problems of one input while it is read.
#[derive(Debug, Default)]
pub struct Report {
    errors: RefCell<Vec<Problem>>,
    warnings: RefCell<Vec<Problem>>,
}

impl Report {
    /// Adds an error; the input will be refused.
    pub fn error(&self, origin: &Origin, path: &str, message: impl Into<String>) {
        push(&self.errors, origin, path, message.into());
    }

    /// Adds a warning.
    pub fn warning(&self, origin: &Origin, path: &str, message: impl Into<String>) {
        push(&self.warnings, origin, path, message.into());
    }

    /// Whether an error was found so far.
    pub fn has_errors(&self) -> bool {
        !self.errors.borrow().is_empty()
    }

    /// Ends the reading: the warnings, if nothing was wrong. Problems are in the order of the text.
    ///
    /// # Errors
    /// [`InputError::Refused`] with every error that was added.
    pub fn finish(self) -> Result<Vec<Problem>, InputError> {
        let (mut errors, mut warnings) = (self.errors.into_inner(), self.warnings.into_inner());
        errors.sort_by_key(|problem| problem.origin.position());
        warnings.sort_by_key(|problem| problem.origin.position());
        if errors.is_empty() { Ok(warnings) } else { Err(InputError::Refused(errors)) }
    }
}

fn push(list: &RefCell<Vec<Problem>>, origin: &Origin, path: &str, message: String) {
    let mut list = list.borrow_mut();
    if list.len() < PROBLEMS_LEN_MAX {
        list.push(Problem { origin: origin.clone(), path: path.to_owned(), message });
    }
}
