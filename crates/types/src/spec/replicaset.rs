//! The section of a spec that says how much of an app is wanted.

use super::EnvVar;
use crate::name::SetName;
use crate::{CpuQuota, EntrypointName, Labels, MemoryBytes, PodName};
use std::net::IpAddr;
use std::time::Duration;

/// How much of an app is wanted, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaSetSection {
    /// Name of the set; `<app>-<entrypoint>` when there is none.
    pub name: Option<SetName>,
    /// Instances wanted.
    pub count: u32,
    /// Where they are deployed; left to the one who applies it when there is none.
    pub pod: Option<PodName>,
    /// What of the app runs. It is an entrypoint of the spec.
    pub entrypoint: EntrypointName,
    /// Image that they run; empty for plain commands.
    pub image: String,
    /// What each instance is given.
    pub resources: SetResources,
    /// Their environment.
    pub env: Vec<EnvVar>,
    /// The network they join; the engine's default when there is none.
    pub network: Option<NetworkChoice>,
    /// Labels that their nodes must all have.
    pub nodelabels: Labels,
    /// How the set behaves.
    pub strategy: StrategySection,
}

/// What one instance is given. 0 is without bound, and nothing is set aside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SetResources {
    /// Processor time.
    pub cpu: CpuQuota,
    /// Memory.
    pub memory: MemoryBytes,
    /// Storage.
    pub storage: MemoryBytes,
}

/// A network and, if one is wanted, the address in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkChoice {
    /// Name of the network.
    pub name: String,
    /// The wanted address.
    pub address: Option<IpAddr>,
}

impl std::str::FromStr for NetworkChoice {
    type Err = String;

    /// `name` or `name=address`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, address) = match text.split_once('=') {
            None => (text, None),
            Some((name, address)) => {
                let quoted = crate::name::excerpt(address);
                let address = address.parse().map_err(|_| format!("not an IP address, got \"{quoted}\""))?;
                (name, Some(address))
            }
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/');
        if name.is_empty() || name.len() > 128 || !name.chars().all(plain) {
            return Err(format!("expected NAME or NAME=ADDRESS, got \"{}\"", crate::name::excerpt(text)));
        }
        Ok(Self { name: name.to_owned(), address })
    }
}

/// How a set behaves. What is not given is for the controller to choose.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StrategySection {
    /// How long a new instance must be healthy before the old one goes.
    pub min_healthy: Option<Duration>,
    /// How long a new instance may take to become healthy.
    pub healthy_deadline: Option<Duration>,
    /// How long an instance that was healthy may be unhealthy before it is replaced.
    pub unhealthy_after: Option<Duration>,
    /// How long a returned instance must be steady before the surplus is removed.
    pub return_settle: Option<Duration>,
    /// Which instance of a surplus is kept.
    pub keep: Option<Keep>,
}

/// Which instance of a surplus is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// The one that has run longest; of equals the newest.
    Best,
    /// The first.
    Original,
    /// The newest.
    Replacement,
    /// The one that was started first.
    Longest,
    /// The one that has been healthy longest.
    Healthiest,
}

impl Keep {
    /// Every choice.
    pub const ALL: [Self; 5] = [Self::Best, Self::Original, Self::Replacement, Self::Longest, Self::Healthiest];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Best => "best",
            Self::Original => "original",
            Self::Replacement => "replacement",
            Self::Longest => "longest",
            Self::Healthiest => "healthiest",
        }
    }
}

impl std::str::FromStr for Keep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|keep| keep.as_str() == text).ok_or_else(|| {
            let quoted = crate::name::excerpt(text);
            format!("must be best, original, replacement, longest or healthiest, got \"{quoted}\"")
        })
    }
}
