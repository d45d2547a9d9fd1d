//! Exit codes.

use tonic::Code;

/// How the command line ends. The numbers are part of its interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Everything went well.
    Good = 0,
    /// Some item failed, or something that has no number of its own.
    Failed = 1,
    /// The command line or an input is wrong; nothing was done.
    Usage = 2,
    /// Core does not know the caller, or does not let it.
    Denied = 3,
    /// What was asked for is not there, or what was to be made is.
    Missing = 4,
    /// The state of things does not allow it.
    Precondition = 5,
    /// Not enough resources, or a limit is reached.
    Exhausted = 6,
    /// Core (or the controller, or the store behind it) cannot be reached.
    Unreachable = 8,
    /// It took too long.
    Timeout = 9,
    /// A fault of core.
    Fault = 70,
    /// `exec` and `lambda`: not the command failed, but what is around it.
    NotTheCommand = 125,
    /// Ctrl-C.
    Interrupted = 130,
}

impl Exit {
    /// The exit code for a refused call.
    pub fn of(code: Code) -> Self {
        match code {
            Code::Ok => Self::Good,
            Code::InvalidArgument | Code::OutOfRange => Self::Usage,
            Code::Unauthenticated | Code::PermissionDenied => Self::Denied,
            Code::NotFound | Code::AlreadyExists => Self::Missing,
            Code::FailedPrecondition | Code::Aborted => Self::Precondition,
            Code::ResourceExhausted => Self::Exhausted,
            Code::Unavailable => Self::Unreachable,
            Code::DeadlineExceeded => Self::Timeout,
            Code::Internal | Code::DataLoss => Self::Fault,
            Code::Unimplemented | Code::Unknown | Code::Cancelled => Self::Failed,
        }
    }
}

/// The codes, for `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0    everything went well
  1    an item failed (the others were done), or an RPC that this core does not have
  2    wrong usage or invalid input; nothing was done
  3    core does not know or does not let the caller
  4    not found, or exists already
  5    the state of things does not allow it
  6    not enough resources, or a limit is reached
  8    core cannot be reached
  9    it took too long
  70   a fault of core
  125  workload exec, lambda: the command could not be run, or its end is unknown
  130  Ctrl-C
workload exec and lambda end with the exit code of the command itself.";

/// How the commands end that run one inside a workload, for their `--help`.
pub(crate) const HELP_OF_COMMAND: &str = "\
Exit codes:
  0-255  that of the command
  125    not the command failed: wrong usage, no such workload, core or engine trouble,
         or its end is unknown; the reason is on standard error
  130    Ctrl-C (when it does not go to the command)";
