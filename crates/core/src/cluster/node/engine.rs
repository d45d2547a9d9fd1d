//! What a node's engine is and says.

use crate::{
    cache::{NodeState, NodeView},
    cluster::{
        Cluster, Error, Result,
        engines::{Address, Engine, PROCESS_ENDPOINT},
        locks::Held,
    },
    record::NodeRecord,
};
use eru_runtime::{Error as RuntimeError, Info, Runtime, RuntimeKind};
use eru_types::NodeName;
use std::time::Duration;

impl Cluster {
    /// The engine of a node.
    ///
    /// # Errors
    /// [`Error::NotFound`] without the node; for an engine that this core cannot reach.
    pub fn engine_of(&self, node: &NodeName) -> Result<Engine> {
        let view = self.cache.node(node).ok_or_else(|| Error::no_node(node))?;
        self.engines.open(&view.record.record)
    }

    /// The engine of a node that is not held to be dead.
    ///
    /// # Errors
    /// [`Error::Unavailable`] for a node that is lost; for an engine that this core cannot reach.
    pub(crate) fn live_engine(&self, node: &NodeView) -> Result<Engine> {
        if node.state() == NodeState::Lost {
            return Err(Error::Unavailable(format!("node \"{}\" is lost", node.name())));
        }
        self.engines.open(&node.record.record)
    }

    /// Bounds a question to a node's engine by what a live one takes.
    pub(crate) async fn ask<T>(
        &self,
        node: &NodeName,
        question: impl Future<Output = eru_runtime::Result<T>>,
    ) -> Result<T> {
        let patience = self.settings.connection_timeout;
        match tokio::time::timeout(patience, question).await {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(Error::Unavailable(format!("engine of node \"{node}\" did not answer in {patience:?}"))),
        }
    }

    /// Refuses a second node of plain commands: both would be this machine, which has its cores and memory once. What it
    /// answers is to be held until the node is written, or two of them at once would not see each other.
    pub(super) async fn check_alone(&self, node: &NodeName, kind: RuntimeKind) -> Result<Option<Held>> {
        if kind != RuntimeKind::Process {
            return Ok(None);
        }
        let turn = self.tasks.locks.acquire(PROCESS_ENDPOINT).await;
        self.cache.linearizable().await?;
        let others = self.cache.nodes(None);
        match others.iter().find(|other| other.name() != node && other.record.runtime == kind.as_str()) {
            None => Ok(Some(turn)),
            Some(other) => Err(Error::Precondition(format!(
                "node {node}: this machine's plain commands are node {} already; use that one, or remove it first",
                other.name()
            ))),
        }
    }

    /// Forgets the engine that `node` had by `former`, unless another node has it too. A node that is added with it at this
    /// moment opens it again.
    pub(super) fn forget_engine(&self, node: &NodeName, former: &NodeRecord) {
        let same = |other: &NodeRecord| other.endpoint == former.endpoint && other.tls == former.tls;
        if !self.cache.nodes(None).iter().any(|other| other.name() != node && same(&other.record)) {
            self.engines.forget(former);
        }
    }

    /// Forgets the engines that no node has any more, through whichever core it lost them. A node that is being added opens
    /// its own again.
    pub(crate) fn forget_engines(&self) {
        let nodes = self.cache.nodes(None);
        self.engines.keep(|at| nodes.iter().any(|node| Address::from(&node.record.record) == at));
    }

    /// Asks the engine at an address what its machine has.
    ///
    /// # Errors
    /// For an address that this core cannot reach; [`Error::Unavailable`] when it does not answer in time, [`Error::Precondition`]
    /// when it is not one that can be used.
    pub async fn engine_info(&self, at: Address<'_>, patience: Duration) -> Result<(RuntimeKind, Info)> {
        let engine = self.engines.open(at)?;
        Ok((engine.runtime.kind(), info_of(&*engine.runtime, at.endpoint, patience).await?))
    }

    /// Refuses to give `former` the engine that `now` names when that does not answer: all workloads of the node would be out
    /// of reach. Engines of this process are not asked: a simulated one may be made to be silent.
    pub(super) async fn check_answers(&self, former: &NodeRecord, now: &NodeRecord) -> Result<()> {
        let Some(runtime) = self.engines.outside(now)? else { return Ok(()) };
        let stays = |text: String| {
            let (name, kept) = (&former.name, eru_types::name::excerpt(&former.endpoint));
            format!(
                "{text}; node \"{name}\" keeps its engine at {kept}: see that the new one answers, then set it again"
            )
        };
        match info_of(&*runtime, &now.endpoint, self.settings.connection_timeout).await {
            Ok(_) => Ok(()),
            Err(Error::Unavailable(text)) => Err(Error::Unavailable(stays(text))),
            Err(error) => Err(Error::Precondition(stays(error.to_string()))),
        }
    }

    /// What is shown of a node's engine: the original's JSON, or why there is none.
    pub async fn engine_text(&self, node: &NodeRecord, patience: Duration) -> Result<String> {
        let (kind, info) = self.engine_info(node.into(), patience).await?;
        let id = serde_json::Value::from(info.id);
        let (kind, cores, memory, storage) = (kind.as_str(), info.cores, info.memory_bytes, info.storage_bytes);
        Ok(format!(r#"{{"Type":"{kind}","ID":{id},"NCPU":{cores},"MemTotal":{memory},"StorageTotal":{storage}}}"#))
    }
}

/// Asks a runtime what its machine has.
async fn info_of(runtime: &dyn Runtime, endpoint: &str, patience: Duration) -> Result<Info> {
    let endpoint = eru_types::name::excerpt(endpoint);
    let silent = |cause: String| Error::Unavailable(format!("engine at {endpoint} did not answer: {cause}"));
    match tokio::time::timeout(patience, runtime.info()).await {
        Ok(Ok(info)) => Ok(info),
        Ok(Err(RuntimeError::Unavailable { cause, .. })) => Err(silent(cause)),
        Ok(Err(error)) => Err(Error::Precondition(format!("engine at {endpoint} cannot be used: {error}"))),
        Err(_) => Err(silent(format!("no answer in {} s", patience.as_secs_f32()))),
    }
}
