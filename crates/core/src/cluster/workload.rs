//! Finding one workload, for the operations on it.

use super::{Cluster, Error, Result, execute::Current, fence::Owner, locks::Held};
use crate::cache::WorkloadView;
use eru_types::{EngineId, limits::LIST_LEN_MAX};
use std::{collections::BTreeSet, sync::Arc};

/// Checks the ids of a request: none, and too many, are refused; one that is named twice is meant once.
///
/// # Errors
/// [`Error::Invalid`].
pub(crate) fn distinct(ids: &[String]) -> Result<Vec<String>> {
    if ids.is_empty() {
        return Err(Error::Invalid("No workload ids given".into()));
    }
    if ids.len() > LIST_LEN_MAX {
        return Err(Error::Invalid(format!("ids: {} items (at most {LIST_LEN_MAX})", ids.len())));
    }
    let mut seen = BTreeSet::new();
    Ok(ids.iter().filter(|id| seen.insert(id.as_str())).cloned().collect())
}

impl Cluster {
    /// The workload as it was when this was called, or later.
    pub(crate) async fn find_workload(&self, id: &str) -> Result<Arc<WorkloadView>> {
        let id = EngineId::new(id).map_err(|_| Error::no_workload(eru_types::name::excerpt(id)))?;
        self.cache.linearizable().await?;
        self.cache.workload(&id).filter(|view| !view.removed).ok_or_else(|| Error::no_workload(&id))
    }

    /// The workload, with the lock that orders the operations on it.
    pub(crate) async fn hold_workload(&self, id: &str) -> Result<(Current, Held)> {
        let name = self.find_workload(id).await?.placement.name.to_string();
        let held = self.tasks.locks.acquire(name).await;
        // Whoever held it before may have changed it.
        let view = self.find_workload(id).await?;
        let current = Current { placement: (*view.placement).clone(), revision: view.placement_revision };
        Ok((current, held))
    }
}

impl Current {
    /// Refuses a workload of another owner.
    pub(crate) fn check_owner(&self, owner: Option<&Owner>) -> Result<()> {
        match owner {
            Some(owner) if owner.name != self.placement.owner => Err(Error::Precondition(format!(
                "workload {} belongs to owner \"{}\", not to \"{}\"",
                self.placement.name, self.placement.owner, owner.name
            ))),
            _ => Ok(()),
        }
    }
}
