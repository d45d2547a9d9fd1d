//! One workload, as its folder tells it.

use super::{
    files::{self, EXIT, Exit, LOG, RUN, Run, Spec},
    identity::Identity,
    log::Reader,
};
use crate::{
    events::EventHub,
    port::{Action, Error, Inspection, Result, RuntimeKind, State},
};
use parking_lot::Mutex;
use std::{collections::BTreeMap, io, net::IpAddr, path::PathBuf};
use tokio::sync::watch;

/// The network that every workload here is in.
pub(super) const NETWORK: &str = "loopback";

/// What the folder said last.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct View {
    pub(super) run: Option<Run>,
    pub(super) exit: Option<Exit>,
    /// The run that a shim was executed for and has not begun yet.
    pub(super) starting: Option<u64>,
    /// The run that a shim could not begin, and its exit code: the number of the system's error.
    pub(super) failed: Option<(u64, i32)>,
    pub(super) removed: bool,
}

impl View {
    fn last_run(&self) -> u64 {
        self.run.as_ref().map_or(0, |r| r.run)
    }

    fn last_exit(&self) -> u64 {
        self.exit.as_ref().map_or(0, |e| e.run)
    }

    /// The number that the next start has.
    pub(super) fn next_run(&self) -> u64 {
        self.last_exit() + 1
    }

    pub(super) fn state(&self) -> State {
        match &self.run {
            Some(run) if run.run > self.last_exit() && run.executed => State::Running,
            _ if self.exit.is_some() => State::Exited,
            _ => State::Created,
        }
    }

    /// Whether nothing happens any more unless it is started.
    pub(super) fn is_over(&self) -> bool {
        let ended = self.last_run() <= self.last_exit() && self.exit.as_ref().is_none_or(|e| e.finished);
        self.removed || (self.starting.is_none() && ended)
    }
}

pub(super) struct Entry {
    pub(super) spec: Spec,
    pub(super) folder: PathBuf,
    pub(super) view: watch::Sender<View>,
    /// Raised when output may have come.
    pub(super) output: watch::Sender<u64>,
    /// How many follow the output.
    pub(super) followers: Mutex<usize>,
    /// Orders the looks at the folder, and with them the events.
    seen: Mutex<Seen>,
    /// The watch on the folder.
    pub(super) watch: Mutex<Option<i32>>,
}

#[derive(Default)]
struct Seen {
    started: u64,
    died: u64,
    /// Whether a task stays with the shim.
    supervised: bool,
}

impl Entry {
    pub(super) fn new(spec: Spec, folder: PathBuf) -> Self {
        Self {
            spec,
            folder,
            view: watch::Sender::default(),
            output: watch::Sender::default(),
            followers: Mutex::default(),
            seen: Mutex::default(),
            watch: Mutex::default(),
        }
    }

    /// Looks at the folder and tells subscribers what is new. A record that cannot be read changes nothing.
    pub(super) fn refresh(&self, events: &EventHub) {
        let mut seen = self.seen.lock();
        if self.view.borrow().removed {
            return;
        }
        let (run, exit) = match (files::read(&self.folder.join(RUN)), files::read(&self.folder.join(EXIT))) {
            (Ok(run), Ok(exit)) => (run, exit),
            (Err(error), _) | (_, Err(error)) => {
                tracing::warn!(workload = %self.spec.request.name, %error, "a record cannot be read");
                return;
            }
        };
        let mut view = self.view.borrow().clone();
        (view.run, view.exit) = (run, exit);
        let begun = view.run.as_ref().filter(|r| r.executed).map_or(0, |r| r.run).max(view.last_exit());
        view.starting = view.starting.filter(|run| *run > begun);
        let actions = seen.actions(&view);
        // Whoever is woken by the view has seen the events or subscribes too late for them; whoever is woken by an event finds
        // the view behind the lock.
        for action in actions {
            events.publish(&self.spec.id, action);
        }
        self.view.send_if_modified(|known| {
            let changed = *known != view;
            *known = view;
            changed
        });
    }

