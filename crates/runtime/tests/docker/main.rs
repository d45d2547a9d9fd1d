//! Docker passes the suite, and does what only it is asked for. Needs a daemon at its usual socket: where none answers every
//! test says that it is skipped, or fails when `ERU_REQUIRE_DOCKER` is set.

mod daemon;
mod mapping;
mod output;
mod suite;
