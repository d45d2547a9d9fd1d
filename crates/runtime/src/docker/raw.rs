//! The engine's own options, as JSON in a request.

use crate::port::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What can be asked for; a key that is not here is refused by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawOptions {
    pub(super) pid_mod: Option<String>,
    pub(super) storage_opt: Option<BTreeMap<String, String>>,
    pub(super) cap_add: Option<Vec<String>>,
    pub(super) cap_drop: Option<Vec<String>>,
    pub(super) ulimits: Option<Vec<Ulimit>>,
    pub(super) runtime: Option<String>,
}

/// A limit of the kernel on a process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ulimit {
    #[serde(rename = "Name", alias = "name")]
    pub(super) name: String,
    #[serde(rename = "Soft", alias = "soft", default)]
    pub(super) soft: i64,
    #[serde(rename = "Hard", alias = "hard", default)]
    pub(super) hard: i64,
}

impl RawOptions {
    pub(super) fn parse(text: &str) -> Result<Self> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        let parsed: Option<Self> = serde_json::from_str(text)
            .map_err(|e| Error::Invalid(format!("raw_args: must be JSON of the engine's options: {e}")))?;
        Ok(parsed.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_or_refused_by_name() {
        let text =
            r#"{"pid_mod":"host","cap_drop":["CHOWN"],"cap_add":null,"ulimits":[{"Name":"nofile","Soft":1,"Hard":2}]}"#;
        let raw = RawOptions::parse(text).unwrap();
        assert_eq!(
            (raw.pid_mod.as_deref(), raw.cap_drop.unwrap(), raw.cap_add),
            (Some("host"), vec!["CHOWN".to_owned()], None)
        );
        for empty in ["", " ", "null", "{}"] {
            assert_eq!(RawOptions::parse(empty).unwrap(), RawOptions::default());
        }
        for (bad, part) in [
            ("{", "EOF"),
            (r#"{"devices":[]}"#, "`devices`"),
            (r#"{"ulimits":[{"Name":"x","y":1}]}"#, "`y`"),
            ("[1]", "raw_args"),
        ] {
            assert!(RawOptions::parse(bad).unwrap_err().to_string().contains(part), "{bad}");
        }
    }
}
