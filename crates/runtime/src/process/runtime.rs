//! The port, over the folders.

use super::{
    control::Wish,
    entry::{Entry, View},
    files::plain,
    log::{last_records, text_of},
    open::Process,
    output,
    shim::{self, Task},
    supervise,
};
use crate::port::*;
use async_trait::async_trait;
use eru_types::{EngineId, Labels, WorkloadName};
use futures::stream::BoxStream;
use std::{
    fs, io,
    sync::Arc,
    thread::available_parallelism,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// How often a shim that has to be told something is looked for, when nothing else happens.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long after the grace time a shim may be missing before the workload is killed without one.
const SHIM_WAIT: Duration = Duration::from_secs(1);

#[async_trait]
impl Runtime for Process {
    fn kind(&self) -> RuntimeKind {
        RuntimeKind::Process
    }

    async fn info(&self) -> Result<Info> {
        let failed = |e: io::Error| Error::Failed(format!("cannot read what the machine has: {}", plain(&e)));
        let disk = rustix::fs::statvfs(&self.shared.options.folder).map_err(|e| failed(e.into()))?;
        Ok(Info {
            id: self.shared.id.clone(),
            cores: available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
            memory_bytes: memory_bytes().map_err(failed)?,
            storage_bytes: disk.f_blocks.saturating_mul(disk.f_frsize),
        })
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }

    async fn create(&self, request: &CreateRequest) -> Result<EngineId> {
        let (shared, request) = (self.shared.clone(), request.clone());
        blocking(move || shared.create(&request)).await
    }

    async fn start(&self, id: &EngineId) -> Result<()> {
        let entry = self.shared.entry(id)?;
        let mut view = entry.view.subscribe();
        loop {
            entry.refresh(&self.shared.events);
            let known = view.borrow_and_update().clone();
            if known.removed {
                return Err(entry.not_found());
            }
            if known.state() == State::Running {
                return Ok(());
            }
            let run = known.next_run();
            if entry.claim(Some(run)) {
                self.begin(&entry, run).await?;
                return begun(&entry, view, run).await;
            }
            // Another start is on its way, the shim of the last run is not gone yet, or it waits before a restart.
            if known.starting.is_none() && !known.is_over() {
                tell(&entry, Wish::Start)?;
            }
            changed(&mut view).await;
        }
    }

    async fn stop(&self, id: &EngineId, grace: Duration) -> Result<()> {
        let entry = self.shared.entry(id)?;
        self.end(&entry, grace).await
    }

    async fn remove(&self, id: &EngineId, force: bool) -> Result<()> {
        let entry = self.shared.entry(id)?;
        loop {
            entry.refresh(&self.shared.events);
            let is_over = entry.view.borrow().is_over();
            if !is_over && !force {
                return Err(Error::Running(id.clone()));
            }
            if !is_over {
                self.end(&entry, Duration::ZERO).await?;
            }
            let (shared, forgotten) = (self.shared.clone(), entry.clone());
            if entry.view.borrow().removed {
                return Err(entry.not_found());
            }
            if blocking(move || shared.forget(&forgotten)).await? {
                return Ok(());
            }
            // The shim is about to be gone.
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn inspect(&self, id: &EngineId) -> Result<Inspection> {
        let entry = self.shared.entry(id)?;
        entry.refresh(&self.shared.events);
        entry.inspection()
    }

    async fn find(&self, name: &WorkloadName) -> Result<Option<EngineId>> {
        Ok(self.shared.index.lock().by_name.get(name).cloned())
    }

    async fn list(&self, labels: &Labels) -> Result<Vec<Inspection>> {
        let entries: Vec<_> = self.shared.index.lock().by_id.values().cloned().collect();
        let matching = entries.iter().filter(|e| e.spec.request.labels.contains_all(labels));
        let inspections = matching.filter_map(|entry| {
            if !entry.view.borrow().is_over() {
                entry.refresh(&self.shared.events);
            }
            // One that was removed meanwhile is in no list.
            entry.inspection().ok()
        });
        Ok(inspections.collect())
    }

    async fn events(&self) -> Result<BoxStream<'static, Event>> {
        Ok(self.shared.events.subscribe())
    }

    async fn logs(&self, id: &EngineId, options: LogOptions) -> Result<BoxStream<'static, Result<LogLine>>> {
        output::read(self.shared.clone(), self.shared.entry(id)?, options).await
    }

    async fn last_lines(&self, id: &EngineId, lines: usize) -> Result<Vec<String>> {
        let entry = self.shared.entry(id)?;
        let read = move || {
            let records = last_records(&entry.folder, lines);
            let name = &entry.spec.request.name;
            records.map_err(|e| Error::Failed(format!("output of {name}: {}", plain(&e))))
        };
        Ok(blocking(read).await?.iter().map(|line| text_of(&line.data)).collect())
    }
}

impl Process {
    /// Executes the shim that begins a run; the place for it was claimed. What follows happens also when the caller has
    /// gone: the shim must be waited for.
    async fn begin(&self, entry: &Arc<Entry>, run: u64) -> Result<()> {
        let (shared, entry) = (self.shared.clone(), entry.clone());
        let handle = tokio::runtime::Handle::current();
        let execute = move || {
            let _inside = handle.enter();
            let shim = supervise::execute(&shared, &entry.folder, Task::Start(run));
            let error = shim.as_ref().err().map(plain);
            if error.is_some() {
                entry.fail(0);
            }
            supervise::spawn(&shared, &entry, shim.ok());
            match error {
                None => Ok(()),
                Some(error) => {
                    let program = shared.options.shim.program.display();
                    Err(Error::Failed(format!("cannot execute the shim {program}: {error}")))
                }
            }
        };
        blocking(execute).await
    }

    /// Has the shim end the workload, and waits until that is recorded.
    async fn end(&self, entry: &Entry, grace: Duration) -> Result<()> {
        let begun = Instant::now();
        let mut view = entry.view.subscribe();
        let mut told = None;
        loop {
            entry.refresh(&self.shared.events);
            if view.borrow_and_update().is_over() {
                return Ok(());
            }
            let failed = |e: io::Error| Error::Failed(format!("cannot reach a shim: {}", plain(&e)));
            // Each shim is told once; one that adopts knows nothing of what the one before was told.
            let shim_now = entry.shim().map_err(failed)?;
            if shim_now.is_some() && shim_now != told {
                let left = grace.saturating_sub(begun.elapsed());
                if tell(entry, Wish::Stop(left))? {
                    told = shim_now;
                }
            } else if shim_now.is_none() && begun.elapsed() > grace + SHIM_WAIT {
                let run = view.borrow().run.clone();
                run.into_iter().for_each(shim::kill);
            }
            changed(&mut view).await;
        }
    }
}

/// Waits until the run began or cannot.
async fn begun(entry: &Entry, mut view: watch::Receiver<View>, run: u64) -> Result<()> {
    let name = &entry.spec.request.name;
    loop {
        {
            let view = view.borrow_and_update();
            if let Some(exit) = view.exit.as_ref().filter(|exit| exit.run >= run) {
                if exit.executed || exit.run > run {
                    return Ok(());
                }
                return Err(Error::Start { name: name.to_string(), cause: exit.reason.clone() });
            }
            if view.run.as_ref().is_some_and(|r| r.executed && r.run >= run) {
                return Ok(());
            }
            if view.removed {
                return Err(entry.not_found());
            }
            if let Some((failed, code)) = view.failed
                && failed == run
            {
                let cause = plain(&io::Error::from_raw_os_error(code));
                return Err(Error::Failed(format!("the shim of {name} ended with code {code} ({cause})")));
            }
        }
        // The sender lives in the entry.
        let _ = view.changed().await;
    }
}

async fn changed(view: &mut watch::Receiver<View>) {
    // A deadline reached is as good a reason to look again as a change.
    let _ = tokio::time::timeout(LOOK_EVERY, view.changed()).await;
}

fn tell(entry: &Entry, wish: Wish) -> Result<bool> {
    wish.send(&entry.folder)
        .map_err(|e| Error::Failed(format!("cannot reach the shim of {}: {}", entry.spec.request.name, plain(&e))))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|e| Error::Failed(e.to_string()))?
}

fn memory_bytes() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok());
    total.map(|kib: u64| kib * 1024).ok_or_else(|| io::Error::other("/proc/meminfo has no MemTotal"))
}
