//! What users command.

use super::{Refusal, RemoveReply, Running, SETS_MAX};
use crate::Error;
use crate::record::SetRecord;
use crate::shown::Desired;
use crate::spec::{self, Checked};
use crate::store;
use eru_api::controller::ReplicaSet;
use eru_types::name::SetName;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::oneshot;

impl Running<'_> {
    pub(super) async fn apply(&mut self, checked: Checked, expected: u64) -> Result<ReplicaSet, Failure> {
        let name = checked.name.to_string();
        let is = self.sets.get(&name).map(|held| held.desired.borrow().clone());
        let generation = is.as_ref().map_or(0, |is| is.set.generation);
        if expected != 0 && expected != generation {
            return Err(Refusal::Generation { name, is: generation, expected }.into());
        }
        let Some(is) = is else { return self.create(checked).await };
        if is.set.removing {
            return Err(Refusal::Removing(name).into());
        }
        let before = is.spec();
        if before != checked.spec {
            let mut next = (*is).clone();
            next.set.generation += 1;
            if !spec::same_instances(&before, &checked.spec) {
                next.set.template_generation = next.set.generation;
            }
            next.set.count = checked.count;
            next.set.strategy = checked.strategy;
            next.specs.insert(next.set.generation, checked.spec);
            self.change(next).await?;
        }
        Ok(self.message(&name))
    }

    async fn create(&mut self, checked: Checked) -> Result<ReplicaSet, Failure> {
        if self.sets.len() >= SETS_MAX {
            return Err(Refusal::TooMany.into());
        }
        if let Some(cause) = self.damaged.get(checked.name.as_str()) {
            return Err(Refusal::Damaged { name: checked.name.to_string(), cause: cause.clone() }.into());
        }
        let set = SetRecord {
            name: checked.name.to_string(),
            uid: format!("{:016x}", rand::random::<u64>()),
            generation: 1,
            template_generation: 1,
            count: checked.count,
            strategy: checked.strategy,
            removing: false,
            created_at_ms: self.term.clock.now().0,
            other: serde_json::Map::new(),
        };
        let specs = BTreeMap::from([(1, checked.spec)]);
        self.term.store.put_set(&set, &specs, &[]).await?;
        tracing::info!(set = %set.name, uid = %set.uid, count = set.count, "a replicaset was created");
        let name = set.name.clone();
        self.start(Desired { set, specs });
        self.publish();
        Ok(self.message(&name))
    }

    pub(super) async fn scale(&mut self, name: &SetName, count: u32) -> Result<ReplicaSet, Failure> {
        let mut next = self.changeable(name)?;
        if next.set.count != count {
            let mut spec = next.spec();
            spec.count = i32::try_from(count).unwrap_or(i32::MAX);
            next.set.generation += 1;
            next.set.count = count;
            next.specs.insert(next.set.generation, spec);
            self.change(next).await?;
        }
        Ok(self.message(name.as_str()))
    }

    pub(super) async fn remove(
        &mut self,
        name: &SetName,
        keep_workloads: bool,
        reply: RemoveReply,
    ) -> Result<(), Error> {
        let Some(held) = self.sets.get(name.as_str()) else {
            return answer(reply, Err(Refusal::NotFound(name.to_string()).into()));
        };
        let mut next = (**held.desired.borrow()).clone();
        let uid = next.set.uid.clone();
        if keep_workloads {
            if let Err(error) = self.term.store.delete_set(&next.set).await {
                return answer(reply, Err(error.into()));
            }
            held.stop.cancel();
            self.forget(name.as_str(), &uid, Vec::new());
            return answer(reply, Ok(Vec::new()));
        }
        if !next.set.removing {
            next.set.removing = true;
            if let Err(failure) = self.change(next).await {
                return answer(reply, Err(failure));
            }
        }
        let waiting = self.waiting.entry(uid).or_default();
        // Who has given up and asks again is one, not two.
        waiting.retain(|reply| !reply.is_closed());
        waiting.push(reply);
        Ok(())
    }

    /// The set, if it may be changed.
    fn changeable(&self, name: &SetName) -> Result<Desired, Refusal> {
        let held = self.sets.get(name.as_str()).ok_or_else(|| Refusal::NotFound(name.to_string()))?;
        let desired = (**held.desired.borrow()).clone();
        if desired.set.removing { Err(Refusal::Removing(name.to_string())) } else { Ok(desired) }
    }

    /// Stores a changed set, then tells its worker.
    async fn change(&mut self, mut next: Desired) -> Result<(), Failure> {
        let held = self.sets.get(&next.set.name).expect("only sets that are there are changed");
        let mut used: Vec<u64> = held.shown.borrow().generations.iter().copied().collect();
        // Before the set was seen it is not known what its instances are made of.
        let is_seen = !used.is_empty();
        used.extend([next.set.generation, next.set.template_generation, held.desired.borrow().set.template_generation]);
        let forget = if is_seen { store::forgettable(&next.specs, &used) } else { Vec::new() };
        self.term.store.put_set(&next.set, &next.specs, &forget).await?;
        forget.iter().for_each(|generation| drop(next.specs.remove(generation)));
        tracing::info!(set = %next.set.name, generation = next.set.generation, count = next.set.count, removing = next.set.removing, "a replicaset was changed");
        held.desired.send_replace(Arc::new(next));
        self.version.send_modify(|version| *version += 1);
        Ok(())
    }
}

/// Why a command failed: for the caller, or for all of us.
pub(super) enum Failure {
    Refused(Refusal),
    Fatal(Error),
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Store(error) => Self::Refused(Refusal::Store(error.to_string())),
            Error::Record { .. } => Self::Refused(Refusal::Store(error.to_string())),
            error => Self::Fatal(error),
        }
    }
}

/// Answers a caller, who may have gone away, and passes on what ends the term.
pub(super) fn answer<T>(reply: oneshot::Sender<Result<T, Refusal>>, result: Result<T, Failure>) -> Result<(), Error> {
    match result {
        Ok(value) => drop(reply.send(Ok(value))),
        Err(Failure::Refused(refusal)) => drop(reply.send(Err(refusal))),
        Err(Failure::Fatal(error)) => {
            drop(reply.send(Err(Refusal::NotLeading)));
            return Err(error);
        }
    }
    Ok(())
}
