//! The status of a workload, as it is reported and shown.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a workload ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExitStatus {
    /// The exit code; 128 + signal when a signal ended it, as shells say it.
    pub code: i32,
    /// The signal that ended it, 0 when none did.
    pub signal: i32,
    /// Whether the kernel ended it for want of memory.
    #[serde(default)]
    pub oom_killed: bool,
    /// When, in milliseconds since the epoch.
    pub at_ms: i64,
}

/// What is known of a running workload. Networks map a name to an address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkloadStatus {
    /// Whether its process runs.
    pub running: bool,
    /// Whether it runs and its health check, if any, passes.
    pub healthy: bool,
    /// Network name to address.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub networks: BTreeMap<String, String>,
    /// What the reporter adds: a JSON object of the reported labels. Core never parses it.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "bytes_as_text")]
    pub extension: Vec<u8>,
    /// How it ended last, when it does not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit: Option<ExitStatus>,
    /// How often its runtime started it again.
    #[serde(default)]
    pub restarts: u32,
    /// One line: why it does not run or is not healthy.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The last lines of its output, kept when it ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub last_lines: Vec<String>,
    /// When it was started, in milliseconds since the epoch.
    #[serde(default)]
    pub started_at_ms: i64,
    /// When the reporter saw this, in milliseconds since the epoch.
    #[serde(default)]
    pub observed_at_ms: i64,
}

/// Bytes that are nearly always UTF-8, kept readable in JSON; others as hex behind a marker.
mod bytes_as_text {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const HEX_MARK: &str = "hex:";

    pub fn serialize<S: Serializer>(bytes: &[u8], s: S) -> Result<S::Ok, S::Error> {
        match std::str::from_utf8(bytes) {
            Ok(text) if !text.starts_with(HEX_MARK) => s.serialize_str(text),
            _ => {
                let hex: String = bytes.iter().map(|b| format!("{b:02x}")).collect();
                s.serialize_str(&format!("{HEX_MARK}{hex}"))
            }
        }
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(d)?;
        let Some(hex) = text.strip_prefix(HEX_MARK) else { return Ok(text.into_bytes()) };
        let digits = hex.as_bytes();
        if !digits.len().is_multiple_of(2) || !hex.is_ascii() {
            return Err(D::Error::custom("odd number of hex digits"));
        }
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).map_err(D::Error::custom)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_extension_survives_json(extension in proptest::collection::vec(any::<u8>(), 0..64)) {
            let status = WorkloadStatus { extension, ..WorkloadStatus::default() };
            let text = serde_json::to_string(&status).unwrap();
            prop_assert_eq!(serde_json::from_str::<WorkloadStatus>(&text).unwrap(), status);
        }
    }
}
