//! One per node: watches the runtime, checks health, reports how workloads are, and keeps the node's lease.
//!
//! | room | does |
//! | --- | --- |
//! | `observe` | subscribes, lists, lists again after every break; one worker per workload |
//! | `worker` | the only one who speaks for a workload: looks, probes, reports, in order |
//! | [`health`] | the probes and when they are due |
//! | [`report`] | what core does not know yet: newest per workload, until acknowledged |
//! | `session` | registers, beats, leaves |
//! | [`vitals`], `http` | how the agent itself is, and who may ask |
//! | `socket` | whether an agent in a container still has its engine |
//!
//! # Invariants
//! - An event is a hint to look; what is reported was inspected.
//! - A probe that began before a death cannot report after it: worker and probe are one task.
//! - Nothing is forgotten because core was away: a report waits until it is acknowledged, and after a silence of core
//!   everything is reported again.

mod agent;
mod clock;
pub mod health;
mod http;
mod mailbox;
mod observe;
mod options;
pub mod report;
mod session;
mod socket;
mod subject;
pub mod vitals;
mod worker;

pub use agent::{Agent, Error, Handle};
pub use options::AgentOptions;
pub use socket::EngineSocket;
