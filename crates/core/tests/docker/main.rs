//! Core and Docker engines: the machine's own where there is one, and engines that are none.
#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod keys;
mod nonsense;
mod replace;
mod scene;
#[path = "../support/mod.rs"]
mod support;
