//! Nodes: registered, changed, removed.

mod add;
mod change;
mod engine;
mod parts;
mod remove;
mod set;

pub use add::{CORES_MAX, NewNode};
pub use change::{NodeChange, apply};
pub use parts::SHARE_MAX;

/// A whole number of bytes as people say it: in the largest unit that divides it.
pub(crate) fn bytes_text(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    match UNITS.iter().find(|(size, _)| bytes >= *size && bytes.is_multiple_of(*size)) {
        Some((size, unit)) => format!("{} {unit}", bytes / size),
        None => format!("{bytes} bytes"),
    }
}