    /// Takes what the folder says as known to everybody, without events.
    pub(super) fn adopt(&self, events: &EventHub) {
        self.refresh(events);
        let mut seen = self.seen.lock();
        let view = self.view.borrow();
        (seen.started, seen.died) = (view.last_run(), view.last_exit());
    }

    /// Claims the place of the one task that stays with the shim; false when it is taken or there is nothing to stay with.
    pub(super) fn claim(&self, starting: Option<u64>) -> bool {
        let mut seen = self.seen.lock();
        if seen.supervised || (starting.is_none() && self.view.borrow().is_over()) {
            return false;
        }
        seen.supervised = true;
        if starting.is_some() {
            self.view.send_modify(|view| {
                view.starting = starting;
                view.failed = None;
            });
        }
        true
    }

    /// Gives the place back, if there is nothing left to do; false otherwise.
    pub(super) fn release(&self) -> bool {
        let mut seen = self.seen.lock();
        if !self.view.borrow().is_over() {
            return false;
        }
        seen.supervised = false;
        // Those who wait for the place are woken.
        self.view.send_modify(|_| {});
        true
    }

    /// Notes that a shim ended without having begun its run.
    pub(super) fn fail(&self, code: i32) {
        self.view.send_modify(|view| view.failed = view.starting.take().map(|run| (run, code)));
    }

    /// Marks it as gone.
    pub(super) fn remove(&self, events: &EventHub) {
        let _seen = self.seen.lock();
        self.view.send_modify(|view| view.removed = true);
        events.publish(&self.spec.id, Action::Removed);
    }

    pub(super) fn inspection(&self) -> Result<Inspection> {
        let view = {
            let _seen = self.seen.lock();
            self.view.borrow().clone()
        };
        if view.removed {
            return Err(self.not_found());
        }
        let state = view.state();
        let running = view.run.as_ref().filter(|_| state == State::Running);
        let exit = view.exit.as_ref().filter(|_| state == State::Exited);
        let address = IpAddr::from(self.spec.address);
        Ok(Inspection {
            id: self.spec.id.clone(),
            name: self.spec.request.name.clone(),
            labels: self.spec.request.labels.clone(),
            state,
            networks: running.map(|_| BTreeMap::from([(NETWORK.to_owned(), address.to_string())])).unwrap_or_default(),
            probe_address: running.map(|_| address),
            exit: exit.map(|e| e.status),
            restarts: running.map(|r| r.restarts).or(exit.map(|e| e.restarts)).unwrap_or(0),
            started_at_ms: running.map(|r| r.started_at_ms).or(exit.map(|e| e.started_at_ms)).unwrap_or(0),
            reason: exit.map(Exit::told).unwrap_or_default(),
            pid: running.map_or(0, |r| r.child.pid.cast_unsigned()),
            isolation: RuntimeKind::Process.isolation().to_owned(),
        })
    }

    pub(super) fn not_found(&self) -> Error {
        Error::NotFound(self.spec.id.to_string())
    }

    /// The shim that wrote its name here last, if it is there.
    pub(super) fn shim(&self) -> io::Result<Option<Identity>> {
        files::read(&self.folder.join(files::SHIM)).map(|shim| shim.filter(Identity::is_alive))
    }

    pub(super) fn reader(&self) -> io::Result<Reader> {
        Reader::open(self.folder.clone())
    }

    /// Whether a change of this file is output.
    pub(super) fn is_output(name: &[u8]) -> bool {
        name == LOG.as_bytes() || name == files::LOG_OLD.as_bytes()
    }

    /// Whether a change of this file changes the view.
    pub(super) fn is_record(name: &[u8]) -> bool {
        name == RUN.as_bytes() || name == EXIT.as_bytes()
    }
}

impl Seen {
    /// What happened between what was seen before and `view`, in its order.
    fn actions(&mut self, view: &View) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Some(exit) = view.exit.as_ref().filter(|e| e.run > self.died) {
            if exit.executed && exit.run > self.started {
                actions.push(Action::Started);
            }
            self.started = self.started.max(exit.run);
            self.died = exit.run;
            actions.push(Action::Died);
        }
        if let Some(run) = view.run.as_ref().filter(|r| r.executed && r.run > self.started) {
            self.started = run.run;
            actions.push(Action::Started);
        }
        actions
    }
}
