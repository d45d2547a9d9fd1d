//! How much room there is. A full disk ends a build in the middle of linking, with a signal instead of a reason.

use anyhow::{Context, Result};
use std::path::Path;

/// What a clean clone builds without incremental state, and the tests write; with it, it is three times as much.
const WANTED_GIB: f64 = 6.0;
const GIB: f64 = (1u64 << 30) as f64;

/// Says what is free where the build goes, and the way out when it may not be enough. Never refuses: a warm target needs
/// almost nothing.
pub fn tell() -> Result<()> {
    let target = std::env::var("CARGO_TARGET_DIR").unwrap_or_else(|_| "target".into());
    let folder = if Path::new(&target).exists() { target.as_str() } else { "." };
    let free = free_gib(folder)?;
    eprintln!("── disk: {free:.1} GiB free");
    if free < WANTED_GIB {
        eprintln!(
            "── disk: a clean build and its tests take up to {WANTED_GIB:.0} GiB; `cargo clean`, CARGO_TARGET_DIR or CARGO_INCREMENTAL=0 help"
        );
    }
    Ok(())
}

fn free_gib(folder: &str) -> Result<f64> {
    let stat = rustix::fs::statvfs(folder).with_context(|| format!("cannot ask for the free space of {folder}"))?;
    Ok(stat.f_bavail as f64 * stat.f_frsize as f64 / GIB)
}
