//! The parent of a workload: one thread, no runtime, no state but the folder's.
//!
//! `process-shim FOLDER start N` begins run `N` of the workload, or adopts the command that still runs; `process-shim FOLDER adopt`
//! only adopts. Either way a shim that finds another one in charge, or nothing left to do, ends without a word. It ends
//! with the number of the system's error when it could not do its work, because it has nobody to print to.

mod command;
mod process;
mod supervisor;

use super::{files, identity::Identity};
use std::{
    ffi::OsString,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// How long a shim waits for the one before it to be gone. That one ends by itself at most
/// [`process::REAP_MAX`] after its last record.
const LOCK_WAIT: Duration = Duration::from_secs(10);
const LOCK_LOOK_EVERY: Duration = Duration::from_millis(1);

/// What a shim is executed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Task {
    /// Begin this run.
    Start(u64),
    /// Take over what runs.
    Adopt,
}

impl Task {
    /// The arguments behind the folder.
    pub(super) fn to_args(self) -> Vec<OsString> {
        match self {
            Self::Start(run) => vec!["start".into(), run.to_string().into()],
            Self::Adopt => vec!["adopt".into()],
        }
    }

    fn parse(args: &[OsString]) -> Option<Self> {
        match args {
            [word] if word == "adopt" => Some(Self::Adopt),
            [word, run] if word == "start" => run.to_str()?.parse().ok().map(Self::Start),
            _ => None,
        }
    }
}

/// Runs the shim; `args` are those that follow [`super::ShimCommand::args`]. Call it before anything else in `main`: it
/// expects to be the only thread and to own every descriptor. Answers the exit code.
pub fn shim_main(args: &[OsString]) -> i32 {
    let task = args.split_first().and_then(|(folder, rest)| Some((PathBuf::from(folder), Task::parse(rest)?)));
    let Some((folder, task)) = task else {
        eprintln!("process-shim: wants FOLDER start N, or FOLDER adopt; it is executed by Eru, not by hand");
        return 2;
    };
    match run(&folder, task) {
        Ok(()) => 0,
        Err(error) => error.raw_os_error().unwrap_or(1),
    }
}

fn run(folder: &Path, task: Task) -> io::Result<()> {
    close_inherited();
    // It fails where the shim leads a session already, which is as good.
    let _ = rustix::process::setsid();
    let own = rustix::process::getpid();
    rustix::process::set_child_subreaper(Some(own))?;
    std::env::set_current_dir("/")?;
    let inode = fs::metadata(folder)?.ino();
    let Some(_lock) = lock(folder, task)? else { return Ok(()) };
    // The folder may have been removed while we waited for its lock.
    if fs::metadata(folder)?.ino() != inode {
        return Ok(());
    }
    files::write(&folder.join(files::SHIM), &Identity::own()?)?;
    supervisor::Supervisor::open(folder)?.run(task)
}

/// Kills all that is left of a run, without a shim. For when none can be executed.
pub(super) fn kill(run: files::Run) {
    if let Some(main) = process::Main::adopt(run) {
        main.kill_all();
    }
}

/// The lock of the shim in charge; `None` when there is one already.
fn lock(folder: &Path, task: Task) -> io::Result<Option<fs::File>> {
    let begun = Instant::now();
    loop {
        if let Some(lock) = files::try_lock(&folder.join(files::SHIM_LOCK))? {
            return Ok(Some(lock));
        }
        let run: Option<files::Run> = files::read(&folder.join(files::RUN))?;
        let is_done = matches!((task, run), (Task::Start(wanted), Some(run)) if run.run >= wanted);
        if is_done || begun.elapsed() > LOCK_WAIT {
            return Ok(None);
        }
        thread::sleep(LOCK_LOOK_EVERY);
    }
}

/// Closes what whoever executed us left open: a shim that lives for months must hold nobody's sockets.
#[allow(unsafe_code)]
fn close_inherited() {
    const FIRST: libc::c_uint = 3;
    // SAFETY: this is the first thing the only thread does, so no value of this program owns a descriptor from 3 on.
    unsafe { libc::close_range(FIRST, libc::c_uint::MAX, 0) };
}
