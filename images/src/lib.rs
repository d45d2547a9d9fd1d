//! The container images of Eru, built `FROM scratch` out of the one static binary. No registry is asked.
//!
//! # Invariants
//! - What is there and made of the same binary is not built again: a second call costs one question to the engine.
//! - The files are in the image with the modes and the time that are written here, so the same binary makes the same layer.

mod build;
mod for_tests;
mod rootfs;
mod state;

pub use build::{Made, Order, busybox, products};
pub use for_tests::TestImages;
