//! From the tree to typed values.
//!
//! A [`Section`] is a mapping whose keys are taken one by one; what nobody took is unknown: an error when it looks like
//! a misspelt known key, else a warning. So the known keys are exactly those that are read, and cannot be listed wrong.
//! A wrong value is reported and reads as absent; reading goes on and finds the rest.

use crate::problem::{Origin, Report};
use crate::yaml::{Entry, Node, Value};
use eru_types::NameError;
use eru_types::name::excerpt;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::str::FromStr;

/// The farthest an unknown key may be from a known one, in edits, to count as misspelt.
const EDITS_MAX: usize = 2;

/// A value, where it stands, and where to report what is wrong with it.
#[derive(Clone, Copy)]
pub struct At<'a> {
    /// The value.
    pub node: &'a Node,
    /// Its path, as `healthcheck.timeout` or `volumes[0]`.
    pub path: &'a str,
    report: &'a Report,
}

/// A type that can be read from a value.
pub trait Read: Sized {
    /// Reads the value; what is wrong is reported, and then there is none.
    fn read(at: At<'_>) -> Option<Self>;
}

impl<'a> At<'a> {
    /// The value at `path`.
    pub fn new(node: &'a Node, path: &'a str, report: &'a Report) -> Self {
        Self { node, path, report }
    }

    /// Another value in the place of this one.
    pub(crate) fn with_node<'b>(&'b self, node: &'b Node) -> At<'b> {
        At { node, path: self.path, report: self.report }
    }

    /// Reports an error of this value and reads as absent.
    pub fn refuse<T>(&self, message: impl Into<String>) -> Option<T> {
        self.report.error(&self.node.origin, self.path, message);
        None
    }

    /// Reports an error of this field that stands at another place, as a key of it, and reads as absent.
    pub fn refuse_at<T>(&self, origin: &Origin, message: impl Into<String>) -> Option<T> {
        self.report.error(origin, self.path, message);
        None
    }

    /// Reports that something else than `wanted` stands here.
    pub fn refuse_kind<T>(&self, wanted: &str) -> Option<T> {
        match &self.node.value {
            Value::Text(text) => self.refuse(format!("must be {wanted}, got \"{}\"", excerpt(text))),
            _ => self.refuse(format!("must be {wanted}, got {}", self.node.kind())),
        }
    }

    /// Reports what looks wrong but is accepted.
    pub fn warn(&self, message: impl Into<String>) {
        self.report.warning(&self.node.origin, self.path, message);
    }

    /// The scalar here, as it is written.
    pub fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            _ => self.refuse_kind("text"),
        }
    }

    /// Parses the scalar here; the error says what is wrong with it.
    pub fn parse<T: FromStr<Err: Display>>(&self) -> Option<T> {
        self.text()?.parse().map_or_else(|error: T::Err| self.refuse(error.to_string()), Some)
    }

    /// Parses the name here; the error does not repeat what the path says.
    pub fn name<T: FromStr<Err = NameError>>(&self) -> Option<T> {
        self.text()?.parse().map_or_else(
            |error: NameError| match error {
                NameError::Empty { .. } => self.refuse("must not be empty"),
                NameError::Malformed { rule, value, .. } => {
                    self.refuse(format!("must be {rule}, got \"{}\"", excerpt(&value)))
                }
            },
            Some,
        )
    }

    /// A whole number within `bounds`.
    pub fn number(&self, bounds: RangeInclusive<i64>) -> Option<i64> {
        let number = match &self.node.value {
            Value::Text(text) => text.trim().parse().ok().filter(|n| bounds.contains(n)),
            _ => None,
        };
        number.or_else(|| self.refuse_kind(&format!("a whole number from {} to {}", bounds.start(), bounds.end())))
    }

    /// The items of a list. Nothing is the empty list.
    pub fn items<T>(&self, mut read: impl FnMut(At<'_>) -> Option<T>) -> Option<Vec<T>> {
        match &self.node.value {
            Value::Null => Some(Vec::new()),
            Value::List(items) => {
                let mut whole = Some(Vec::new());
                for (index, node) in items.iter().enumerate() {
                    let path = format!("{}[{index}]", self.path);
                    match (read(At { node, path: &path, report: self.report }), &mut whole) {
                        (Some(item), Some(list)) => list.push(item),
                        _ => whole = None,
                    }
                }
                whole
            }
            _ => self.refuse_kind("a list"),
        }
    }

    /// As [`At::items`]; a scalar is the list of it alone.
    pub fn one_or_more<T>(&self, mut read: impl FnMut(At<'_>) -> Option<T>) -> Option<Vec<T>> {
        match &self.node.value {
            Value::Text(_) => read(*self).map(|item| vec![item]),
            _ => self.items(read),
        }
    }

    /// The pairs of a mapping with any keys. Nothing is the empty mapping.
    pub fn pairs<T>(&self, mut read: impl FnMut(&'a Entry, At<'_>) -> Option<T>) -> Option<Vec<(String, T)>> {
        match &self.node.value {
            Value::Null => Some(Vec::new()),
            Value::Map(entries) => {
                let mut whole = Some(Vec::new());
                for entry in entries {
                    let path = join(self.path, &excerpt(&entry.key));
                    match (read(entry, At { node: &entry.value, path: &path, report: self.report }), &mut whole) {
                        (Some(value), Some(list)) => list.push((entry.key.clone(), value)),
                        _ => whole = None,
                    }
                }
                whole
            }
            _ => self.refuse_kind("a mapping"),
        }
    }

    /// The mapping here, to be read key by key. Nothing is the empty mapping.
    pub fn section(&self) -> Option<Section<'a>> {
        section(self.node, self.path, self.report)
    }
}

