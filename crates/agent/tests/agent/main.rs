//! The agent from outside: a simulated engine on one side, a core that does as the test says on the other.

#![allow(clippy::unwrap_used)]

mod bench;
mod core;
mod engine;
mod health;
mod http;
mod life;
mod networks;
mod owner;
mod queue;
mod session;
