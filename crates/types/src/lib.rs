//! The nouns of Eru: names, labels, resources, status, the app spec and its limits.
//!
//! Everything here is parsed, not validated: a value of one of these types is already right, and its constructor is
//! the only place that checks it. No IO, no clock, no async.
//!
//! # Invariants
//! - No type here can hold a name that would escape a store key, a file name or a label.
//! - Money-like quantities (memory, processor time) are integers; sums cannot drift.

pub mod allotment;
pub mod build;
pub mod demand;
pub mod health;
pub mod labels;
pub mod limits;
pub mod meta;
pub mod name;
pub mod resource;
pub mod spec;
pub mod status;
pub mod volume;

pub use allotment::Allotment;
pub use build::Build;
pub use demand::{Demand, DemandError};
pub use health::HealthCheck;
pub use labels::Labels;
pub use name::{AppName, EngineId, EntrypointName, Ident, NameError, NodeName, PodName, WorkloadName};
pub use resource::{CpuQuota, MemoryBytes, ResourceError, Resources};
pub use status::{ExitStatus, WorkloadStatus};
pub use volume::{Volume, VolumeError};
