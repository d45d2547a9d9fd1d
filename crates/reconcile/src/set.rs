//! What a set is to be.

use crate::Millis;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What a set is to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Set {
    /// Identity of the set; the owner of its instances.
    pub uid: String,
    /// Generation of what its instances are made of. A changed count or strategy does not raise it.
    pub generation: u64,
    /// The last generation that had all its instances healthy; 0 = none yet. While a rollout is stalled, missing
    /// instances are made of this one.
    #[serde(default)]
    pub stable_generation: u64,
    /// Instances wanted.
    pub count: u32,
    /// How it behaves.
    #[serde(default)]
    pub strategy: Strategy,
    /// Whether the runtime restarts its instances by itself; then an exit gets a short grace.
    #[serde(default)]
    pub engine_restarts: bool,
    /// Whether it is being removed.
    #[serde(default)]
    pub removing: bool,
    /// Whether creates of the newest generation keep failing without an answer that is final.
    #[serde(default)]
    pub in_doubt: bool,
}

/// How a set behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Strategy {
    /// How long a new instance must be healthy before the old one goes.
    pub min_healthy: Millis,
    /// How long a new instance may take to become healthy.
    pub healthy_deadline: Millis,
    /// How long an instance that was healthy may be unhealthy before it is replaced.
    pub unhealthy_after: Millis,
    /// How long the instances of a contested slot must be unchanged before one is removed.
    pub return_settle: Millis,
    /// Which instance of a contested slot is kept.
    pub keep: Policy,
}

impl Default for Strategy {
    fn default() -> Self {
        Self {
            min_healthy: Millis::seconds(10),
            healthy_deadline: Millis::seconds(300),
            unhealthy_after: Millis::seconds(10),
            return_settle: Millis::seconds(5),
            keep: Policy::Best,
        }
    }
}

/// Which of several live instances keeps a slot. Whatever the policy, a healthy one of the right generation wins over
/// one that is not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// The one that has run longest; of equals the newer epoch.
    #[default]
    Best,
    /// The one with the oldest epoch.
    Original,
    /// The one with the newest epoch.
    Replacement,
    /// The one that was started first; of equals the older epoch.
    Longest,
    /// The one that has been healthy longest; of equals the newer epoch.
    Healthiest,
}

impl Policy {
    /// Every policy by its name.
    pub const ALL: [(&'static str, Self); 5] = [
        ("best", Self::Best),
        ("original", Self::Original),
        ("replacement", Self::Replacement),
        ("longest", Self::Longest),
        ("healthiest", Self::Healthiest),
    ];
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, policy)| policy == self).map_or("best", |(name, _)| name);
        f.pad(name)
    }
}

/// The name is not one of a policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("keep must be best, original, replacement, longest or healthiest, got \"{}\"", eru_types::name::excerpt(.0))]
pub struct UnknownPolicy(pub String);

impl FromStr for Policy {
    type Err = UnknownPolicy;
    fn from_str(name: &str) -> Result<Self, UnknownPolicy> {
        Self::ALL.iter().find(|(n, _)| *n == name).map(|(_, p)| *p).ok_or_else(|| UnknownPolicy(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies_by_name() {
        for (name, policy) in Policy::ALL {
            assert_eq!(name.parse::<Policy>(), Ok(policy));
            assert_eq!(policy.to_string(), name);
            assert_eq!(serde_json::to_string(&policy).unwrap(), format!("\"{name}\""));
        }
        assert_eq!(
            "Best\n".parse::<Policy>().unwrap_err().to_string(),
            "keep must be best, original, replacement, longest or healthiest, got \"Best\\n\""
        );
    }
}
