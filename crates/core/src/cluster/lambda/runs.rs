//! The runs that a task of this core works on.

use super::super::{Cluster, Result, engines::Engine};
use crate::record::Placement;
use eru_runtime::Session;
use eru_types::{EngineId, WorkloadName};
use parking_lot::Mutex;
use std::collections::HashMap;

/// The runs that a task of this core works on, from before they are started until they are removed.
#[derive(Default)]
pub struct Runs {
    known: Mutex<HashMap<WorkloadName, Known>>,
}

#[derive(Default)]
struct Known {
    /// What was attached to a terminal, until it is taken.
    session: Option<Session>,
    /// A call reads it, and removes it.
    claimed: bool,
}

impl Runs {
    /// Whether a task works on it.
    pub(crate) fn contains(&self, name: &WorkloadName) -> bool {
        self.known.lock().contains_key(name)
    }

    /// Makes a run that of the caller; false when it is another one's, of this core or of another. Calls with one op id find
    /// the same runs.
    pub(super) fn claim(&self, name: &WorkloadName) -> bool {
        self.known.lock().get_mut(name).is_some_and(|known| !std::mem::replace(&mut known.claimed, true))
    }

    pub(super) fn end(&self, name: &WorkloadName) {
        self.known.lock().remove(name);
    }

    /// Ends one that nobody has claimed.
    pub(super) fn end_unclaimed(&self, name: &WorkloadName) {
        let mut known = self.known.lock();
        if known.get(name).is_some_and(|known| !known.claimed) {
            known.remove(name);
        }
    }

    /// What was attached before the start.
    pub(super) fn take(&self, name: &WorkloadName) -> Option<Session> {
        self.known.lock().get_mut(name)?.session.take()
    }
}

impl Cluster {
    /// Notes a run that is about to be started, and attaches to its input, so that nothing of it is missed. Anything else
    /// is left as it is.
    ///
    /// # Errors
    /// What the engine said.
    pub(crate) async fn before_start(&self, engine: &Engine, placement: &Placement, id: &EngineId) -> Result<()> {
        let spec = &placement.spec;
        if !spec.lambda {
            return Ok(());
        }
        self.runs.known.lock().insert(placement.name.clone(), Known::default());
        if spec.extras.has_input() {
            let session = Some(self.engine_call(engine.runtime.attach(id)).await?);
            self.runs.known.lock().insert(placement.name.clone(), Known { session, claimed: false });
        }
        Ok(())
    }
}
