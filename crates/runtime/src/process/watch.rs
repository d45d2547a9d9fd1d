//! Changes of the folders, as the kernel tells them. They only wake: what changed is read from the files.

use super::{entry::Entry, open::Shared, ready::register};
use parking_lot::Mutex;
use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init, remove_watch};
use std::{
    collections::HashMap,
    io,
    mem::MaybeUninit,
    os::fd::OwnedFd,
    sync::{Arc, Weak},
};
use tokio::io::unix::AsyncFd;

/// How much is read at once, in bytes: about a hundred changes.
const READ_BYTES: usize = 4096;

/// One descriptor for all folders: an ordinary user may have only 128 of them.
pub(super) struct Inotify {
    fd: AsyncFd<OwnedFd>,
    watched: Mutex<HashMap<i32, Weak<Entry>>>,
}

/// What a look at the descriptor brought.
#[derive(Default)]
struct Changes {
    entries: HashMap<i32, Change>,
    /// Some were lost: everything may have changed.
    overflow: bool,
}

#[derive(Default)]
struct Change {
    record: bool,
    output: bool,
}

impl Inotify {
    pub(super) fn new() -> io::Result<Self> {
        let fd = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self { fd: register(fd)?, watched: Mutex::default() })
    }

    /// Watches the records of a workload, and its output too while somebody follows it: a wake for each write would be dear.
    pub(super) fn watch(&self, entry: &Arc<Entry>, output: bool) -> io::Result<()> {
        let mut flags = WatchFlags::MOVED_TO | WatchFlags::ONLYDIR;
        flags.set(WatchFlags::MODIFY | WatchFlags::CREATE, output);
        let mut watch = entry.watch.lock();
        let mut watched = self.watched.lock();
        let descriptor = add_watch(self.fd.get_ref(), &entry.folder, flags)?;
        watched.insert(descriptor, Arc::downgrade(entry));
        *watch = Some(descriptor);
        Ok(())
    }

    pub(super) fn unwatch(&self, entry: &Entry) {
        if let Some(descriptor) = entry.watch.lock().take() {
            self.watched.lock().remove(&descriptor);
            // It may be gone with its folder already.
            let _ = remove_watch(self.fd.get_ref(), descriptor);
        }
    }

    async fn changes(&self) -> io::Result<Changes> {
        let mut ready = self.fd.readable().await?;
        let mut changes = Changes::default();
        let mut buffer = [MaybeUninit::uninit(); READ_BYTES];
        let mut reader = Reader::new(self.fd.get_ref(), &mut buffer);
        loop {
            match reader.next() {
                Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => changes.overflow = true,
                Ok(event) => {
                    let change = changes.entries.entry(event.wd()).or_default();
                    let name = event.file_name().map_or(&b""[..], |n| n.to_bytes());
                    change.record |= Entry::is_record(name);
                    change.output |= Entry::is_output(name);
                }
                Err(rustix::io::Errno::AGAIN) => break,
                Err(e) => return Err(e.into()),
            }
        }
        ready.clear_ready();
        Ok(changes)
    }

    fn entry(&self, descriptor: i32) -> Option<Arc<Entry>> {
        self.watched.lock().get(&descriptor).and_then(Weak::upgrade)
    }
}

/// Keeps what is known up to date until the runtime is closed.
pub(super) async fn run(shared: Arc<Shared>) {
    loop {
        let changes = tokio::select! {
            () = shared.stop.cancelled() => return,
            changes = shared.inotify.changes() => changes,
        };
        match changes {
            Ok(changes) if changes.overflow => {
                let all: Vec<_> = shared.index.lock().by_id.values().cloned().collect();
                for entry in all {
                    apply(&shared, &entry, &Change { record: true, output: true });
                }
            }
            Ok(changes) => {
                for (descriptor, change) in changes.entries {
                    if let Some(entry) = shared.inotify.entry(descriptor) {
                        apply(&shared, &entry, &change);
                    }
                }
            }
            Err(error) => {
                // Nothing is seen any more without it; every call still looks at the files themselves.
                tracing::error!(%error, "changes of workloads cannot be watched any longer");
                shared.events.disconnect();
                return;
            }
        }
    }
}

fn apply(shared: &Arc<Shared>, entry: &Arc<Entry>, change: &Change) {
    if change.record {
        entry.refresh(&shared.events);
        super::supervise::ensure(shared, entry);
    }
    if change.output {
        entry.output.send_modify(|n| *n += 1);
    }
}
