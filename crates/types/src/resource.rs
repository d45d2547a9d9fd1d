//! Quantities of resources. Integers, so that sums over placements are exact.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Why a quantity was refused.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ResourceError {
    /// Not a finite number within the bounds.
    #[error("{field} must be 0 to 4096 cores, got {value}")]
    Cpu {
        /// The field of the request.
        field: &'static str,
        /// The refused value.
        value: f64,
    },
    /// A request or limit below zero; the text begins as the original's.
    #[error("limit or request less than 0: bad `{kind}` value: {value}")]
    Negative {
        /// `Memory`, `CPU` or `Storage`.
        kind: &'static str,
        /// The refused value.
        value: String,
    },
}

/// Processor time in millionths of a core.
///
/// # Units
/// `CpuQuota(1_000_000)` is one core. The wire carries cores as a double; six decimals are kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CpuQuota(pub u64);

impl CpuQuota {
    /// The most cores that one number may ask for.
    pub const CORES_MAX: f64 = 4096.0;

    /// Takes a number of cores from the wire.
    ///
    /// # Errors
    /// [`ResourceError`] for NaN, infinities, negatives and more than 4096.
    pub fn from_cores(field: &'static str, cores: f64) -> Result<Self, ResourceError> {
        if cores < 0.0 {
            return Err(ResourceError::Negative { kind: "CPU", value: cores.to_string() });
        }
        if !cores.is_finite() || cores > Self::CORES_MAX {
            return Err(ResourceError::Cpu { field, value: cores });
        }
        // None at all would mean no limit: the least is asked for.
        Ok(Self(((cores * 1e6).round() as u64).max(u64::from(cores > 0.0))))
    }

    /// The number of cores as the wire carries it.
    pub fn cores(self) -> f64 {
        self.0 as f64 / 1e6
    }
}

impl fmt::Display for CpuQuota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000)
    }
}

/// A number of bytes, never negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MemoryBytes(pub u64);

impl MemoryBytes {
    /// Takes a signed number from the wire; `kind` is the word of the original's error text.
    ///
    /// # Errors
    /// [`ResourceError::Negative`].
    pub fn from_wire(kind: &'static str, value: i64) -> Result<Self, ResourceError> {
        u64::try_from(value).map(Self).map_err(|_| ResourceError::Negative { kind, value: value.to_string() })
    }

    /// The number as the wire carries it; what does not fit is the largest that does.
    pub fn wire(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }
}

impl fmt::Display for MemoryBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What one workload asks of a node, after normalisation: `request` is taken from the node, `limit` is what the runtime
/// enforces. 0 is "unlimited": nothing is deducted, nothing enforced.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Processor time that the node gives away.
    pub cpu_request: CpuQuota,
    /// Processor time that the workload may use.
    pub cpu_limit: CpuQuota,
    /// Memory that the node gives away.
    pub memory_request: MemoryBytes,
    /// Memory that the workload may use.
    pub memory_limit: MemoryBytes,
    /// Storage that the node gives away.
    #[serde(default)]
    pub storage_request: MemoryBytes,
    /// Storage that the workload may use.
    #[serde(default)]
    pub storage_limit: MemoryBytes,
}

impl Resources {
    /// Applies the rules between request and limit: a missing request takes the limit's value, and a limit below its
    /// request is raised to it.
    #[must_use]
    pub fn normalised(self) -> Self {
        fn pair<T: Copy + Ord + Default>(request: T, limit: T) -> (T, T) {
            let zero = T::default();
            match (request == zero, limit == zero) {
                (true, _) => (limit, limit),
                (false, true) => (request, limit),
                (false, false) => (request, limit.max(request)),
            }
        }
        let (cpu_request, cpu_limit) = pair(self.cpu_request, self.cpu_limit);
        let (memory_request, memory_limit) = pair(self.memory_request, self.memory_limit);
        let (storage_request, storage_limit) = pair(self.storage_request, self.storage_limit);
        Self { cpu_request, cpu_limit, memory_request, memory_limit, storage_request, storage_limit }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cores_from_the_wire() {
        for (cores, text) in [(0.0, "0.000000"), (1.0, "1.000000"), (0.2, "0.200000"), (1.3, "1.300000")] {
            assert_eq!(CpuQuota::from_cores("cpu", cores).unwrap().to_string(), text);
        }
        for bad in [-1.0, -0.001, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e308, 4097.0] {
            assert!(CpuQuota::from_cores("cpu", bad).is_err(), "{bad}");
        }
        assert_eq!(CpuQuota::from_cores("cpu", -0.0), Ok(CpuQuota(0)));
        assert_eq!(CpuQuota::from_cores("cpu", 1e-300), Ok(CpuQuota(1)), "next to nothing is not unlimited");
    }

    #[test]
    fn requests_and_limits_are_paired() {
        let r = |req, lim| Resources {
            memory_request: MemoryBytes(req),
            memory_limit: MemoryBytes(lim),
            ..Resources::default()
        };
        for (given, want) in [((0, 5), (5, 5)), ((5, 0), (5, 0)), ((3, 5), (3, 5)), ((7, 5), (7, 7)), ((0, 0), (0, 0))]
        {
            let got = r(given.0, given.1).normalised();
            assert_eq!((got.memory_request.0, got.memory_limit.0), want, "{given:?}");
        }
        assert_eq!(
            MemoryBytes::from_wire("Memory", -1).unwrap_err().to_string(),
            "limit or request less than 0: bad `Memory` value: -1"
        );
    }
}
