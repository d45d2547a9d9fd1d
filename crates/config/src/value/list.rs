//! Lists that may be written as one value.

use crate::read::{At, Read};
use crate::yaml::{Node, Value};

/// A list, one value, or values separated by commas in one text: all three mean the same.
///
/// The original changed `core` from a value to a list once; files of both kinds are around.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListOrScalar<T>(pub Vec<T>);

impl<T: Read> Read for ListOrScalar<T> {
    fn read(at: At<'_>) -> Option<Self> {
        let Value::Text(text) = &at.node.value else { return at.items(T::read).map(Self) };
        let part = |part: &str| Node { value: Value::Text(part.trim().to_owned()), origin: at.node.origin.clone() };
        let items = text.split(',').filter(|p| !p.trim().is_empty()).map(part).collect();
        let list = Node { value: Value::List(items), origin: at.node.origin.clone() };
        at.with_node(&list).items(T::read).map(Self)
    }
}

/// Drops values that occur again, and says so.
pub(crate) fn fold_duplicates(list: &mut Vec<String>, mut warn: impl FnMut(String)) {
    let mut seen = std::collections::BTreeSet::new();
    list.retain(|item| {
        let first = seen.insert(item.clone());
        if !first {
            warn(format!("\"{}\" is given twice", eru_types::name::excerpt(item)));
        }
        first
    });
}
