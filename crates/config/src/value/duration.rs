//! Durations in Go's notation.

use crate::read::{At, Read};
use eru_types::name::excerpt;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// The longest duration: a hundred years, so that deadlines computed from it never overflow.
const SECONDS_MAX: f64 = 100.0 * 365.0 * 86_400.0;

/// A duration as Go writes it: `5s`, `1m30s`, `250ms`, `1.5h`. A bare whole number is seconds.
///
/// The original's loader takes a bare number for nanoseconds, which nobody means.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct GoDuration(pub Duration);

/// Why a duration was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a duration, got \"{}\" (as 5s, 1m30s, 250ms; a bare number is seconds)", excerpt(.0))]
pub struct DurationError(String);

impl FromStr for GoDuration {
    type Err = DurationError;

    fn from_str(text: &str) -> Result<Self, DurationError> {
        let error = || DurationError(text.to_owned());
        let seconds = seconds(text.trim()).ok_or_else(error)?;
        if !(0.0..=SECONDS_MAX).contains(&seconds) {
            return Err(error());
        }
        Ok(Self(Duration::from_nanos((seconds * 1e9).round() as u64)))
    }
}

fn seconds(text: &str) -> Option<f64> {
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return text.parse().ok();
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    let mut sum = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        rest = &rest[digits..];
        let unit = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        sum += number
            * match &rest[..unit] {
                "h" => 3600.0,
                "m" => 60.0,
                "s" => 1.0,
                "ms" => 1e-3,
                "us" | "µs" | "μs" => 1e-6,
                "ns" => 1e-9,
                _ => return None,
            };
        rest = &rest[unit..];
    }
    (!text.is_empty()).then_some(sum)
}

impl fmt::Display for GoDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nanos = self.0.as_nanos();
        match () {
            () if nanos.is_multiple_of(1_000_000_000) => write!(f, "{}s", nanos / 1_000_000_000),
            () if nanos.is_multiple_of(1_000_000) => write!(f, "{}ms", nanos / 1_000_000),
            () => write!(f, "{nanos}ns"),
        }
    }
}

impl Read for GoDuration {
    fn read(at: At<'_>) -> Option<Self> {
        at.parse()
    }
}

impl Read for Duration {
    fn read(at: At<'_>) -> Option<Self> {
        GoDuration::read(at).map(|d| d.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation() {
        for (text, ms) in [
            ("5s", 5000),
            ("1m30s", 90_000),
            ("250ms", 250),
            ("1.5h", 5_400_000),
            ("15", 15_000),
            ("0", 0),
            ("0s", 0),
            ("1h0m0s", 3_600_000),
        ] {
            assert_eq!(text.parse::<GoDuration>().unwrap().0, Duration::from_millis(ms), "{text}");
        }
        for bad in ["", "s", "-5s", "5x", "1.2.3s", "1e3s", "NaN", "5 s", "99999999999999h", "5s5"] {
            assert!(bad.parse::<GoDuration>().is_err(), "{bad:?}");
        }
        assert_eq!(GoDuration(Duration::from_millis(90_000)).to_string(), "90s");
        assert_eq!(GoDuration(Duration::from_millis(1_500)).to_string(), "1500ms");
    }
}
