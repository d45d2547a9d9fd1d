//! What became of one instance.

use crate::{cluster::Error, record::Placement};
use eru_runtime::Error as RuntimeError;
use eru_scheduler::{Refusal, RefusalKind};
use eru_types::{Allotment, EngineId, NodeName, Resources, WorkloadName};
use std::collections::BTreeMap;

/// What became of one instance of a deploy.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DeployOutcome {
    /// The workload's name; `None` when the instance was never placed.
    pub name: Option<WorkloadName>,
    /// Its pod.
    pub pod: String,
    /// Its node.
    pub node: Option<NodeName>,
    /// The engine's id; `None` when it failed.
    pub id: Option<EngineId>,
    /// What it takes.
    pub resources: Resources,
    /// Its cores and volumes.
    pub allotment: Allotment,
    /// Network name to `ip:port,ip:port`.
    pub publish: BTreeMap<String, String>,
    /// What its hooks said.
    pub hook: Vec<u8>,
    /// Why it failed; empty = it runs.
    pub error: String,
    /// What about the request itself is to blame for it; `None` = something else, or nothing.
    pub refused: Option<RefusalKind>,
    /// The deploy.
    pub op_id: String,
}

impl DeployOutcome {
    /// Of an instance that was never placed.
    pub(crate) fn failed(error: impl Into<String>, op_id: &str) -> Self {
        Self { error: error.into(), op_id: op_id.to_owned(), ..Self::default() }
    }

    /// Of a deploy that found no place.
    pub(crate) fn refused(refusal: &Refusal, op_id: &str) -> Self {
        Self { refused: Some(refusal.kind), ..Self::failed(refusal.to_string(), op_id) }
    }

    /// The same, failed for `error`: no engine has it.
    pub(crate) fn because(self, error: &Error) -> Self {
        let is_wrong = matches!(error, Error::Invalid(_) | Error::Runtime(RuntimeError::Invalid(_)));
        Self { id: None, error: error.to_string(), refused: is_wrong.then_some(RefusalKind::Invalid), ..self }
    }

    pub(crate) fn of(placement: &Placement) -> Self {
        Self {
            name: Some(placement.name.clone()),
            pod: placement.pod.to_string(),
            node: Some(placement.node.clone()),
            id: placement.engine_id.clone(),
            resources: placement.resources,
            allotment: placement.allotment.clone(),
            publish: BTreeMap::new(),
            hook: Vec::new(),
            error: String::new(),
            refused: None,
            op_id: placement.op_id.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_wrong_request_is_to_blame_for_itself() {
        let refused = |error: Error| DeployOutcome::default().because(&error).refused;
        assert_eq!(refused(Error::Invalid("privileged".into())), Some(RefusalKind::Invalid));
        assert_eq!(refused(RuntimeError::Invalid("raw_args: unknown key".into()).into()), Some(RefusalKind::Invalid));
        assert_eq!(refused(RuntimeError::Failed("no space left on device".into()).into()), None);
        assert_eq!(refused(Error::Precondition("image not found".into())), None);
        assert_eq!(refused(Error::NotFound("the node was removed meanwhile".into())), None);
    }
}
