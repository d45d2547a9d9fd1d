//! Layering: file, then environment, then flags; the last that speaks wins.
//!
//! Settings from outside the file are put into the file's tree before it is read, so that one reader checks them all and
//! errors name the variable or the flag.

use crate::problem::{InputError, Origin, Problem, Report};
use crate::read::Section;
use crate::yaml::{self, Node, Value};
use std::path::Path;
use std::sync::Arc;

/// A configuration that was accepted, and what looked wrong with it.
#[derive(Debug, Clone)]
pub struct Loaded<T> {
    /// The configuration.
    pub config: T,
    /// Unknown keys and the like, to be logged once.
    pub warnings: Vec<Problem>,
}

/// A value from outside the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// The key that it sets, as `grpc.max_recv_msg_size`.
    pub key: String,
    /// The value, as the file would have it.
    pub value: String,
    /// Where it came from, as `--bind`.
    pub origin: String,
}

impl Setting {
    /// A value of a command-line flag.
    pub fn flag(flag: &str, key: &str, value: impl Into<String>) -> Self {
        Self { key: key.to_owned(), value: value.into(), origin: flag.to_owned() }
    }
}

/// How a configuration is layered and read.
pub(crate) struct Plan<T> {
    /// What environment variables begin with, as `ERU_CORE_`.
    pub prefix: &'static str,
    /// Every key that a variable may set, with dots: `grpc.max_recv_msg_size` is `ERU_CORE_GRPC_MAX_RECV_MSG_SIZE`.
    pub keys: &'static [&'static str],
    /// Variables whose name does not follow from the key.
    pub aliases: &'static [(&'static str, &'static str)],
    /// Reads the tree.
    pub read: fn(&mut Section<'_>) -> T,
}

impl<T> Plan<T> {
    /// Reads a file with what stands over it.
    pub fn load(
        &self,
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[Setting],
    ) -> Result<Loaded<T>, InputError> {
        let name = path.display().to_string();
        let text = read_file(path).map_err(|reason| InputError::Unreadable {
            name: eru_types::name::excerpt(&name),
            reason: format!("{reason}; pass --config"),
        })?;
        self.parse(&name, &text, environment, flags)
    }

    /// Reads a text with what stands over it.
    pub fn parse(
        &self,
        name: &str,
        text: &str,
        environment: impl IntoIterator<Item = (String, String)>,
        flags: &[Setting],
    ) -> Result<Loaded<T>, InputError> {
        let mut root = yaml::parse(name, text)?;
        let report = Report::default();
        if Section::root(&root, &report).is_none() {
            report.finish()?;
            unreachable!("a root that is refused leaves an error");
        }
        for (variable, value) in environment {
            if let Some(key) = self.key_of(&variable) {
                overlay(&mut root, key, value, format!("environment {variable}"));
            }
        }
        for flag in flags {
            overlay(&mut root, &flag.key, flag.value.clone(), flag.origin.clone());
        }
        let mut section = Section::root(&root, &report).expect("the root was checked above");
        let config = (self.read)(&mut section);
        section.end();
        Ok(Loaded { config, warnings: report.finish()? })
    }

    fn key_of(&self, variable: &str) -> Option<&'static str> {
        if let Some((_, key)) = self.aliases.iter().find(|(name, _)| *name == variable) {
            return Some(key);
        }
        let rest = variable.strip_prefix(self.prefix)?;
        self.keys.iter().find(|key| key.to_ascii_uppercase().replace('.', "_") == rest).copied()
    }
}

fn overlay(root: &mut Node, key: &str, value: String, origin: String) {
    let path: Vec<&str> = key.split('.').collect();
    root.set(&path, Node { value: Value::Text(value), origin: Origin::Named(Arc::from(origin)) });
}

/// Reads a text file, whose size is bounded before it is read.
///
/// # Errors
/// Why not, in words.
pub fn read_file(path: &Path) -> Result<String, String> {
    use std::io::Read as _;
    let file = std::fs::File::open(path).map_err(|e| io_reason(&e))?;
    if file.metadata().map_err(|e| io_reason(&e))?.is_dir() {
        return Err("it is a directory".into());
    }
    let mut bytes = Vec::new();
    let limit = yaml::BYTES_MAX as u64 + 1;
    file.take(limit).read_to_end(&mut bytes).map_err(|e| io_reason(&e))?;
    if bytes.len() > yaml::BYTES_MAX {
        return Err(format!("exceeds {} MiB", yaml::BYTES_MAX >> 20));
    }
    String::from_utf8(bytes).map_err(|e| format!("not UTF-8 at byte {}", e.utf8_error().valid_up_to()))
}

/// The cause of an IO error in words, without the number that the system adds.
pub fn io_reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "no such file".into(),
        std::io::ErrorKind::PermissionDenied => "permission denied".into(),
        std::io::ErrorKind::IsADirectory => "it is a directory".into(),
        _ => error.to_string(),
    }
}
