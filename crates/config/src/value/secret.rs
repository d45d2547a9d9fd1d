//! Values that are never printed.

use crate::read::{At, Read};
use std::fmt;

/// A password or token. `Debug` and `Display` print `***`, or nothing when it is empty.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes `text` as a secret.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The secret itself, for the one place that needs it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "" } else { "***" })
    }
}

impl Read for Secret {
    fn read(at: At<'_>) -> Option<Self> {
        match &at.node.value {
            crate::yaml::Value::Text(text) if !text.contains('\0') => Some(Self::new(text.as_str())),
            // The value is not quoted, unlike in other errors.
            _ => at.refuse("must be text"),
        }
    }
}
