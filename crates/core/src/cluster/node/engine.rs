//! What a node's engine is and says.

use crate::{
    cluster::{Cluster, Error, Result},
    record::NodeRecord,
};
use eru_runtime::{Info, RuntimeKind};
use eru_types::NodeName;
use std::time::Duration;

impl Cluster {
    /// Forgets the engine that `node` had, unless another node has it too. A node that is added with it at this moment
    /// opens it again.
    pub(super) fn forget_engine(&self, node: &NodeName, endpoint: &str) {
        let nodes = self.cache.nodes(None);
        if !nodes.iter().any(|other| other.name() != node && other.record.endpoint == endpoint) {
            self.engines.forget(endpoint);
        }
    }

    /// Asks the engine behind an endpoint what its machine has.
    ///
    /// # Errors
    /// For an endpoint that this core cannot reach; [`Error::Unavailable`] when it does not answer in time.
    pub async fn engine_info(&self, endpoint: &str, patience: Duration) -> Result<(RuntimeKind, Info)> {
        let engine = self.engines.open(endpoint)?;
        let silent = |cause: String| {
            let endpoint = eru_types::name::excerpt(endpoint);
            Error::Unavailable(format!("engine at {endpoint} did not answer: {cause}"))
        };
        match tokio::time::timeout(patience, engine.runtime.info()).await {
            Ok(Ok(info)) => Ok((engine.runtime.kind(), info)),
            Ok(Err(error)) => Err(silent(error.to_string())),
            Err(_) => Err(silent(format!("no answer in {} s", patience.as_secs_f32()))),
        }
    }

    /// What is shown of a node's engine: the original's JSON, or why there is none.
    pub async fn engine_text(&self, node: &NodeRecord, patience: Duration) -> Result<String> {
        let (kind, info) = self.engine_info(&node.endpoint, patience).await?;
        let id = serde_json::Value::from(info.id);
        let (kind, cores, memory, storage) = (kind.as_str(), info.cores, info.memory_bytes, info.storage_bytes);
        Ok(format!(r#"{{"Type":"{kind}","ID":{id},"NCPU":{cores},"MemTotal":{memory},"StorageTotal":{storage}}}"#))
    }
}
