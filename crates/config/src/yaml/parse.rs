//! Text to tree, within limits.

use super::node::{Entry, Node, Value};
use crate::problem::{Origin, Problem};
use eru_types::name::excerpt;
use serde_saphyr::granit_parser::{ErrorKind, Event, Options, Parser, ScalarStyle, Span, Tag};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// Largest text, in bytes: a spec of ten thousand lines is well below it.
pub const BYTES_MAX: usize = 1024 * 1024;
/// Most levels of lists and mappings: no file of ours needs more than eight.
pub const DEPTH_MAX: usize = 32;
/// Most values, aliases expanded: this is what ends an alias bomb.
pub const NODES_MAX: usize = 10_000;

/// Parses one document. An empty text is `Null`.
///
/// # Errors
/// A [`Problem`] with line and column: not YAML, more than one document, a duplicate key, or over a limit.
///
/// # Cost
/// Time and memory are bounded by the limits, whatever the text holds.
pub fn parse(source: &str, text: &str) -> Result<Node, Problem> {
    let source: Arc<str> = excerpt(source).into();
    let start = Origin::Text { source: source.clone(), line: 1, column: 1 };
    if text.len() > BYTES_MAX {
        return Err(problem(&start, format!("exceeds {} MiB, has {} bytes", BYTES_MAX >> 20, text.len())));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut options = Options::default();
    options.emit_comments = false;
    let mut builder = Builder {
        parser: Parser::new_from_str_with_options(text, options),
        source,
        anchors: HashMap::new(),
        nodes_len: 0,
        alias_bytes: 0,
    };
    let mut document = None;
    let mut documents_len = 0;
    while let Some((event, span)) = builder.next()? {
        match event {
            Event::StreamStart | Event::DocumentEnd => {}
            Event::StreamEnd => break,
            Event::DocumentStart(..) => {
                documents_len += 1;
                if documents_len > 1 {
                    let origin = builder.origin(&span);
                    let documents_len = documents_len + builder.documents_left();
                    return Err(problem(&origin, format!("{documents_len} documents found, expected 1")));
                }
            }
            event => document = Some(builder.node(event, &span, 0)?),
        }
    }
    Ok(document.unwrap_or(Node { value: Value::Null, origin: start }))
}

fn problem(origin: &Origin, message: impl Into<String>) -> Problem {
    Problem { origin: origin.clone(), path: String::new(), message: message.into() }
}

struct Builder<'t> {
    parser: Parser<'t, serde_saphyr::granit_parser::StrInput<'t>>,
    source: Arc<str>,
    /// Finished values by anchor. One that is still open is not here, so it cannot hold itself.
    anchors: HashMap<usize, Node>,
    nodes_len: usize,
    /// Text that aliases added.
    alias_bytes: usize,
}

impl<'t> Builder<'t> {
    fn next(&mut self) -> Result<Option<(Event<'t>, Span)>, Problem> {
        match self.parser.next_event() {
            None => Ok(None),
            Some(Ok(event)) => Ok(Some(event)),
            Some(Err(error)) => {
                let origin = self.at(error.marker().line(), error.marker().col());
                // The scanner looks ahead, so its own limit may be met before ours.
                if *error.kind() == ErrorKind::RecursionLimitExceeded {
                    return Err(too_deep(&origin));
                }
                Err(problem(&origin, format!("not YAML: {}", error.info())))
            }
        }
    }

    /// Number of documents that begin after here, as far as the text is YAML.
    fn documents_left(&mut self) -> usize {
        let mut documents_len = 0;
        while let Ok(Some((event, _))) = self.next() {
            documents_len += usize::from(matches!(event, Event::DocumentStart(..)));
        }
        documents_len
    }

    fn at(&self, line: usize, column_from_0: usize) -> Origin {
        Origin::Text { source: self.source.clone(), line, column: column_from_0 + 1 }
    }

    fn origin(&self, span: &Span) -> Origin {
        self.at(span.start.line(), span.start.col())
    }

    fn inner(&mut self, origin: &Origin) -> Result<(Event<'t>, Span), Problem> {
        self.next()?.ok_or_else(|| problem(origin, "not YAML: the text ends in the middle of a value"))
    }

    fn count(&mut self, more: usize, origin: &Origin) -> Result<(), Problem> {
        self.nodes_len += more;
        if self.nodes_len > NODES_MAX {
            return Err(problem(origin, format!("exceeds {NODES_MAX} values (aliases count each time)")));
        }
        Ok(())
    }