fn section<'a>(node: &'a Node, path: &str, report: &'a Report) -> Option<Section<'a>> {
    let entries = match &node.value {
        Value::Null => &[],
        Value::Map(entries) => entries.as_slice(),
        _ => return At::new(node, path, report).refuse_kind("a mapping"),
    };
    Some(Section { entries, path: path.to_owned(), origin: node.origin.clone(), report, known: Vec::new() })
}

/// A mapping that is read key by key.
pub struct Section<'a> {
    entries: &'a [Entry],
    path: String,
    origin: Origin,
    report: &'a Report,
    known: Vec<&'static str>,
}

impl<'a> Section<'a> {
    /// The mapping that is a whole document; an empty document is an empty mapping.
    pub fn root(node: &'a Node, report: &'a Report) -> Option<Self> {
        if !matches!(node.value, Value::Map(_) | Value::Null) {
            let message = format!("expected a mapping, got {}", node.kind());
            report.error(&node.origin, "", message);
            return None;
        }
        At::new(node, "", report).section()
    }

    /// Reads `key` with its type's own rule. Absent, empty and refused values are `None`.
    pub fn get<T: Read>(&mut self, key: &'static str) -> Option<T> {
        self.with(key, T::read)
    }

    /// Reads `key`, or takes the default.
    pub fn or<T: Read>(&mut self, key: &'static str, default: T) -> T {
        self.get(key).unwrap_or(default)
    }

    /// Reads `key` with a rule of the caller's. Absent and empty values are `None`.
    pub fn with<T>(&mut self, key: &'static str, read: impl FnOnce(At<'_>) -> Option<T>) -> Option<T> {
        self.known.push(key);
        let node = &self.entry(key)?.value;
        if node.value == Value::Null {
            return None;
        }
        read(At { node, path: &join(&self.path, key), report: self.report })
    }

    /// The mapping at `key`; an empty one when there is none. It is to be ended with [`Section::end`].
    pub fn section(&mut self, key: &'static str) -> Section<'a> {
        self.known.push(key);
        let path = join(&self.path, key);
        let found = self.entry(key).and_then(|entry| section(&entry.value, &path, self.report));
        found.unwrap_or(Section {
            entries: &[],
            path,
            origin: self.origin.clone(),
            report: self.report,
            known: Vec::new(),
        })
    }

    /// Whether `key` has a value.
    pub fn has(&self, key: &str) -> bool {
        self.entry(key).is_some_and(|e| e.value.value != Value::Null)
    }

    /// Where `key` stands, or else the mapping.
    pub fn origin(&self, key: &str) -> Origin {
        self.entry(key).map_or_else(|| self.origin.clone(), |e| e.value.origin.clone())
    }

    /// Reports an error of `key`, for rules that span several keys.
    pub fn error(&self, key: &str, message: impl Into<String>) {
        self.report.error(&self.origin(key), &join(&self.path, key), message);
    }

    /// Reports what looks wrong with `key` but is accepted.
    pub fn warn(&self, key: &str, message: impl Into<String>) {
        self.report.warning(&self.origin(key), &join(&self.path, key), message);
    }

    /// Marks keys as known that something else reads.
    pub fn know(&mut self, keys: &[&'static str]) {
        self.known.extend_from_slice(keys);
    }

    /// Whether something was found wrong so far, anywhere in the input.
    pub fn has_errors(&self) -> bool {
        self.report.has_errors()
    }

    /// Ends the reading: whatever was not read is unknown.
    pub fn end(self) {
        for entry in self.entries.iter().filter(|e| !self.known.contains(&e.key.as_str())) {
            let message = format!("unknown key \"{}\"", excerpt(&entry.key));
            match self.nearest(&entry.key) {
                Some(known) => {
                    self.report.error(&entry.origin, "", format!("{message}; did you mean \"{known}\"?"));
                }
                None => self.report.warning(&entry.origin, "", format!("{message} is ignored")),
            }
        }
    }

    fn nearest(&self, key: &str) -> Option<&'static str> {
        // A key of three letters is two edits away from many words, so short keys must be closer.
        let edits_max = if key.len() <= 3 { 1 } else { EDITS_MAX };
        let close = |known: &&'static str| {
            let edits = strsim::osa_distance(&key.to_lowercase(), known);
            (edits <= edits_max).then_some((edits, *known))
        };
        self.known.iter().filter_map(close).min().map(|(_, known)| known)
    }

    fn entry(&self, key: &str) -> Option<&'a Entry> {
        self.entries.iter().find(|e| e.key == key)
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

impl Read for String {
    fn read(at: At<'_>) -> Option<Self> {
        let text = at.text()?;
        if text.contains('\0') { at.refuse("must not hold NUL") } else { Some(text.to_owned()) }
    }
}

impl Read for PathBuf {
    fn read(at: At<'_>) -> Option<Self> {
        String::read(at).map(PathBuf::from)
    }
}

impl Read for bool {
    fn read(at: At<'_>) -> Option<Self> {
        match &at.node.value {
            Value::Text(text) => match text.to_ascii_lowercase().as_str() {
                "true" | "yes" | "on" => Some(true),
                "false" | "no" | "off" => Some(false),
                _ => at.refuse_kind("true or false"),
            },
            _ => at.refuse_kind("true or false"),
        }
    }
}

impl<T: Read> Read for Vec<T> {
    fn read(at: At<'_>) -> Option<Self> {
        at.items(T::read)
    }
}

impl Read for BTreeMap<String, String> {
    fn read(at: At<'_>) -> Option<Self> {
        let value = |_: &Entry, at: At<'_>| match at.node.value {
            Value::Null => Some(String::new()),
            _ => String::read(at),
        };
        at.pairs(value).map(|pairs| pairs.into_iter().collect())
    }
}
