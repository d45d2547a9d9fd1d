//! Environment of a workload.

use crate::name::excerpt;
use std::fmt;
use std::str::FromStr;

/// Longest `NAME=VALUE`, in bytes: the kernel takes 128 KiB for one.
pub const ENV_BYTES_MAX: usize = 128 * 1024 - 1;

/// One variable, `NAME=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvVar {
    name: String,
    value: String,
}

/// Why a variable was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EnvError {
    /// It has no `=`, or no name before it.
    #[error("expected NAME=VALUE, got \"{}\"", excerpt(.0))]
    Malformed(String),
    /// It holds a character that no process can be given.
    #[error("must not hold NUL, got \"{}\"", excerpt(.0))]
    Nul(String),
    /// It is too long.
    #[error("must be at most {ENV_BYTES_MAX} bytes, \"{}\" has {len}", excerpt(.name))]
    TooLong {
        /// The name.
        name: String,
        /// Its length.
        len: usize,
    },
}

impl EnvVar {
    /// Takes a name and a value.
    ///
    /// # Errors
    /// [`EnvError`] that quotes the name.
    pub fn new(name: &str, value: &str) -> Result<Self, EnvError> {
        if name.is_empty() || name.contains('=') {
            return Err(EnvError::Malformed(format!("{name}={value}")));
        }
        if name.contains('\0') || value.contains('\0') {
            return Err(EnvError::Nul(name.to_owned()));
        }
        let len = name.len() + 1 + value.len();
        if len > ENV_BYTES_MAX {
            return Err(EnvError::TooLong { name: name.to_owned(), len });
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for EnvVar {
    type Err = EnvError;

    fn from_str(text: &str) -> Result<Self, EnvError> {
        let (name, value) = text.split_once('=').ok_or_else(|| EnvError::Malformed(text.to_owned()))?;
        Self::new(name, value)
    }
}

impl fmt::Display for EnvVar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.name, self.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_value() {
        for ok in ["A=b", "A=", "a.b=c=d", "A=名"] {
            assert_eq!(ok.parse::<EnvVar>().unwrap().to_string(), ok);
        }
        for bad in ["FOO", "=x", "", "A=\0", "A\0=b", &format!("A={}", "b".repeat(ENV_BYTES_MAX))] {
            assert!(bad.parse::<EnvVar>().is_err(), "{bad:?}");
        }
        assert_eq!("FOO".parse::<EnvVar>().unwrap_err().to_string(), "expected NAME=VALUE, got \"FOO\"");
    }
}
