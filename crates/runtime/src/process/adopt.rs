//! Taking over what another process left.

use super::files::{self, EXIT, Exit, RUN, Run, SHIM_LOCK};
use crate::clock::now_ms;
use eru_types::ExitStatus;
use std::{io, path::Path};

/// The exit code of a run that nobody saw the end of.
pub(super) const CODE_UNKNOWN: i32 = -1;

/// Writes the exit record of a run whose shim and command are both gone. Answers false when a shim is in charge after all.
pub(super) fn conclude(folder: &Path) -> io::Result<bool> {
    let Some(_lock) = files::try_lock(&folder.join(SHIM_LOCK))? else { return Ok(false) };
    let Some(run) = files::read::<Run>(&folder.join(RUN))? else { return Ok(true) };
    let last: Option<Exit> = files::read(&folder.join(EXIT))?;
    match last {
        // Between two runs of a restart policy: there will be no other.
        Some(exit) if exit.run >= run.run && exit.finished => {}
        Some(exit) if exit.run >= run.run => {
            files::write_durably(&folder.join(EXIT), &Exit { finished: true, ..exit })?;
        }
        _ if run.child.is_alive() => return Ok(false),
        _ => files::write_durably(&folder.join(EXIT), &unknown_exit(&run))?,
    }
    Ok(true)
}

/// The exit record of a run that nobody saw the end of.
pub(super) fn unknown_exit(run: &Run) -> Exit {
    let status = ExitStatus { code: CODE_UNKNOWN, signal: 0, oom_killed: false, at_ms: now_ms() };
    Exit {
        run: run.run,
        status,
        executed: run.executed,
        reason: reason_unknown(run).to_owned(),
        started_at_ms: run.started_at_ms,
        restarts: run.restarts,
        finished: true,
        retry_at_ms: 0,
    }
}

fn reason_unknown(run: &Run) -> &'static str {
    if run.child.is_of_another_boot() {
        "the machine was restarted; the exit code is not known"
    } else if run.executed {
        "its shim was killed; the exit code is not known"
    } else {
        "its shim was killed before the command was executed"
    }
}
