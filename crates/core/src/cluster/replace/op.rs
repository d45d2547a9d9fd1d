//! The op id of a request, claimed before anything is done for it.

use super::ReplaceRequest;
use crate::{
    cluster::{Cluster, Error, Result, deploy::another_request, now_ms, read::read, writer::Write},
    keys,
    record::{self, OpRecord, Versioned},
};
use eru_kv::{Guard, Op};

impl Cluster {
    /// Claims the op id of a request, if it has one.
    ///
    /// # Errors
    /// [`Error::Exists`] for a request that came before, [`Error::Precondition`] when another one had the op id.
    pub(super) async fn claim_op(&self, request: &ReplaceRequest) -> Result<()> {
        let deploy = &request.deploy;
        if deploy.op_id.is_empty() {
            return Ok(());
        }
        let key = keys::op(&deploy.op_id);
        let op = Versioned::new(OpRecord {
            digest: request.digest.clone(),
            app: deploy.app.clone(),
            entrypoint: deploy.entrypoint.clone(),
            count: u32::try_from(request.ids.len()).unwrap_or(u32::MAX),
            created_at_ms: now_ms(),
            placing: String::new(),
        });
        let mut guards = vec![Guard::Absent(key.clone())];
        if let Some(owner) = &deploy.owner {
            guards.push(self.tasks.fences.guard(&*self.kv, owner).await?);
        }
        let write = Write { guards, ops: vec![Op::put(key.clone(), record::encode(&op))] };
        if self.tasks.writer.write(write).await?.is_some() {
            return Ok(());
        }
        let Some(kv) = read(&*self.kv, &[key]).await?.values.into_iter().next().flatten() else {
            deploy.owner.iter().for_each(|owner| self.tasks.fences.forget(owner));
            return Err(Error::Conflict("another leader of the owner came in between; try again".into()));
        };
        let op_id = &deploy.op_id;
        let known: Versioned<OpRecord> =
            record::decode(&kv.value).map_err(|error| Error::Internal(format!("op {op_id}: {error}")))?;
        if known.digest != request.digest {
            return Err(another_request(op_id, &known));
        }
        Err(Error::Exists(format!(
            "op_id \"{op_id}\" came before, and its replacements are not made twice; the workloads with this op_id are those \
             that it made"
        )))
    }
}
