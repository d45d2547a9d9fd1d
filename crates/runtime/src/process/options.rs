//! What a runtime of plain commands is opened with.

use std::{ffi::OsString, path::PathBuf};

/// The size that the output of one workload may take, in bytes, unless said otherwise.
const LOG_BYTES_MAX_DEFAULT: u64 = 10 << 20;

/// How the shim is executed: by this program, with these arguments before its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShimCommand {
    /// The program; an absolute path.
    pub program: PathBuf,
    /// Its first arguments.
    pub args: Vec<OsString>,
}

/// Options of [`super::Process::open`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessOptions {
    /// Where everything is kept. Made when missing; one runtime at a time may have it open.
    pub folder: PathBuf,
    /// The shim.
    pub shim: ShimCommand,
    /// A folder that is put before the `PATH` of the commands.
    pub path_prefix: Option<PathBuf>,
    /// The size that the output of one workload may take, in bytes.
    pub log_bytes_max: u64,
}

impl ProcessOptions {
    /// Nothing before `PATH`, 10 MiB of output a workload.
    pub fn new(folder: impl Into<PathBuf>, shim: ShimCommand) -> Self {
        Self { folder: folder.into(), shim, path_prefix: None, log_bytes_max: LOG_BYTES_MAX_DEFAULT }
    }
}
