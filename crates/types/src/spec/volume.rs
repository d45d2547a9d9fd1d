//! Volumes, as specs spell them.

use crate::name::excerpt;
use std::fmt;
use std::str::FromStr;

/// Longest volume, in bytes: two paths of the kernel's limit.
const VOLUME_BYTES_MAX: usize = 2 * 4096;

/// `source:target[:flags[:size]]`, checked for its form. Which sources a node allows is for core to say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeBinding(String);

/// Why a volume was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VolumeError {
    /// Not two to four parts.
    #[error("expected SOURCE:TARGET[:FLAGS[:SIZE]], got \"{}\"", excerpt(.0))]
    Parts(String),
    /// The target could be anywhere.
    #[error("target must be an absolute path without \"..\", got \"{}\"", excerpt(.0))]
    Target(String),
    /// The source could be anywhere.
    #[error("source must be a path without \"..\" or AUTO, got \"{}\"", excerpt(.0))]
    Source(String),
    /// Flags that do not exist.
    #[error("flags must be of r, w, m and o, got \"{}\"", excerpt(.0))]
    Flags(String),
}

impl VolumeBinding {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The size, if there is one.
    pub fn size(&self) -> Option<&str> {
        self.0.split(':').nth(3)
    }
}

impl FromStr for VolumeBinding {
    type Err = VolumeError;

    fn from_str(text: &str) -> Result<Self, VolumeError> {
        let parts: Vec<&str> = text.split(':').collect();
        let (2..=4, false) = (parts.len(), text.len() > VOLUME_BYTES_MAX) else {
            return Err(VolumeError::Parts(text.to_owned()));
        };
        let climbs = |path: &str| path.split('/').any(|part| part == "..") || path.chars().any(char::is_control);
        if parts[0].is_empty() || climbs(parts[0]) {
            return Err(VolumeError::Source(parts[0].to_owned()));
        }
        if !parts[1].starts_with('/') || climbs(parts[1]) {
            return Err(VolumeError::Target(parts[1].to_owned()));
        }
        if let Some(flags) = parts.get(2).filter(|flags| !flags.bytes().all(|b| b"rwmo".contains(&b))) {
            return Err(VolumeError::Flags((*flags).to_owned()));
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for VolumeBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form() {
        for ok in ["/sys:/sys:ro", "/a:/b", "AUTO:/data:rw:1G", "/proc/:/hostProc/", "name:/data", "/a:/b:mrw:10"] {
            assert_eq!(ok.parse::<VolumeBinding>().unwrap().as_str(), ok);
        }
        for bad in ["", "/a", ":/b", "/a:b", "/a:/../b", "/a/../b:/c", "/a:/b:x", "/a:/b:rw:1:2", "/a:/b\0"] {
            assert!(bad.parse::<VolumeBinding>().is_err(), "{bad:?}");
        }
    }
}
