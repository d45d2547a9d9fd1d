//! What this disk's own fdatasync costs: it stands beside every figure of the store.

use crate::Percentiles;
use anyhow::Result;
use std::{fs::File, io::Write, path::Path, time::Instant};

/// Appends 4 KiB and syncs, `rounds` times, in `folder`.
///
/// # Errors
/// Of the file system.
pub fn fdatasync(folder: &Path, rounds: usize) -> Result<Percentiles> {
    let path = folder.join("fdatasync.probe");
    let mut file = File::create(&path)?;
    let block = [7_u8; 4096];
    let mut samples = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let begin = Instant::now();
        file.write_all(&block)?;
        file.sync_data()?;
        samples.push(begin.elapsed());
    }
    std::fs::remove_file(&path)?;
    Ok(Percentiles::new(samples))
}
