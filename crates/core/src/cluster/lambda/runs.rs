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
    /// With what was attached to those that have a terminal, until it is taken.
    known: Mutex<HashMap<WorkloadName, Option<Session>>>,
}

impl Runs {
    /// Whether a task works on it.
    pub(crate) fn contains(&self, name: &WorkloadName) -> bool {
        self.known.lock().contains_key(name)
    }

    pub(super) fn end(&self, name: &WorkloadName) {
        self.known.lock().remove(name);
    }

    /// What was attached before the start.
    pub(super) fn take(&self, name: &WorkloadName) -> Option<Session> {
        self.known.lock().get_mut(name)?.take()
    }
}

impl Cluster {
    /// Notes a run that is about to be started, and attaches to its terminal, so that nothing of it is missed. Anything else
    /// is left as it is.
    ///
    /// # Errors
    /// What the engine said.
    pub(crate) async fn before_start(&self, engine: &Engine, placement: &Placement, id: &EngineId) -> Result<()> {
        let spec = &placement.spec;
        if !spec.lambda {
            return Ok(());
        }
        self.runs.known.lock().insert(placement.name.clone(), None);
        if spec.extras.terminal {
            let session = self.engine_call(engine.runtime.attach(id)).await?;
            self.runs.known.lock().insert(placement.name.clone(), Some(session));
        }
        Ok(())
    }
}
