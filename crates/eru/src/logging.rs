//! Where our own log goes.

use std::{fs::OpenOptions, io::IsTerminal, path::Path, sync::Mutex};
use tracing_subscriber::{filter::Targets, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// Which lines are wanted when `ERU_LOG` does not say: ours from INFO on, those of libraries from WARN on.
const FILTER: &str =
    "warn,eru=info,eru_core=info,eru_agent=info,eru_controller=info,eru_client=info,eru_kv=info,eru_runtime=info";

/// `level` wins over `ERU_LOG`, which wins over the default. A value that is no filter is as good as none: the log is not
/// worth refusing to start.
fn filter(level: Option<&str>) -> Targets {
    let given = match level {
        Some(level) => Some(FILTER.replace("info", level)),
        None => std::env::var("ERU_LOG").ok(),
    };
    given.and_then(|text| text.parse().ok()).unwrap_or_else(|| FILTER.parse().expect("the default is a filter"))
}

/// Logs to standard error. `level` overrides `ERU_LOG`.
pub fn to_stderr(level: Option<&str>) {
    let colour = std::io::stderr().is_terminal();
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(colour).with_target(false);
    tracing_subscriber::registry().with(filter(level)).with(lines).init();
}

/// Logs to the end of a file, so that the terminal stays free for the table.
///
/// # Errors
/// When the file cannot be opened.
pub fn to_file(path: &Path) -> std::io::Result<()> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let lines = fmt::layer().with_writer(Mutex::new(file)).with_ansi(false).with_target(false);
    tracing_subscriber::registry().with(filter(None)).with(lines).init();
    Ok(())
}
