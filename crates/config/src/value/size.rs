//! Sizes in bytes.

use crate::read::{At, Read};
use eru_types::name::excerpt;
use std::fmt;
use std::str::FromStr;

/// A number of bytes as Docker writes it: `512M`, `1.5GiB`, `64kb`, `1024`. Multiples are binary.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

/// Why a size was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a size, got \"{}\" (number + B, K, M, G, T, P; at most 8 EiB)", excerpt(.0))]
pub struct SizeError(String);

impl ByteSize {
    /// The largest: the wire carries sizes as signed 64-bit numbers.
    pub const MAX: ByteSize = ByteSize(i64::MAX as u64);

    /// The number as the wire carries it.
    pub fn wire(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }
}

impl FromStr for ByteSize {
    type Err = SizeError;

    fn from_str(text: &str) -> Result<Self, SizeError> {
        bytes(text.trim()).map(Self).ok_or_else(|| SizeError(text.to_owned()))
    }
}

fn bytes(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = unit.trim_start().to_ascii_lowercase();
    let mut letters = unit.chars();
    let shift = match letters.next() {
        None | Some('b') => 0,
        Some('k') => 10,
        Some('m') => 20,
        Some('g') => 30,
        Some('t') => 40,
        Some('p') => 50,
        Some(_) => return None,
    };
    if !matches!((shift, letters.as_str()), (_, "") | (10.., "b" | "ib")) {
        return None;
    }
    // Whole numbers go through integers, so that large ones stay exact.
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(1 << shift).filter(|bytes| *bytes <= ByteSize::MAX.0);
    }
    let value = number.parse::<f64>().ok()? * (1u64 << shift) as f64;
    (value.is_finite() && value < ByteSize::MAX.0 as f64).then_some(value as u64)
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (shift, unit) in [(50, "P"), (40, "T"), (30, "G"), (20, "M"), (10, "K")] {
            if self.0 > 0 && self.0.is_multiple_of(1 << shift) {
                return write!(f, "{}{unit}", self.0 >> shift);
            }
        }
        self.0.fmt(f)
    }
}

impl Read for ByteSize {
    fn read(at: At<'_>) -> Option<Self> {
        at.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation() {
        for (text, bytes) in [
            ("512M", 512 << 20),
            ("512m", 512 << 20),
            ("1.5G", 3 << 29),
            ("64kb", 64 << 10),
            ("64KiB", 64 << 10),
            ("10B", 10),
            ("0", 0),
            ("1 G", 1 << 30),
            ("9223372036854775807", i64::MAX as u64),
        ] {
            assert_eq!(text.parse::<ByteSize>().unwrap().0, bytes, "{text}");
        }
        for bad in ["", "M", "12Q", "-1G", "1.5.2G", "NaN", "9E9T", "inf", "1Gx", "1BB", "1ib", "8192P", "1e3"] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad:?}");
        }
        let error = "12Q".parse::<ByteSize>().unwrap_err();
        assert_eq!(error.to_string(), "not a size, got \"12Q\" (number + B, K, M, G, T, P; at most 8 EiB)");
        assert_eq!(ByteSize(512 << 20).to_string(), "512M");
        assert_eq!(ByteSize(1000).to_string(), "1000");
    }
}
