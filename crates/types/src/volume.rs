//! Volumes, as requests and records carry them.

use crate::name::excerpt;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Longest volume string, in bytes: two paths of the kernel's limit.
const VOLUME_BYTES_MAX: usize = 2 * 4096;
/// Most volumes of one workload: as many as the original's arrays hold.
pub const VOLUMES_LEN_MAX: usize = 32;

/// What a source ends with when the scheduler is to choose the device.
const AUTO: &str = "AUTO";

/// `source:target[:flags[:size]]`, where `source` is a path, a volume name of the engine, or ends with `AUTO`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Volume {
    source: String,
    target: String,
    flags: String,
    size: u64,
}

/// Why a volume was refused. The first words are the original's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VolumeError {
    /// Not two to four parts.
    #[error("invalid volume: must be SOURCE:TARGET[:FLAGS[:SIZE]], got \"{}\"", excerpt(.0))]
    Parts(String),
    /// The target could be anywhere.
    #[error("invalid volume, dest must be provided: must be an absolute path without \"..\", got \"{}\"", excerpt(.0))]
    Target(String),
    /// The source could be anywhere.
    #[error("invalid volume: source must be a path without \"..\" or AUTO, got \"{}\"", excerpt(.0))]
    Source(String),
    /// Flags that do not exist.
    #[error("invalid volume: flags must be of r, w, m and o, got \"{}\"", excerpt(.0))]
    Flags(String),
    /// Not a number of bytes.
    #[error("invalid volume: size must be a number of bytes, got \"{}\"", excerpt(.0))]
    Size(String),
    /// A device of its own is as large as it is.
    #[error("invalid volume, monopoly volume must not be limited: \"{}\"", excerpt(.0))]
    Monopoly(String),
}

impl Volume {
    /// A path of the node, a volume of the engine, or something that ends with `AUTO`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Where it is mounted.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Letters of `r`, `w`, `m`, `o`, sorted; may be empty.
    pub fn flags(&self) -> &str {
        &self.flags
    }

    /// Size in bytes; 0 = not limited.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Whether the scheduler chooses its device.
    pub fn is_scheduled(&self) -> bool {
        self.source.ends_with(AUTO)
    }

    /// Whether it wants a device that nobody else uses.
    pub fn is_monopoly(&self) -> bool {
        self.is_scheduled() && self.flags.contains('m')
    }

    /// Whether it is the same volume, whatever the size.
    pub fn is_same(&self, other: &Self) -> bool {
        (&self.source, &self.target, &self.flags) == (&other.source, &other.target, &other.flags)
    }

    /// The same with another size.
    #[must_use]
    pub fn with_size(&self, size: u64) -> Self {
        Self { size, ..self.clone() }
    }
}

/// A change of a volume's size: spelled as a volume whose size may be negative.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VolumeDelta {
    /// The volume, without a size.
    pub volume: Volume,
    /// What is added to its size.
    pub size: i64,
}

impl FromStr for VolumeDelta {
    type Err = VolumeError;

    fn from_str(text: &str) -> Result<Self, VolumeError> {
        let (head, size) = match text.rsplit_once(':') {
            Some((head, size)) if head.matches(':').count() == 2 => (head, size),
            _ => (text, "0"),
        };
        let size: i64 = size.parse().map_err(|_| VolumeError::Size(size.to_owned()))?;
        Ok(Self { volume: Volume::parse(head)?, size })
    }
}

impl FromStr for Volume {
    type Err = VolumeError;

    fn from_str(text: &str) -> Result<Self, VolumeError> {
        let volume = Self::parse(text)?;
        if volume.is_monopoly() && volume.size == 0 {
            return Err(VolumeError::Monopoly(text.to_owned()));
        }
        Ok(volume)
    }
}

impl Volume {
    /// Reads everything but the rule that a device of its own has a size, which a change of one need not have.
    fn parse(text: &str) -> Result<Self, VolumeError> {
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
        let mut flags: Vec<char> = parts.get(2).unwrap_or(&"").chars().collect();
        if flags.iter().any(|c| !matches!(c, 'r' | 'w' | 'm' | 'o')) {
            return Err(VolumeError::Flags(parts[2].to_owned()));
        }
        flags.sort_unstable();
        flags.dedup();
        let size = match parts.get(3) {
            None => 0,
            // The wire's numbers are signed: a larger one could not be given back.
            Some(text) => match text.parse::<i64>().ok().and_then(|size| u64::try_from(size).ok()) {
                Some(size) => size,
                None => return Err(VolumeError::Size((*text).to_owned())),
            },
        };
        Ok(Self { source: parts[0].into(), target: parts[1].into(), flags: String::from_iter(flags), size })
    }
}

impl fmt::Display for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Sorted letters put `o` before `r` and `w`; people write `ro` and `wo`.
        let flags = match self.flags.split_once('o') {
            Some((before, "")) => format!("{before}o"),
            Some((before, after)) => format!("{before}{after}").replace('r', "ro").replace('w', "wo"),
            None => self.flags.clone(),
        };
        match (flags.is_empty(), self.size) {
            (true, 0) => write!(f, "{}:{}", self.source, self.target),
            (_, size) => write!(f, "{}:{}:{flags}:{size}", self.source, self.target),
        }
    }
}

impl From<Volume> for String {
    fn from(volume: Volume) -> Self {
        volume.to_string()
    }
}

impl TryFrom<String> for Volume {
    type Error = VolumeError;

    fn try_from(text: String) -> Result<Self, VolumeError> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_have_a_sign() {
        let delta: VolumeDelta = "AUTO:/data:rw:-20".parse().unwrap();
        assert_eq!((delta.volume.to_string().as_str(), delta.size), ("AUTO:/data:rw:0", -20));
        assert_eq!("AUTO:/data:rwm".parse::<VolumeDelta>().unwrap().size, 0);
        assert_eq!("/a:/b".parse::<VolumeDelta>().unwrap().volume.to_string(), "/a:/b");
        for bad in ["", "/a", "AUTO:/data:rw:x", "AUTO:/data:rw:99999999999999999999", "a:/b:r:1:2"] {
            assert!(bad.parse::<VolumeDelta>().is_err(), "{bad}");
        }
    }

    #[test]
    fn spelled_as_the_original_does() {
        for (text, want) in [
            ("/a:/b", "/a:/b"),
            ("/sys:/sys:ro", "/sys:/sys:ro:0"),
            ("/proc/:/hostProc/", "/proc/:/hostProc/"),
            ("AUTO:/data:rwm:100", "AUTO:/data:mrw:100"),
            ("/a:/b:rw:10", "/a:/b:rw:10"),
            ("AUTO:/b:om:5", "AUTO:/b:mo:5"),
        ] {
            let volume: Volume = text.parse().unwrap();
            assert_eq!(volume.to_string(), want);
            assert_eq!(want.parse::<Volume>().unwrap(), volume, "it reads what it writes");
        }
        for bad in [
            "",
            "/a",
            ":/b",
            "/a:b",
            "/a:/../b",
            "/a/..:/b",
            "/a:/b:x",
            "/a:/b:rw:1G",
            "/a:/b:rw:-1",
            "a:/b:r:1:2",
            "AUTO:/b:m",
        ] {
            assert!(bad.parse::<Volume>().is_err(), "{bad:?}");
        }
    }
}
