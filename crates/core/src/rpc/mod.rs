//! The public API: handlers convert, call, convert. One noun a file; [`service`] lists all methods.
//!
//! # Invariants
//! - A request that is all defaults, or whose fields are anything that protobuf can carry, gets an answer.
//! - A unary read shows everything that was acknowledged, by any core, before it came.
//! - A stream ends with the client, or with a status that says why.

mod agent;
mod check;
mod control;
mod copy;
mod error;
mod exec;
mod framing;
mod images;
mod info;
mod lambda;
mod list;
mod logs;
mod networks;
mod node;
mod node_status;
mod node_wire;
mod output;
mod placing;
mod pod;
mod replace;
mod resource;
mod send;
mod service;
mod streams;
mod typed;
mod unimplemented;
mod workload;
mod workload_status;

pub use agent::AgentService;
pub use service::CoreService;