    fn node(&mut self, event: Event<'t>, span: &Span, depth: usize) -> Result<Node, Problem> {
        let origin = self.origin(span);
        if depth > DEPTH_MAX {
            return Err(too_deep(&origin));
        }
        self.count(1, &origin)?;
        let (value, anchor) = match event {
            Event::Scalar(text, style, anchor, tag) => (scalar(text, style, tag.as_deref()), anchor),
            Event::SequenceStart(_, anchor, _) => (self.list(&origin, depth)?, anchor),
            Event::MappingStart(_, anchor, _) => (self.map(&origin, depth)?, anchor),
            Event::Alias(anchor) => return self.alias(anchor, origin, depth),
            _ => return Err(problem(&origin, "not YAML: expected a value")),
        };
        let node = Node { value, origin };
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn alias(&mut self, anchor: usize, origin: Origin, depth: usize) -> Result<Node, Problem> {
        let Some(target) = self.anchors.get(&anchor) else {
            return Err(problem(&origin, "alias of a value that holds the alias itself"));
        };
        if depth + target.depth() > DEPTH_MAX {
            return Err(too_deep(&origin));
        }
        let (count, bytes) = (target.count(), target.bytes());
        self.count(count, &origin)?;
        self.alias_bytes += bytes;
        if self.alias_bytes > BYTES_MAX {
            return Err(problem(&origin, format!("exceeds {} MiB by its aliases", BYTES_MAX >> 20)));
        }
        let value = self.anchors[&anchor].value.clone();
        Ok(Node { value, origin })
    }

    fn list(&mut self, origin: &Origin, depth: usize) -> Result<Value, Problem> {
        let mut items = Vec::new();
        loop {
            match self.inner(origin)? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, span) => items.push(self.node(event, &span, depth + 1)?),
            }
        }
    }

    fn map(&mut self, origin: &Origin, depth: usize) -> Result<Value, Problem> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut lines: HashMap<String, Origin> = HashMap::new();
        let mut merged = Vec::new();
        loop {
            let (event, span) = self.inner(origin)?;
            if matches!(event, Event::MappingEnd) {
                break;
            }
            let plain = matches!(&event, Event::Scalar(_, ScalarStyle::Plain, ..));
            let key = self.node(event, &span, depth + 1)?;
            let text = match key.value {
                Value::Text(text) => text,
                Value::Null => String::new(),
                _ => return Err(problem(&key.origin, format!("a key must be text, got {}", key.kind()))),
            };
            let (event, span) = self.inner(origin)?;
            let value = self.node(event, &span, depth + 1)?;
            if plain && text == "<<" {
                merged.push(value);
                continue;
            }
            if let Some(first) = lines.insert(text.clone(), key.origin.clone()) {
                let message = format!("key \"{}\" is given twice, first at {}", excerpt(&text), place(&first));
                return Err(problem(&key.origin, message));
            }
            entries.push(Entry { key: text, origin: key.origin, value });
        }
        for value in merged {
            merge(&mut entries, value)?;
        }
        Ok(Value::Map(entries))
    }
}

/// Adds what `<<` names, unless the mapping has the key itself.
fn merge(entries: &mut Vec<Entry>, value: Node) -> Result<(), Problem> {
    match value.value {
        Value::Map(more) => {
            for entry in more {
                if entries.iter().all(|e| e.key != entry.key) {
                    entries.push(entry);
                }
            }
            Ok(())
        }
        Value::List(items) => items.into_iter().try_for_each(|item| merge(entries, item)),
        _ => Err(problem(&value.origin, format!("\"<<\" needs a mapping, got {}", value.kind()))),
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Tag>) -> Value {
    let is_null = style == ScalarStyle::Plain
        && tag.is_none_or(|tag| tag.core_suffix() == Some("null"))
        && matches!(&*text, "" | "~" | "null" | "Null" | "NULL");
    if is_null { Value::Null } else { Value::Text(text.into_owned()) }
}

/// `line:column` of a place in the same text.
fn place(origin: &Origin) -> String {
    match origin {
        Origin::Text { line, column, .. } => format!("{line}:{column}"),
        Origin::Named(name) => name.to_string(),
    }
}

fn too_deep(origin: &Origin) -> Problem {
    problem(origin, format!("exceeds depth {DEPTH_MAX}"))
}
