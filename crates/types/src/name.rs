//! Names and identifiers. Each is a newtype whose constructor is the only validation.
//!
//! The rule for app, pod and node names is `[A-Za-z0-9][A-Za-z0-9_.-]{0,62}`; an entrypoint has no `_`, because the
//! name of a workload is `<app>_<entrypoint>_<ident>` and is split at `_` from the right.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a name was refused. `Display` quotes the value and says what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// The value was empty.
    #[error("{what} is empty")]
    Empty {
        /// The thing that was to be named, as users call it ("pod name").
        what: &'static str,
    },
    /// The value has a character or a length that is not allowed.
    #[error("{what} must be {rule}, got \"{}\"", excerpt(.value))]
    Malformed {
        /// The thing that was to be named.
        what: &'static str,
        /// What is allowed, in words.
        rule: &'static str,
        /// The refused value.
        value: String,
    },
}

/// The value as an error may quote it: control characters escaped, at most 80 characters.
pub fn excerpt(value: &str) -> String {
    const LEN_MAX: usize = 80;
    let mut out: String = value.chars().take(LEN_MAX).flat_map(char::escape_debug).collect();
    if value.chars().nth(LEN_MAX).is_some() {
        out.push('…');
    }
    out
}

const RULE: &str = "1 to 63 letters, digits, '_', '.' or '-', beginning with a letter or digit";
const RULE_ENTRYPOINT: &str = "1 to 63 letters, digits, '.' or '-', beginning with a letter or digit";
const RULE_ID: &str = "1 to 128 letters, digits, '_', '.' or '-', beginning with a letter or digit";
const RULE_IDENT: &str = "6 to 16 letters or digits";

fn is_name(value: &str, len_max: usize, underscore: bool) -> bool {
    let bytes = value.as_bytes();
    (1..=len_max).contains(&bytes.len())
        && bytes[0].is_ascii_alphanumeric()
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-') || (underscore && *b == b'_'))
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal, $rule:expr, $ok:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(std::sync::Arc<str>);

        impl $name {
            /// Checks `value` and takes it as a name.
            ///
            /// # Errors
            /// [`NameError`] that quotes the value and says what is allowed.
            pub fn new(value: impl AsRef<str>) -> Result<Self, NameError> {
                let value = value.as_ref();
                let ok: fn(&str) -> bool = $ok;
                if value.is_empty() {
                    Err(NameError::Empty { what: $what })
                } else if ok(value) {
                    Ok(Self(value.into()))
                } else {
                    Err(NameError::Malformed { what: $what, rule: $rule, value: value.to_owned() })
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = NameError;
            fn try_from(value: String) -> Result<Self, NameError> {
                Self::new(value)
            }
        }

        impl std::str::FromStr for $name {
            type Err = NameError;
            fn from_str(value: &str) -> Result<Self, NameError> {
                Self::new(value)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> String {
                name.0.to_string()
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }
    };
}

name_type!(
    /// The name of a pod: a group of nodes that workloads are deployed to.
    PodName, "pod name", RULE, |v| is_name(v, 63, true)
);
name_type!(
    /// The name of a node: one runtime that workloads run on.
    NodeName, "node name", RULE, |v| is_name(v, 63, true)
);
name_type!(
    /// The name of an app. It may hold `_`.
    AppName, "app name", RULE, |v| is_name(v, 63, true)
);
name_type!(
    /// The name of an app's entrypoint. It has no `_`, see the module.
    EntrypointName, "entrypoint name", RULE_ENTRYPOINT, |v| is_name(v, 63, false)
);
name_type!(
    /// The part of a workload's name that makes it unique, chosen when its placement is planned.
    Ident, "ident", RULE_IDENT, |v| (6..=16).contains(&v.len()) && v.bytes().all(|b| b.is_ascii_alphanumeric())
);
name_type!(
    /// The id that a runtime gave a workload. Docker's and ours are 64 hex digits.
    EngineId, "workload id", RULE_ID, |v| is_name(v, 128, true)
);
name_type!(
    /// The name of a ReplicaSet.
    SetName, "replicaset name", RULE, |v| is_name(v, 63, true)
);

impl EngineId {
    /// The first twelve characters, for log lines and tables that must be narrow.
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

/// `<app>_<entrypoint>_<ident>`: what a workload is called in its runtime.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WorkloadName {
    /// The app.
    pub app: AppName,
    /// The entrypoint of the app that runs.
    pub entrypoint: EntrypointName,
    /// What makes the name unique.
    pub ident: Ident,
}

impl WorkloadName {
    /// Parses `<app>_<entrypoint>_<ident>`; a leading `/` (Docker's) is dropped.
    ///
    /// # Errors
    /// [`NameError::Malformed`] when a part is missing or not a name.
    pub fn parse(value: &str) -> Result<Self, NameError> {
        let bad = || NameError::Malformed {
            what: "workload name",
            rule: "<app>_<entrypoint>_<ident>",
            value: value.to_owned(),
        };
        let mut parts = value.strip_prefix('/').unwrap_or(value).rsplitn(3, '_');
        let ident = parts.next().ok_or_else(bad)?;
        let entrypoint = parts.next().ok_or_else(bad)?;
        let app = parts.next().ok_or_else(bad)?;
        Ok(Self {
            app: AppName::new(app).map_err(|_| bad())?,
            entrypoint: EntrypointName::new(entrypoint).map_err(|_| bad())?,
            ident: Ident::new(ident).map_err(|_| bad())?,
        })
    }
}

impl fmt::Display for WorkloadName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}_{}_{}", self.app, self.entrypoint, self.ident)
    }
}

impl TryFrom<String> for WorkloadName {
    type Error = NameError;
    fn try_from(value: String) -> Result<Self, NameError> {
        Self::parse(&value)
    }
}

impl From<WorkloadName> for String {
    fn from(name: WorkloadName) -> String {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_accept_and_refuse() {
        let long = "a".repeat(64);
        for ok in ["a", "pod1", "node-1.example.org", "a_b", &"a".repeat(63)] {
            assert!(PodName::new(ok).is_ok(), "{ok}");
        }
        for bad in ["", "-a", ".", "..", "a/b", "../x", "a b", "名", "a\0b", "a\nb", long.as_str(), "%2e%2e"] {
            assert!(PodName::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(PodName::new("").unwrap_err().to_string(), "pod name is empty");
        assert_eq!(
            NodeName::new("a/\x1bb").unwrap_err().to_string(),
            format!("node name must be {RULE}, got \"a/\\u{{1b}}b\"")
        );
        assert!(EntrypointName::new("my_web").is_err());
    }

    #[test]
    fn workload_name_splits_from_the_right() {
        let name = WorkloadName::parse("/test_appname_web_whatever").unwrap();
        assert_eq!(
            (name.app.as_str(), name.entrypoint.as_str(), name.ident.as_str()),
            ("test_appname", "web", "whatever")
        );
        assert!(WorkloadName::parse("test_bad").is_err());
    }

    proptest! {
        #[test]
        fn no_input_panics_and_accepted_names_are_plain(value in ".*") {
            if let Ok(name) = AppName::new(&value) {
                prop_assert!(!name.as_str().contains(['/', '\0', ' ']));
                prop_assert_eq!(name.as_str(), value.as_str());
            }
            let _ = WorkloadName::parse(&value);
            let _ = EngineId::new(&value);
        }
    }
}
