//! The Docker runtime against a daemon that we script: one that hangs, is late, answers nonsense, cuts what it began, speaks
//! other versions, or is not who it says.

#![allow(clippy::unwrap_used, reason = "a test may end so")]

mod faults;
mod life;
mod scripted;
mod streams;
mod tls;
