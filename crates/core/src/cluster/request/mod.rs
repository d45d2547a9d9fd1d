//! A deploy as it was asked for, with everything about it proven. Each file proves a part of it.

mod deploy;
mod entrypoint;
mod extras;
mod files;
mod resources;
mod spec;
#[cfg(test)]
mod tests;

pub(crate) use deploy::hex_digest;
pub use deploy::{DeployRequest, Spread};
pub(crate) use entrypoint::command_lines;
pub(crate) use files::{PATH_BYTES_MAX, files, is_absolute, path as file_path};

use super::{Error, Result};
use eru_types::limits::LIST_LEN_MAX;

fn check_len(field: &str, len: usize) -> Result<()> {
    if len > LIST_LEN_MAX {
        return Err(Error::Invalid(format!("{field}: {len} items (at most {LIST_LEN_MAX})")));
    }
    Ok(())
}
