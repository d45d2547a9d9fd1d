//! Executing the command.

use super::super::{
    files::{self, Run, Spec, plain},
    identity::Identity,
};
use crate::clock::now_ms;
use eru_types::name::excerpt;
use rustix::process::{Gid, Pid, Signal, Uid, getpid, getppid, set_parent_process_death_signal};
use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// A command could not be executed.
#[derive(Debug)]
pub(super) struct NotExecuted {
    /// As shells say it: 127 for what is not there, 126 for the rest.
    pub(super) code: i32,
    pub(super) reason: String,
}

/// Opens a named pipe at both ends. Whoever holds it so never sees an end or a broken pipe, come and go who may.
pub(super) fn open_pipe(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    options.read(true).write(true).open(path)
}

/// Executes the command of `spec` as run `run`, and returns when it is executed.
pub(super) fn execute(folder: &Path, spec: &Spec, run: u64, restarts: u32) -> Result<Run, NotExecuted> {
    let refused = |code, reason| NotExecuted { code, reason };
    let (program, args) = spec.request.command.split_first().expect("a workload is not made without a command");
    fs::read_dir(&spec.dir).map(drop).or_else(|e| match e.kind() {
        // Entering a folder takes less than reading it.
        io::ErrorKind::PermissionDenied => Ok(()),
        _ => Err(refused(126, format!("cannot use working directory {:?}: {}", spec.dir, plain(&e)))),
    })?;
    let pipe = |name| {
        open_pipe(&folder.join(name), &mut OpenOptions::new())
            .map_err(|e| refused(126, format!("cannot open its output {name}: {}", plain(&e))))
    };
    let mut command = Command::new(program);
    command.args(args).env_clear().envs(spec.env.iter().map(|(k, v)| (k, v))).current_dir(&spec.dir);
    command.stdin(Stdio::null()).stdout(pipe(files::OUT)?).stderr(pipe(files::ERR)?).process_group(0);
    let started_at_ms = now_ms();
    introduce_before_exec(&mut command, folder, spec, (run, restarts, started_at_ms));
    let child = command.spawn().map_err(|e| {
        let code = if e.kind() == io::ErrorKind::NotFound { 127 } else { 126 };
        refused(code, format!("cannot execute \"{}\": {}", excerpt(program), plain(&e)))
    })?;
    let pid = Pid::from_child(&child).as_raw_nonzero().get();
    let child = Identity::of_child(pid).map_err(|e| refused(126, plain(&e)))?;
    let run = Run { run, child, session: own_session(), executed: true, started_at_ms, restarts };
    // Where this fails the record says less than is true, and the command is adopted as what it is.
    let _ = files::write(&folder.join(files::RUN), &run);
    Ok(run)
}

/// Lets the new process write down who it is before it becomes the command. Until that is written it dies with the shim, so
/// at no moment is there a command that nobody knows of.
#[allow(unsafe_code)]
fn introduce_before_exec(command: &mut Command, folder: &Path, spec: &Spec, (run, restarts, at_ms): (u64, u32, i64)) {
    let shim = getpid();
    let record: PathBuf = folder.join(files::RUN);
    let run_as = spec.run_as.clone();
    let introduce = move || -> io::Result<()> {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        if getppid() != Some(shim) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let child = Identity::own()?;
        let run = Run { run, child, session: own_session(), executed: false, started_at_ms: at_ms, restarts };
        files::write(&record, &run)?;
        set_parent_process_death_signal(None)?;
        if let Some(user) = &run_as {
            let groups: Vec<Gid> = user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
            rustix::thread::set_thread_groups(&groups)?;
            rustix::thread::set_thread_gid(Gid::from_raw(user.gid))?;
            rustix::thread::set_thread_uid(Uid::from_raw(user.uid))?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec only what is safe in a signal handler may be called, unless the process that forked had
    // one thread: then no lock, the allocator's included, was held by a thread that is not here. The shim has one thread.
    unsafe { command.pre_exec(introduce) };
}

/// The session of the shim, which its children are in; 0 is in no record of a group.
fn own_session() -> i32 {
    rustix::process::getsid(None).map_or(0, |id| id.as_raw_nonzero().get())
}

/// The id of the process group that the run's command leads.
pub(super) fn group_of(run: &Run) -> Pid {
    run.child.as_pid().expect("a process wrote its own id")
}
