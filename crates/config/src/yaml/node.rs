//! The tree.

use crate::problem::Origin;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it begins.
    pub origin: Origin,
}

/// What a value is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Nothing: an empty value, `~` or `null`.
    Null,
    /// A scalar, as written, quotes and escapes resolved.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the text. No key occurs twice.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key begins.
    pub origin: Origin,
    /// The value.
    pub value: Node,
}

impl Node {
    /// What the value is, in words for an error.
    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Text(_) => "a scalar",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// Number of values in it, itself among them.
    pub fn count(&self) -> usize {
        match &self.value {
            Value::Null | Value::Text(_) => 1,
            Value::List(items) => 1 + items.iter().map(Node::count).sum::<usize>(),
            Value::Map(entries) => 1 + entries.iter().map(|e| e.value.count()).sum::<usize>(),
        }
    }

    /// Bytes of text in it.
    pub fn bytes(&self) -> usize {
        match &self.value {
            Value::Null => 0,
            Value::Text(text) => text.len(),
            Value::List(items) => items.iter().map(Node::bytes).sum(),
            Value::Map(entries) => entries.iter().map(|e| e.key.len() + e.value.bytes()).sum(),
        }
    }

    /// Number of levels of lists and mappings in it.
    pub fn depth(&self) -> usize {
        match &self.value {
            Value::Null | Value::Text(_) => 0,
            Value::List(items) => 1 + items.iter().map(Node::depth).max().unwrap_or(0),
            Value::Map(entries) => 1 + entries.iter().map(|e| e.value.depth()).max().unwrap_or(0),
        }
    }

    /// Puts `value` at `path`, making mappings on the way; what stands there already is replaced.
    pub fn set(&mut self, path: &[&str], value: Node) {
        let Some((key, rest)) = path.split_first() else {
            *self = value;
            return;
        };
        if !matches!(self.value, Value::Map(_)) {
            self.value = Value::Map(Vec::new());
        }
        let Value::Map(entries) = &mut self.value else { unreachable!("it was made a mapping just now") };
        let index = entries.iter().position(|e| e.key == *key).unwrap_or_else(|| {
            let value = Node { value: Value::Null, origin: value.origin.clone() };
            entries.push(Entry { key: (*key).to_owned(), origin: value.origin.clone(), value });
            entries.len() - 1
        });
        entries[index].value.set(rest, value);
    }
}
