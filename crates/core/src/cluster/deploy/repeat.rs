//! A deploy whose op id was used before: it makes nothing, and answers with what the first one made.

use super::{
    super::{DeployOutcome, Error, Result, read::read},
    Deploy, another_request,
};
use crate::{
    cache::WorkloadView,
    keys,
    record::{self, OpRecord, PlacementState, Versioned},
};
use eru_types::WorkloadName;
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// How long a repeated deploy waits for a change before it looks again at its instances.
const OP_LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long it rests between two looks: a busy store changes thousands of times a second.
const OP_REST: Duration = Duration::from_millis(20);
/// How long it waits for another core to commit the rest: the largest deploy takes seconds, and below is what clients wait.
const PLACING_PATIENCE: Duration = Duration::from_secs(20);

impl Deploy {
    /// What the first deploy of this op id came to, when nothing more of it will be committed. The planner of this core takes
    /// deploys of one op id one after the other, so only another core may still be at it; one that died is not.
    ///
    /// # Errors
    /// [`Error::Precondition`] for another request's op id, [`Error::Unavailable`] when the other core takes too long.
    pub(super) async fn settled(&self, mut op: OpRecord) -> Result<OpRecord> {
        let (cluster, op_id) = (&self.cluster, &self.request.op_id);
        if op.digest != self.request.digest {
            return Err(another_request(op_id, &op));
        }
        let deadline = Instant::now() + PLACING_PATIENCE;
        while !op.placing.is_empty() && op.placing != cluster.instance {
            cluster.cache.linearizable().await?;
            if !cluster.cache.cores().iter().any(|core| core.instance == op.placing) {
                break;
            }
            if Instant::now() >= deadline || self.gone.is_cancelled() {
                return Err(Error::Unavailable(format!(
                    "op_id \"{op_id}\" is still being placed by core {}; repeat it later to get all of its instances",
                    op.placing
                )));
            }
            tokio::time::sleep(OP_REST).await;
            let revision = cluster.cache.revision();
            cluster.cache.wait_for(revision.next(), OP_LOOK_EVERY).await;
            match read(&*cluster.kv, &[keys::op(op_id)]).await?.values.into_iter().next().flatten() {
                // Forgotten, as it is a day old.
                None => break,
                Some(kv) => {
                    let now: Versioned<OpRecord> =
                        record::decode(&kv.value).map_err(|error| Error::Internal(format!("op {op_id}: {error}")))?;
                    op = now.record;
                }
            }
        }
        Ok(op)
    }

    /// Answers with what the first deploy of this op id made, waiting for what is still in the making.
    pub(super) async fn repeat(self, op: &OpRecord) {
        let (cache, op_id) = (&self.cluster.cache, &self.request.op_id);
        let tell = async |outcome| {
            // A client that left does not want to know.
            let _ = self.outcomes.send(outcome).await;
        };
        if let Err(error) = cache.linearizable().await {
            for _ in 0..op.count {
                tell(DeployOutcome::failed(error.to_string(), op_id)).await;
            }
            return;
        }
        let mut revision = cache.revision();
        // All placements are looked at once; from then on its own are asked for by their names, which never change.
        let ours = cache.placements().into_iter().filter(|view| view.placement.op_id == *op_id && !view.removed);
        let mut found: BTreeMap<u32, Arc<WorkloadView>> = ours.map(|view| (view.placement.seq, view)).collect();
        let mut waiting: BTreeMap<u32, Option<WorkloadName>> =
            (0..op.count).map(|seq| (seq, found.get(&seq).map(|view| view.placement.name.clone()))).collect();
        loop {
            let mut still = BTreeMap::new();
            for (seq, name) in waiting {
                match found.get(&seq).map(|view| (view, view.placement.state)) {
                    Some((view, PlacementState::Running)) => tell(DeployOutcome::of(&view.placement)).await,
                    Some((_, PlacementState::Planned | PlacementState::Created)) => drop(still.insert(seq, name)),
                    Some((view, PlacementState::Removing)) => {
                        let name = &view.placement.name;
                        let error = format!("instance {seq} of op \"{op_id}\", workload {name}, is being removed");
                        tell(DeployOutcome { error, id: None, ..DeployOutcome::of(&view.placement) }).await;
                    }
                    None => {
                        let error = format!("instance {seq} of op \"{op_id}\" failed or was removed since");
                        tell(DeployOutcome::failed(error, op_id)).await;
                    }
                }
            }
            waiting = still;
            if waiting.is_empty() || self.outcomes.is_closed() {
                return;
            }
            tokio::time::sleep(OP_REST).await;
            // Nothing is lost when it does not come: the next look is a look at all that are waited for.
            cache.wait_for(revision.next(), OP_LOOK_EVERY).await;
            revision = cache.revision();
            let look =
                |(seq, name): (&u32, &Option<WorkloadName>)| Some((*seq, cache.workload_by_name(name.as_ref()?)?));
            found = waiting.iter().filter_map(look).filter(|(_, view)| !view.removed).collect();
        }
    }
}
