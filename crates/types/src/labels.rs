//! Labels: small key-value pairs that users select by.

use crate::name::excerpt;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The most labels that one object may carry.
pub const LABELS_LEN_MAX: usize = 256;
/// The longest key, in bytes.
pub const LABEL_KEY_BYTES_MAX: usize = 256;
/// The longest value, in bytes: `ERU_META` of 32 ports is well below it.
pub const LABEL_VALUE_BYTES_MAX: usize = 4096;

/// Marks an object as Eru's.
pub const ERU: &str = "ERU";
/// Carries the publish list and the health check, see [`crate::meta`].
pub const ERU_META: &str = "ERU_META";
/// The node that the workload was placed on.
pub const NODENAME: &str = "eru.nodename";
/// The identifier of the core's cluster.
pub const COREID: &str = "eru.coreid";

/// Why labels were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LabelError {
    /// Too many of them.
    #[error("labels: at most {LABELS_LEN_MAX} labels, got {0}")]
    TooMany(usize),
    /// A key is empty, too long, or has a character that is not allowed.
    #[error("labels: key must be 1 to {LABEL_KEY_BYTES_MAX} printable characters without '=', got \"{}\"", excerpt(.0))]
    Key(String),
    /// A value is too long or holds a NUL.
    #[error("labels: value of \"{}\" must be at most {LABEL_VALUE_BYTES_MAX} bytes without NUL", excerpt(.0))]
    Value(String),
    /// The key belongs to Eru.
    #[error("labels: key \"{}\" is reserved", excerpt(.0))]
    Reserved(String),
}

/// A checked set of labels, ordered by key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Labels(BTreeMap<String, String>);

impl Labels {
    /// Takes the labels that a user gave: reserved keys are refused.
    ///
    /// # Errors
    /// [`LabelError`] that names the key.
    pub fn from_user(map: BTreeMap<String, String>) -> Result<Self, LabelError> {
        if let Some(key) = map.keys().find(|k| is_reserved(k)) {
            return Err(LabelError::Reserved(key.clone()));
        }
        Self::new(map)
    }

    /// Takes any labels, Eru's own among them.
    ///
    /// # Errors
    /// [`LabelError`] that names the key.
    pub fn new(map: BTreeMap<String, String>) -> Result<Self, LabelError> {
        if map.len() > LABELS_LEN_MAX {
            return Err(LabelError::TooMany(map.len()));
        }
        for (key, value) in &map {
            if key.is_empty() || key.len() > LABEL_KEY_BYTES_MAX || key.chars().any(|c| c.is_control() || c == '=') {
                return Err(LabelError::Key(key.clone()));
            }
            if value.len() > LABEL_VALUE_BYTES_MAX || value.contains('\0') {
                return Err(LabelError::Value(key.clone()));
            }
        }
        Ok(Self(map))
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Sets one of Eru's own labels.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.0.insert(key.into(), value.into());
    }

    /// Whether every pair of `wanted` is here with an equal value. No pairs match everything.
    pub fn contains_all(&self, wanted: &Labels) -> bool {
        wanted.0.iter().all(|(k, v)| self.0.get(k) == Some(v))
    }

    /// All pairs by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The plain map.
    pub fn as_map(&self) -> &BTreeMap<String, String> {
        &self.0
    }

    /// The plain map.
    pub fn into_map(self) -> BTreeMap<String, String> {
        self.0
    }

    /// The labels that an agent reports as a status's extension: all but the `eru.` ones.
    pub fn reported(&self) -> BTreeMap<&str, &str> {
        self.iter().filter(|(k, _)| !k.starts_with("eru.")).collect()
    }
}

/// Whether `key` belongs to Eru and users may not set it.
pub fn is_reserved(key: &str) -> bool {
    key == ERU || key == ERU_META || key.starts_with("eru.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect()
    }

    #[test]
    fn reserved_keys_are_refused_and_others_kept() {
        for key in ["ERU", "ERU_META", "eru.nodename", "eru.x"] {
            assert_eq!(Labels::from_user(map(&[(key, "1")])), Err(LabelError::Reserved(key.into())));
        }
        assert!(Labels::from_user(map(&[("zone", "a"), ("emoji", "🦀")])).is_ok());
        assert!(Labels::from_user(map(&[("", "a")])).is_err());
        assert!(Labels::from_user(map(&[("a=b", "a")])).is_err());
        assert!(Labels::from_user(map(&[("a", &"v".repeat(5000))])).is_err());
    }

    #[test]
    fn selection_needs_every_pair() {
        let labels = Labels::new(map(&[("a", "1"), ("b", "2")])).unwrap();
        assert!(labels.contains_all(&Labels::default()));
        assert!(labels.contains_all(&Labels::new(map(&[("a", "1")])).unwrap()));
        assert!(!labels.contains_all(&Labels::new(map(&[("a", "2")])).unwrap()));
    }
}
