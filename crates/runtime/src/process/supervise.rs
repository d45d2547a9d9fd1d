//! Staying with a shim: one task for each workload that is not over.

use super::{adopt, entry::Entry, open::Shared, ready::register, shim::Task};
use std::{
    io,
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

/// The wait before another look when a shim holds the lock and has not written its name yet, or could not be executed.
const LOOK_AGAIN: Duration = Duration::from_millis(5);
/// The longest of these waits, which double.
const LOOK_AGAIN_MAX: Duration = Duration::from_secs(1);

/// Executes a shim.
pub(super) fn execute(shared: &Shared, folder: &Path, task: Task) -> io::Result<Child> {
    Command::new(&shared.options.shim.program)
        .args(&shared.options.shim.args)
        .arg(folder)
        .args(task.to_args())
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
}

/// Has a task stay with a workload that is not over, if there is none yet.
pub(super) fn ensure(shared: &Arc<Shared>, entry: &Arc<Entry>) {
    if entry.claim(None) {
        spawn(shared, entry, None);
    }
}

/// Stays with a workload whose place was claimed. `child` is the shim, when it is ours.
pub(super) fn spawn(shared: &Arc<Shared>, entry: &Arc<Entry>, child: Option<Child>) {
    let (shared, entry, stop) = (shared.clone(), entry.clone(), shared.stop.clone());
    let tasks = shared.tasks.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = stay(&shared, &entry, child) => {}
        }
    });
}

async fn stay(shared: &Arc<Shared>, entry: &Arc<Entry>, mut child: Option<Child>) {
    let mut wait = LOOK_AGAIN;
    loop {
        if let Some(code) = end_of_shim(entry, child.take()).await {
            entry.refresh(&shared.events);
            if entry.view.borrow().starting.is_some() {
                entry.fail(code);
            }
        } else {
            entry.refresh(&shared.events);
        }
        if entry.release() {
            return;
        }
        // The shim is gone and the workload is not over.
        match take_over(shared, entry).await {
            Ok(Some(shim)) => {
                child = Some(shim);
                wait = LOOK_AGAIN;
            }
            Ok(None) => {
                // The adopted command may end while no shim can be executed; its own descriptor tells.
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LOOK_AGAIN_MAX);
            }
            Err(error) => {
                tracing::error!(workload = %entry.spec.request.name, %error, "its shim is gone and cannot be replaced");
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LOOK_AGAIN_MAX);
            }
        }
    }
}

/// Waits until the shim in charge has ended. Answers its exit code when it is our child.
async fn end_of_shim(entry: &Entry, child: Option<Child>) -> Option<i32> {
    if let Some(mut child) = child {
        let pidfd =
            rustix::process::pidfd_open(rustix::process::Pid::from_child(&child), rustix::process::PidfdFlags::empty());
        if let Ok(pidfd) = pidfd {
            readable(pidfd).await;
        }
        // It has ended, so this only collects it.
        let status = tokio::task::spawn_blocking(move || child.wait()).await;
        return status.ok().and_then(Result::ok).map(|s| s.code().unwrap_or(libc::EINTR));
    }
    if let Some(pidfd) = entry.shim().ok().flatten().and_then(|shim| shim.open()) {
        readable(pidfd).await;
    }
    None
}

async fn readable(pidfd: OwnedFd) {
    if let Ok(pidfd) = register(pidfd) {
        let _ = pidfd.readable().await;
    }
}

/// Has another shim adopt the command that goes on, or records the end of one that does not.
async fn take_over(shared: &Arc<Shared>, entry: &Arc<Entry>) -> io::Result<Option<Child>> {
    let (shared, entry) = (shared.clone(), entry.clone());
    let work = move || {
        if adopt::conclude(&entry.folder)? {
            entry.refresh(&shared.events);
            return Ok(None);
        }
        if entry.shim()?.is_some() {
            return Ok(None);
        }
        let runs = entry.view.borrow().run.as_ref().is_some_and(|run| run.child.is_alive());
        if runs { execute(&shared, &entry.folder, Task::Adopt).map(Some) } else { Ok(None) }
    };
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}
