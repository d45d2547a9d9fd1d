//! Opening a folder, and what is held while it is open.

use super::{
    address::Addresses,
    create,
    entry::Entry,
    files::{self, SPEC, Spec},
    options::ProcessOptions,
    watch::Inotify,
};
use crate::{
    events::EventHub,
    port::{Action, CreateRequest, Error, Result},
};
use eru_types::{EngineId, WorkloadName};
use parking_lot::Mutex;
use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};

/// The runtime of plain commands. Dropping it stops nothing that it started.
pub struct Process {
    pub(super) shared: Arc<Shared>,
    _stop: DropGuard,
}

pub(super) struct Shared {
    pub(super) options: ProcessOptions,
    pub(super) id: String,
    pub(super) index: Mutex<Index>,
    pub(super) events: EventHub,
    pub(super) inotify: Inotify,
    pub(super) tasks: TaskTracker,
    pub(super) stop: CancellationToken,
    /// One create at a time: a name and an address are taken by looking at all others.
    creating: Mutex<Addresses>,
    _lock: File,
}

/// All workloads, by id and by name.
#[derive(Default)]
pub(super) struct Index {
    pub(super) by_id: HashMap<EngineId, Arc<Entry>>,
    pub(super) by_name: HashMap<WorkloadName, EngineId>,
}

impl Process {
    /// Opens a folder, made when missing, and finds everything in it again: what runs, what ended, and what ended while
    /// nobody was looking.
    ///
    /// # Errors
    /// [`Error::Failed`] when the folder cannot be used, or another process has it open.
    pub async fn open(options: ProcessOptions) -> Result<Arc<Self>> {
        let stop = CancellationToken::new();
        let handle = tokio::runtime::Handle::current();
        let opened = {
            let stop = stop.clone();
            tokio::task::spawn_blocking(move || {
                let _inside = handle.enter();
                Shared::open(options, stop)
            })
        };
        let shared = Arc::new(opened.await.map_err(|e| Error::Failed(e.to_string()))??);
        shared.tasks.spawn(super::watch::run(shared.clone()));
        let entries: Vec<_> = shared.index.lock().by_id.values().cloned().collect();
        for entry in &entries {
            entry.adopt(&shared.events);
            super::supervise::ensure(&shared, entry);
        }
        Ok(Arc::new(Self { shared, _stop: stop.drop_guard() }))
    }

    /// Ends what watches the folder and gives the folder back. Workloads go on.
    pub async fn close(&self) {
        self.shared.stop.cancel();
        self.shared.tasks.close();
        self.shared.tasks.wait().await;
    }
}

impl Shared {
    fn open(options: ProcessOptions, stop: CancellationToken) -> Result<Self> {
        let folder = options.folder.clone();
        let failed = |e: io::Error| Error::Failed(format!("folder {}: {}", folder.display(), files::plain(&e)));
        let private = |path: &Path| fs::DirBuilder::new().mode(0o700).recursive(true).create(path);
        private(&folder).map_err(failed)?;
        let lock = files::try_lock(&folder.join("lock")).map_err(failed)?.ok_or_else(|| {
            Error::Failed(format!("folder {} is in use by another Eru process: end that one first", folder.display()))
        })?;
        for (name, is_kept) in [("workloads", true), ("new", false), ("trash", false)] {
            let path = folder.join(name);
            if !is_kept && path.exists() {
                fs::remove_dir_all(&path).map_err(failed)?;
            }
            private(&path).map_err(failed)?;
        }
        let id = own_id(&folder).map_err(failed)?;
        let inotify = Inotify::new().map_err(failed)?;
        let shared = Self {
            // What a seed is for only needs the id to differ from the next folder's.
            creating: Mutex::new(Addresses::new(id.bytes().fold(0, |n: u64, b| n.wrapping_mul(31) + u64::from(b)))),
            options,
            id,
            index: Mutex::default(),
            events: EventHub::default(),
            inotify,
            tasks: TaskTracker::new(),
            stop,
            _lock: lock,
        };
        let mut entries = shared.scan().map_err(failed)?;
        entries.sort_by_key(|e| e.spec.created_at_ms);
        for entry in entries {
            shared.creating.lock().note(entry.spec.address);
            shared.insert(entry)?;
        }
        Ok(shared)
    }

