//! `eru agent` as a process: its options, its file, its signals. Core is scripted, the engine simulated and empty; with Docker
//! it is tried in `tests/e2e`.

#![allow(clippy::unwrap_used)]

#[path = "../../../agent/tests/agent/core.rs"]
#[allow(dead_code)]
mod core;
mod input;
mod life;
mod program;
