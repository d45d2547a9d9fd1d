//! The placement of a replacement, and its name.

use crate::{
    cluster::{
        Cluster, DeployRequest, Owner, Result,
        execute::{Current, TakenOver},
        locks::Held,
        now_ms,
        writer::Write,
    },
    keys,
    record::{self, Placement, PlacementState, Replaced, Versioned},
};
use eru_kv::{Guard, Op};
use eru_types::{
    Ident, WorkloadName,
    labels::{COREID, ERU, NODENAME},
};
use rand::{Rng, distr::Alphabetic};

/// Letters that make a workload's name unique.
const IDENT_LEN: usize = 6;

impl Cluster {
    /// Writes the new one, and that it is to take the old one's place.
    pub(super) async fn plan_replacement(
        &self,
        old: &mut Current,
        name: WorkloadName,
        seq: usize,
        deploy: &DeployRequest,
        ran: bool,
    ) -> Result<Current> {
        let mut spec = deploy.spec.clone();
        spec.labels.set(ERU, "1");
        spec.labels.set(NODENAME, old.placement.node.as_str());
        spec.labels.set(COREID, self.core_id.as_str());
        let new = Versioned::new(Placement {
            name: name.clone(),
            pod: old.placement.pod.clone(),
            node: old.placement.node.clone(),
            state: PlacementState::Planned,
            resources: old.placement.resources,
            allotment: old.placement.allotment.clone(),
            spec,
            engine_id: None,
            core: self.instance.clone(),
            op_id: deploy.op_id.clone(),
            seq: u32::try_from(seq).unwrap_or(u32::MAX),
            owner: deploy.owner.as_ref().map(|owner| owner.name.clone()).unwrap_or_default(),
            created_at_ms: now_ms(),
            replaces: Some(Replaced { name: old.placement.name.clone(), ran }),
            successor: None,
        });
        let mut lent = old.placement.clone();
        lent.successor = Some(name.clone());
        let key = keys::placement(&new.node, &name);
        let mut guards = vec![old.guard(), Guard::Absent(key.clone())];
        if let Some(owner) = &deploy.owner {
            guards.push(self.tasks.fences.guard(&*self.kv, owner).await?);
        }
        let ops = vec![Op::put(key, record::encode(&new)), Op::put(old.key(), record::encode(&lent))];
        match self.tasks.writer.write(Write { guards, ops }).await? {
            Some(revision) => {
                *old = Current { placement: lent, revision };
                Ok(Current { placement: new, revision })
            }
            None => {
                deploy.owner.iter().for_each(|owner: &Owner| self.tasks.fences.forget(owner));
                Err(TakenOver.into())
            }
        }
    }

    /// A name that nobody has, with its lock.
    pub(super) fn fresh_name(&self, deploy: &DeployRequest) -> (WorkloadName, Held) {
        loop {
            let ident: String = rand::rng().sample_iter(Alphabetic).take(IDENT_LEN).map(char::from).collect();
            let name = WorkloadName {
                app: deploy.app.clone(),
                entrypoint: deploy.entrypoint.clone(),
                ident: Ident::new(ident).expect("six letters are an ident"),
            };
            if self.cache.workload_by_name(&name).is_none()
                && let Some(held) = self.tasks.locks.try_acquire(name.to_string())
            {
                return (name, held);
            }
        }
    }
}
