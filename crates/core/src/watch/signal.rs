//! Who is woken by what: one signal for all workloads, one for each app that somebody watches, one for nodes.

use eru_kv::Revision;
use eru_types::AppName;
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap};
use tokio::sync::watch;

/// The signals of a cache. A signal only wakes; what changed is read from the index.
///
/// # Invariants
/// - A subscriber of one app is not woken by the changes of another.
/// - After [`Signals::close`] every subscriber sees its signal closed, and so does whoever subscribes later.
pub(crate) struct Signals {
    workloads: Mutex<Option<Workloads>>,
    nodes: watch::Sender<Revision>,
}

struct Workloads {
    all: watch::Sender<Revision>,
    apps: HashMap<AppName, watch::Sender<Revision>>,
}

impl Default for Signals {
    fn default() -> Self {
        let workloads = Workloads { all: watch::Sender::new(Revision(0)), apps: HashMap::new() };
        Self { workloads: Mutex::new(Some(workloads)), nodes: watch::Sender::new(Revision(0)) }
    }
}

impl Signals {
    /// Woken by changes of the workloads of `app`, or of all.
    pub(crate) fn subscribe(&self, app: Option<&AppName>) -> watch::Receiver<Revision> {
        let mut workloads = self.workloads.lock();
        match (workloads.as_mut(), app) {
            (Some(workloads), None) => workloads.all.subscribe(),
            (Some(workloads), Some(app)) => {
                let signal = workloads.apps.entry(app.clone()).or_insert_with(|| watch::Sender::new(Revision(0)));
                signal.subscribe()
            }
            // The sender is gone with this line: closed.
            (None, _) => watch::Sender::new(Revision(0)).subscribe(),
        }
    }

    /// Woken by changes of nodes.
    pub(crate) fn subscribe_nodes(&self) -> watch::Receiver<Revision> {
        self.nodes.subscribe()
    }

    pub(crate) fn wake(&self, apps: &BTreeSet<AppName>, nodes: bool, revision: Revision) {
        if nodes {
            self.nodes.send_replace(revision);
        }
        if apps.is_empty() {
            return;
        }
        let mut workloads = self.workloads.lock();
        let Some(workloads) = workloads.as_mut() else { return };
        workloads.all.send_replace(revision);
        for app in apps {
            match workloads.apps.get(app) {
                Some(signal) if signal.receiver_count() > 0 => drop(signal.send_replace(revision)),
                Some(_) => drop(workloads.apps.remove(app)),
                None => {}
            }
        }
    }

    /// Ends all: no change will come any more.
    pub(crate) fn close(&self) {
        self.workloads.lock().take();
    }
}
