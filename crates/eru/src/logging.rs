//! Where our own log goes.

use std::{fs::OpenOptions, io::IsTerminal, path::Path, sync::Mutex};
use tracing_subscriber::{EnvFilter, fmt};

/// Which lines are wanted when `ERU_LOG` does not say: ours from INFO on, those of libraries from WARN on.
const FILTER: &str =
    "warn,eru=info,eru_core=info,eru_agent=info,eru_controller=info,eru_client=info,eru_kv=info,eru_runtime=info";

fn filter(level: Option<&str>) -> EnvFilter {
    match level {
        Some(level) => EnvFilter::new(FILTER.replace("info", level)),
        None => EnvFilter::try_from_env("ERU_LOG").unwrap_or_else(|_| EnvFilter::new(FILTER)),
    }
}

/// Logs to standard error. `level` overrides `ERU_LOG`.
pub fn to_stderr(level: Option<&str>) {
    let colour = std::io::stderr().is_terminal();
    fmt().with_env_filter(filter(level)).with_writer(std::io::stderr).with_ansi(colour).with_target(false).init();
}

/// Logs to the end of a file, so that the terminal stays free for the table.
///
/// # Errors
/// When the file cannot be opened.
pub fn to_file(path: &Path) -> std::io::Result<()> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    fmt().with_env_filter(filter(None)).with_writer(Mutex::new(file)).with_ansi(false).with_target(false).init();
    Ok(())
}
