//! What a process costs, read from `/proc`.

use anyhow::{Context, Result};
use std::time::Duration;

/// Resident memory, in bytes.
///
/// # Errors
/// When there is no such process.
pub fn resident_bytes(pid: u32) -> Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").trim().parse()?;
    Ok(kib * 1024)
}

/// Resident memory of this process in bytes; its highest is counted anew from here on.
pub fn peak_bytes_from_now() -> u64 {
    // Only Linux knows it, and only with its leave; without it the highest is that of the whole run, which is more.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    own_status("VmRSS:")
}

/// The highest resident memory of this process in bytes; 0 where it is not told.
pub fn peak_bytes() -> u64 {
    own_status("VmHWM:")
}

fn own_status(field: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(field));
    line.and_then(|line| line.split_whitespace().next()).and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Processor time used so far, user and system.
///
/// # Errors
/// When there is no such process.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<&str> = text.rsplit_once(')').context("no name in stat")?.1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>()? + fields[12].parse::<u64>()?;
    let hz = rustix::param::clock_ticks_per_second();
    Ok(Duration::from_secs_f64(ticks as f64 / hz as f64))
}

/// Share of one core that the process used over `span`, in percent.
///
/// # Errors
/// When it ends meanwhile.
pub async fn cpu_percent(pid: u32, span: Duration) -> Result<f64> {
    let before = cpu_time(pid)?;
    let begin = std::time::Instant::now();
    tokio::time::sleep(span).await;
    Ok((cpu_time(pid)? - before).as_secs_f64() / begin.elapsed().as_secs_f64() * 100.0)
}

/// Bytes as MiB.
pub fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / (1 << 20) as f64)
}
