//! Which version of the engine's API is spoken.

use super::fault::Fault;
use serde::Deserialize;
use std::{fmt, str::FromStr};

/// A version of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ApiVersion {
    major: u32,
    minor: u32,
}

impl ApiVersion {
    /// The newest that this code was written for. Engines from 29 on refuse anything older.
    pub(super) const OURS: Self = Self { major: 1, minor: 44 };
    /// The oldest with all that is used here (Docker 17.12): before, a working folder of a command inside was ignored without a
    /// word, and a wait told nothing until its end.
    pub(super) const OLDEST: Self = Self { major: 1, minor: 35 };
}

/// What `/version` says of it.
#[derive(Debug, Deserialize)]
pub(super) struct ServerVersion {
    #[serde(rename = "ApiVersion", default)]
    pub(super) newest: String,
    #[serde(rename = "MinAPIVersion", default)]
    pub(super) oldest: String,
}

impl ServerVersion {
    /// The newest version that both know.
    pub(super) fn agree(&self) -> Result<ApiVersion, Fault> {
        let newest: ApiVersion =
            self.newest.parse().map_err(|()| Fault::Nonsense(format!("API version {:?}", self.newest)))?;
        // An engine that names no minimum has none.
        let oldest = self.oldest.parse().unwrap_or(ApiVersion { major: 0, minor: 0 });
        let (ours, ours_oldest) = (ApiVersion::OURS, ApiVersion::OLDEST);
        if newest < ours_oldest || oldest > ours {
            return Err(Fault::Version(format!(
                "it speaks API versions {oldest} to {newest}, and we {ours_oldest} to {ours}"
            )));
        }
        Ok(newest.min(ours))
    }
}

impl FromStr for ApiVersion {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.split_once('.').ok_or(())?;
        Ok(Self { major: major.parse().map_err(drop)?, minor: minor.parse().map_err(drop)? })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_that_both_know() {
        let agree = |newest: &str, oldest: &str| {
            ServerVersion { newest: newest.into(), oldest: oldest.into() }
                .agree()
                .map(|v| v.to_string())
                .map_err(|e| e.to_string())
        };
        assert_eq!(agree("1.41", "1.12").unwrap(), "1.41");
        assert_eq!(agree("1.53", "1.44").unwrap(), "1.44");
        assert_eq!(agree("1.35", "").unwrap(), "1.35");
        assert!(agree("1.60", "1.50").unwrap_err().contains("1.50 to 1.60, and we 1.35 to 1.44"));
        assert!(agree("1.34", "1.12").unwrap_err().contains("1.12 to 1.34"));
        for bad in ["", "x", "1", "1.x", "1.-1"] {
            assert!(agree(bad, "").unwrap_err().contains("nonsense"), "{bad}");
        }
    }
}
