//! Plain commands of this machine.
//!
//! Each workload has a folder, and while it runs a parent that outlives us: the *shim*, the program itself executed again
//! in a session of its own, with one thread. The shim owns the command's process group, its output and its exit record. We
//! only write the folder, execute the shim, and watch both; what is known is always what the folder says.
//!
//! | file | who writes it | what it says |
//! | --- | --- | --- |
//! | `spec.json` | `create`, once | the request, the address, the environment |
//! | `shim.lock` | nobody; its lock is held by the shim in charge | that there is one, and only one |
//! | `shim.json` | the shim | which process it is |
//! | `run.json` | the command before it is executed, then the shim | which process runs, the how-manieth run it is |
//! | `exit.json` | the shim, synced before it is shown | how that run ended, and whether another follows |
//! | `out`, `err`, `control` | pipes with a name | output of the command; wishes to the shim |
//! | `log`, `log.1` | the shim | the output, bounded in size |
//!
//! # Which deaths are survived
//! - *Ours*: nobody notices. Opening the folder again finds everything, exit codes included.
//! - *The shim's*: the command holds its own output pipes open at both ends, so it gets no SIGPIPE; it only waits if it
//!   prints more than the pipe takes. Whoever watches the folder executes another shim, which adopts the command by its
//!   identity (boot id, pid, start time). Its exit code may then be unknown: -1, with a reason.
//! - *The command's*: an exit record. What is left of its process group, and whatever else descends from it, is killed:
//!   the end of the main process is the end of the workload.
//!
//! # Invariants
//! - A command is executed only after the file that identifies it was written, so none can run unknown.
//! - Nothing is signalled that was not identified.
//! - No isolation: limits are not enforced, `privileged` means nothing, the user is ours unless we are root.

mod address;
mod adopt;
mod control;
mod create;
mod entry;
mod exit_of;
mod files;
mod identity;
mod log;
mod open;
mod options;
mod output;
mod ready;
mod runtime;
pub mod shim;
mod supervise;
mod user;
mod watch;

pub use open::Process;
pub use options::{ProcessOptions, ShimCommand};
