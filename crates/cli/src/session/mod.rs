//! A command inside a workload, with our own input, output and terminal: what `workload exec` and `lambda` share.
//!
//! | file | what |
//! | --- | --- |
//! | [`converse`] | both directions at once, signals, the end |
//! | [`input`] | standard input and the size of the terminal, as messages |
//! | [`answer`] | what a message of core means |
//! | [`output`] | what is written, and the exit codes |
//! | [`terminal`] | raw mode, and back |

mod answer;
mod converse;
mod input;
mod output;
mod terminal;

pub(crate) use converse::{Session, converse};
pub(crate) use input::{Input, Stdin};
pub(crate) use output::Expect;
