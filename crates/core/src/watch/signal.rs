//! Who is woken by what: one signal for all workloads, one for each app that somebody watches, one for nodes.

use eru_kv::Revision;
use eru_types::AppName;
use parking_lot::Mutex;
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};
use tokio::sync::watch;

/// The signals of a cache. A signal only wakes; what changed is read from the index.
///
/// # Invariants
/// - A subscriber of one app is not woken by the changes of another.
/// - An app that nobody watches has no signal here, however many were watched before.
/// - After [`Signals::close`] every subscriber sees its signal closed, and so does whoever subscribes later.
pub(crate) struct Signals {
    workloads: Shared,
    nodes: watch::Sender<Revision>,
}

type Shared = Arc<Mutex<Option<Workloads>>>;

struct Workloads {
    all: watch::Sender<Revision>,
    apps: HashMap<AppName, watch::Sender<Revision>>,
}

impl Default for Signals {
    fn default() -> Self {
        let workloads = Workloads { all: watch::Sender::new(Revision(0)), apps: HashMap::new() };
        Self { workloads: Arc::new(Mutex::new(Some(workloads))), nodes: watch::Sender::new(Revision(0)) }
    }
}

impl Signals {
    /// Woken by changes of the workloads of `app`, or of all.
    pub(crate) fn subscribe(&self, app: Option<&AppName>) -> Signal {
        let mut workloads = self.workloads.lock();
        let receiver = match (workloads.as_mut(), app) {
            (Some(workloads), None) => workloads.all.subscribe(),
            (Some(workloads), Some(app)) => {
                let signal = workloads.apps.entry(app.clone()).or_insert_with(|| watch::Sender::new(Revision(0)));
                signal.subscribe()
            }
            // The sender is gone with this line: closed.
            (None, _) => watch::Sender::new(Revision(0)).subscribe(),
        };
        Signal { receiver, of_app: app.map(|app| (app.clone(), self.workloads.clone())) }
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
            if let Some(signal) = workloads.apps.get(app) {
                signal.send_replace(revision);
            }
        }
    }

    /// Ends all: no change will come any more.
    pub(crate) fn close(&self) {
        self.workloads.lock().take();
    }
}

/// A subscriber's end of a signal of workloads. The last one of an app takes the app's signal away when it is dropped.
pub(crate) struct Signal {
    receiver: watch::Receiver<Revision>,
    of_app: Option<(AppName, Shared)>,
}

impl Signal {
    /// Waits for the next change; false when no change will come any more.
    pub(crate) async fn changed(&mut self) -> bool {
        self.receiver.changed().await.is_ok()
    }

    /// Takes every change until now as seen.
    pub(crate) fn mark_unchanged(&mut self) {
        self.receiver.mark_unchanged();
    }
}

impl Drop for Signal {
    fn drop(&mut self) {
        let Some((app, workloads)) = self.of_app.take() else { return };
        let mut workloads = workloads.lock();
        let Some(workloads) = workloads.as_mut() else { return };
        // Subscribing takes the same lock, so the one that is counted is this one and nobody can come in between.
        if workloads.apps.get(&app).is_some_and(|signal| signal.receiver_count() <= 1) {
            workloads.apps.remove(&app);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apps_len(signals: &Signals) -> usize {
        signals.workloads.lock().as_ref().map_or(0, |workloads| workloads.apps.len())
    }

    #[tokio::test]
    async fn an_app_has_a_signal_for_as_long_as_somebody_watches_it() {
        let signals = Signals::default();
        for n in 0..1000 {
            drop(signals.subscribe(Some(&AppName::new(format!("app{n}")).unwrap())));
        }
        assert_eq!(apps_len(&signals), 0);
        let app = AppName::new("app").unwrap();
        let (first, mut second) = (signals.subscribe(Some(&app)), signals.subscribe(Some(&app)));
        drop(first);
        assert_eq!(apps_len(&signals), 1);
        signals.wake(&[app].into(), false, Revision(7));
        assert!(second.changed().await, "the one who stays is still woken");
        signals.close();
        assert!(!second.changed().await);
        drop(second);
    }
}
