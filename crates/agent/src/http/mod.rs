//! What the agent tells over HTTP: `/healthz`, `/version`, `/metrics`.
//!
//! # Invariants
//! - Nothing that is asked here reaches core or the runtime: what is told is known already.
//! - Whoever is slow or many costs a bounded number of connections, and is closed before anybody else has to wait.

mod answer;
mod metrics;
mod serve;

pub(crate) use answer::Pages;
pub(crate) use serve::serve;
