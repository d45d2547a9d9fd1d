//! The messages and services of `proto/`, generated, and what turns them into JSON and into our own types.
//!
//! - [`pb`] is the public API, `service CoreRPC`.
//! - [`agent`] is what our agents and core say to each other beyond it.
//! - [`controller`] is ReplicaSets.
//!
//! Maps are ordered and `bytes` are [`bytes::Bytes`], so that equal messages print and encode equally and payloads are
//! shared instead of copied.

mod generated;
pub mod json;

pub use generated::{FILE_DESCRIPTOR_SET, agent, controller, pb};
