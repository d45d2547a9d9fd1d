//! Deploys and what is done with workloads afterwards.

use super::{service::CoreService, streams::Answers};
use crate::cluster::{Error, Result};
use eru_api::pb;

impl CoreService {
    pub(super) async fn capacity(&self, _: pb::DeployOptions) -> Result<pb::CapacityMessage> {
        Err(Error::Unimplemented("capacity".into()))
    }

    pub(super) async fn workload_create(&self, _: pb::DeployOptions) -> Result<Answers<pb::CreateWorkloadMessage>> {
        Err(Error::Unimplemented("deploy".into()))
    }

    pub(super) async fn workload_remove(
        &self,
        _: pb::RemoveWorkloadOptions,
    ) -> Result<Answers<pb::RemoveWorkloadMessage>> {
        Err(Error::Unimplemented("remove".into()))
    }

    pub(super) async fn workload_dissociate(
        &self,
        _: pb::DissociateWorkloadOptions,
    ) -> Result<Answers<pb::DissociateWorkloadMessage>> {
        Err(Error::Unimplemented("dissociate".into()))
    }

    pub(super) async fn workload_control(
        &self,
        _: pb::ControlWorkloadOptions,
    ) -> Result<Answers<pb::ControlWorkloadMessage>> {
        Err(Error::Unimplemented("control".into()))
    }
}
