//! Names of deploys, made by whoever asks for one.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

/// A fresh name of a deploy. 128 random bits: nobody meets another's by accident.
pub(crate) fn fresh() -> String {
    // The standard library seeds each of these from the system's randomness.
    let bits = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", bits(), bits())
}
