//! The front door: a core is built from options, runs until it is told to stop, and is joined.

mod accept;
mod auth;
mod core;
mod panic;
mod registration;
mod router;

pub use self::core::{BuildError, Core, CoreHandle};
