//! The engine's own restart policy.

use eru_types::name::excerpt;
use std::{fmt, str::FromStr, time::Duration};

/// When a runtime starts a workload again by itself after it ended without being asked to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Never.
    #[default]
    No,
    /// Whatever its exit code was.
    Always,
    /// When its exit code is not 0; at most that many times, `None` = without bound.
    OnFailure(Option<u32>),
}

/// The policy's text is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("restart must be no, always, unless-stopped, on-failure or on-failure:N, got \"{}\"", excerpt(.0))]
pub struct RestartError(String);

impl RestartPolicy {
    /// The wait before the first restart.
    pub const BACKOFF_MIN: Duration = Duration::from_millis(100);
    /// The longest wait.
    pub const BACKOFF_MAX: Duration = Duration::from_secs(10);
    /// A run of at least this long sets the wait back to the first.
    pub const HEALTHY_RUN: Duration = Duration::from_secs(10);

    /// Whether to start again after exit code `code`, having done so `restarts` times.
    pub fn restarts_after(self, code: i32, restarts: u32) -> bool {
        match self {
            Self::No => false,
            Self::Always => true,
            Self::OnFailure(max) => code != 0 && max.is_none_or(|max| restarts < max),
        }
    }

    /// The wait that follows `wait`.
    pub fn next_backoff(wait: Duration) -> Duration {
        (wait * 2).clamp(Self::BACKOFF_MIN, Self::BACKOFF_MAX)
    }
}

impl FromStr for RestartPolicy {
    type Err = RestartError;
    fn from_str(text: &str) -> Result<Self, RestartError> {
        match text {
            "" | "no" => Ok(Self::No),
            // A stopped workload stays stopped here under either name, as the stop is remembered on disk.
            "always" | "unless-stopped" => Ok(Self::Always),
            "on-failure" => Ok(Self::OnFailure(None)),
            _ => text
                .strip_prefix("on-failure:")
                .and_then(|n| n.parse().ok())
                .map(|n| Self::OnFailure(Some(n)))
                .ok_or_else(|| RestartError(text.to_owned())),
        }
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("no"),
            Self::Always => f.write_str("always"),
            Self::OnFailure(None) => f.write_str("on-failure"),
            Self::OnFailure(Some(n)) => write!(f, "on-failure:{n}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_parse_and_decide() {
        for text in ["no", "always", "on-failure", "on-failure:3"] {
            assert_eq!(text.parse::<RestartPolicy>().unwrap().to_string(), text);
        }
        assert_eq!("".parse(), Ok(RestartPolicy::No));
        assert_eq!("unless-stopped".parse(), Ok(RestartPolicy::Always));
        for bad in ["yes", "on-failure:", "on-failure:-1", "on-failure:x", "Always", "on-failure:99999999999"] {
            assert!(bad.parse::<RestartPolicy>().is_err(), "{bad}");
        }
        let twice = RestartPolicy::OnFailure(Some(2));
        assert!(twice.restarts_after(1, 1) && !twice.restarts_after(1, 2) && !twice.restarts_after(0, 0));
        assert!(RestartPolicy::Always.restarts_after(0, 1_000));
        assert_eq!(RestartPolicy::next_backoff(Duration::from_secs(9)), RestartPolicy::BACKOFF_MAX);
    }
}
