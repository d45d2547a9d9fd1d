//! The engine's restart policy, as specs spell it.

use crate::name::excerpt;
use std::fmt;
use std::str::FromStr;

/// When an engine starts a workload again by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartPolicy {
    /// Never.
    No,
    /// Always.
    Always,
    /// When it fails, so often at most; 0 is without bound.
    OnFailure(u32),
    /// Unless it was stopped by request.
    UnlessStopped,
}

/// Why a policy was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{}\" is not one of no, always, on-failure[:N], unless-stopped", excerpt(.0))]
pub struct RestartError(String);

impl FromStr for RestartPolicy {
    type Err = RestartError;

    fn from_str(text: &str) -> Result<Self, RestartError> {
        let error = || RestartError(text.to_owned());
        match text {
            "no" | "false" => Ok(Self::No),
            "always" => Ok(Self::Always),
            "on-failure" => Ok(Self::OnFailure(0)),
            "unless-stopped" => Ok(Self::UnlessStopped),
            _ => {
                let times = text.strip_prefix("on-failure:").ok_or_else(error)?;
                let digits = times.bytes().all(|b| b.is_ascii_digit());
                times.parse().ok().filter(|_| digits).map(Self::OnFailure).ok_or_else(error)
            }
        }
    }
}

impl fmt::Display for RestartPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("no"),
            Self::Always => f.write_str("always"),
            Self::OnFailure(0) => f.write_str("on-failure"),
            Self::OnFailure(times) => write!(f, "on-failure:{times}"),
            Self::UnlessStopped => f.write_str("unless-stopped"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation() {
        for ok in ["no", "always", "on-failure", "on-failure:3", "unless-stopped"] {
            assert_eq!(ok.parse::<RestartPolicy>().unwrap().to_string(), ok);
        }
        for bad in ["", "allways", "on-failure:-1", "on-failure:", "on-failure:+3", "Always", "on-failure:99999999999"]
        {
            assert!(bad.parse::<RestartPolicy>().is_err(), "{bad:?}");
        }
        assert_eq!(
            "allways".parse::<RestartPolicy>().unwrap_err().to_string(),
            "\"allways\" is not one of no, always, on-failure[:N], unless-stopped"
        );
    }
}
