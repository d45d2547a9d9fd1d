//! Pods.

use super::{
    check::{self, TEXT_BYTES_MAX},
    service::CoreService,
};
use crate::{
    cache::Wanted,
    cluster::{Error, Result},
    record::PodRecord,
};
use eru_api::pb;

fn to_pb(pod: &PodRecord) -> pb::Pod {
    pb::Pod { name: pod.name.to_string(), desc: pod.desc.clone() }
}

impl CoreService {
    pub(super) async fn pod_add(&self, request: pb::AddPodOptions) -> Result<pb::Pod> {
        let name = check::pod(&request.name)?;
        check::text("desc", &request.desc, TEXT_BYTES_MAX)?;
        Ok(to_pb(&self.cluster.add_pod(name, request.desc).await?))
    }

    pub(super) async fn pod_remove(&self, request: pb::RemovePodOptions) -> Result<pb::Empty> {
        self.cluster.remove_pod(&check::pod(&request.name)?).await?;
        Ok(pb::Empty {})
    }

    pub(super) async fn pod_get(&self, request: pb::GetPodOptions) -> Result<pb::Pod> {
        let name = check::pod(&request.name)?;
        let cache = self.cluster.cache.fresh(&*self.cluster.kv, Wanted::Pod(&name)).await?;
        let pod = cache.pod(&name).ok_or_else(|| Error::no_pod(&name))?;
        Ok(to_pb(&pod.record))
    }

    pub(super) async fn pod_list(&self) -> Result<pb::Pods> {
        let cache = self.cluster.cache.fresh(&*self.cluster.kv, Wanted::Pods).await?;
        let pods = cache.pods().iter().map(|pod| to_pb(&pod.record)).collect();
        Ok(pb::Pods { pods })
    }
}