    fn scan(&self) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for item in fs::read_dir(self.workloads())? {
            let folder = item?.path();
            // One that cannot be read must not keep the others from being found.
            match files::read::<Spec>(&folder.join(SPEC)) {
                Ok(Some(spec)) => entries.push(Entry::new(spec, folder)),
                Ok(None) => {
                    tracing::warn!(folder = %folder.display(), "a workload's folder has no spec, it is ignored")
                }
                Err(error) => tracing::warn!(folder = %folder.display(), %error, "a workload's spec cannot be read"),
            }
        }
        Ok(entries)
    }

    pub(super) fn workloads(&self) -> PathBuf {
        self.options.folder.join("workloads")
    }

    fn insert(&self, entry: Entry) -> Result<EngineId> {
        let id = entry.spec.id.clone();
        let entry = Arc::new(entry);
        self.inotify.watch(&entry, false).map_err(|e| {
            let text = files::plain(&e);
            Error::Failed(format!("cannot watch a folder: {text}; see the sysctl fs.inotify.max_user_watches"))
        })?;
        let mut index = self.index.lock();
        index.by_name.insert(entry.spec.request.name.clone(), id.clone());
        index.by_id.insert(id.clone(), entry);
        Ok(id)
    }

    pub(super) fn create(&self, request: &CreateRequest) -> Result<EngineId> {
        let mut addresses = self.creating.lock();
        if let Some(id) = self.index.lock().by_name.get(&request.name) {
            return Ok(id.clone());
        }
        let spec = create::spec(request, &self.options, &self.workloads(), &mut addresses)?;
        let address = spec.address;
        let made = create::build(&spec, &self.options.folder.join("new"), &self.workloads())
            .map_err(|e| Error::Failed(format!("cannot make workload {}: {}", request.name, files::plain(&e))))
            .and_then(|folder| self.insert(Entry::new(spec, folder)));
        match made {
            Ok(id) => {
                self.events.publish(&id, Action::Created);
                Ok(id)
            }
            Err(error) => {
                addresses.free(address);
                Err(error)
            }
        }
    }

    pub(super) fn entry(&self, id: &EngineId) -> Result<Arc<Entry>> {
        self.index.lock().by_id.get(id).cloned().ok_or_else(|| Error::NotFound(id.to_string()))
    }

    /// Takes a workload that is over out of the world. Answers false when a shim is in charge of it after all.
    pub(super) fn forget(&self, entry: &Entry) -> Result<bool> {
        let failed = |e: io::Error| {
            Error::Failed(format!("cannot remove workload {}: {}", entry.spec.request.name, files::plain(&e)))
        };
        let Some(_lock) = files::try_lock(&entry.folder.join(files::SHIM_LOCK)).map_err(failed)? else {
            return Ok(false);
        };
        entry.refresh(&self.events);
        if !entry.view.borrow().is_over() {
            return Ok(false);
        }
        // Moved away first: half a folder must never be found.
        let trash = self.options.folder.join("trash").join(entry.spec.id.as_str());
        fs::rename(&entry.folder, &trash).map_err(failed)?;
        files::sync_folder(&self.workloads()).map_err(failed)?;
        self.inotify.unwatch(entry);
        {
            let mut index = self.index.lock();
            index.by_id.remove(&entry.spec.id);
            index.by_name.remove(&entry.spec.request.name);
        }
        self.creating.lock().free(entry.spec.address);
        entry.remove(&self.events);
        if let Err(error) = fs::remove_dir_all(&trash) {
            tracing::warn!(folder = %trash.display(), %error, "cannot be deleted; the next start tries again");
        }
        Ok(true)
    }
}

/// The id of the folder, made once: it stays when the machine's name or address does not.
fn own_id(folder: &Path) -> io::Result<String> {
    let path = folder.join("id.json");
    if let Some(id) = files::read(&path)? {
        return Ok(id);
    }
    let id: String = rand::random::<[u8; 16]>().iter().map(|b| format!("{b:02x}")).collect();
    files::write_durably(&path, &id)?;
    Ok(id)
}
