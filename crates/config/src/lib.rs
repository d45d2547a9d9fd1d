//! What Eru reads from files: configuration and app specs, as YAML with positions.
//!
//! - [`yaml`]: text to a tree that knows where each value stands, with limits on everything.
//! - [`read`]: a tree to typed values; collects every problem of an input, and finds misspelt keys.
//! - [`CoreConfig`], [`AgentConfig`]: the configuration of the daemons, layered file, environment, flags.
//! - [`spec`]: the app spec.
//!
//! # Invariants
//! - An input is refused with all its problems at once, each with file, line and column (or the name of the variable
//!   or flag it came from).
//! - A secret is never printed: not by `Debug`, not in an error.
//! - No input costs more than its limits allow: 1 MiB of text, 32 levels, 10 000 values after aliases.

pub mod agent;
pub mod core;
pub mod layer;
pub mod problem;
pub mod read;
pub mod spec;
pub mod value;
pub mod yaml;

pub use agent::AgentConfig;
pub use core::{CoreConfig, StoreKind};
pub use layer::{Loaded, Setting};
pub use problem::{InputError, Origin, Problem};
pub use value::{BindAddress, ByteSize, GoDuration, ListOrScalar, LogLevel, Secret};
