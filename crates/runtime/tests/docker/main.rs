//! Docker passes the suite, and does what only it is asked for. Needs a daemon at its usual socket: where none answers every
//! test says that it is skipped, or fails when `ERU_REQUIRE_DOCKER` is set. A test that needs a daemon ends in `_on_docker`, here
//! and in other crates, so that it can be left out by its name.

#![allow(clippy::unwrap_used, reason = "a test may end so")]

mod daemon;
mod figures;
mod mapping;
mod output;
mod suite;
