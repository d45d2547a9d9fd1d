//! All methods of the public API, each with the handler that it goes to.

use super::{
    streams::Answers,
    unimplemented::{BUILD, REALLOC, missing},
};
use crate::{
    cluster::Cluster,
    options::{ServerLimits, StoreClass},
    watch::{self, StreamLimits, Subscribe},
};
use eru_api::pb::{self, core_rpc_server::CoreRpc};
use eru_types::Build;
use futures::StreamExt;
use std::sync::Arc;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};

/// The public API of one core. Cheap to clone.
#[derive(Clone)]
pub struct CoreService {
    pub(super) cluster: Arc<Cluster>,
    pub(super) store: StoreClass,
    pub(super) stream_limits: StreamLimits,
    pub(super) stopping: CancellationToken,
    /// When this core started, as RFC 3339.
    pub(super) started_at: String,
    pub(super) build: Build,
}

impl CoreService {
    pub(crate) fn new(
        cluster: Arc<Cluster>,
        store: StoreClass,
        limits: ServerLimits,
        build: Build,
        stopping: CancellationToken,
    ) -> Self {
        let stream_limits = StreamLimits::new(limits.streams_max).with_request_bytes_max(limits.recv_message_bytes_max);
        let started_at = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
        Self { cluster, store, stream_limits, stopping, started_at, build }
    }

    pub(crate) fn stream_limits(&self) -> StreamLimits {
        self.stream_limits.clone()
    }
}

type Answer<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl CoreRpc for CoreService {
    async fn info(&self, _: Request<pb::Empty>) -> Answer<pb::CoreInfo> {
        Ok(Response::new(self.core_info().await?))
    }

    async fn add_pod(&self, request: Request<pb::AddPodOptions>) -> Answer<pb::Pod> {
        Ok(Response::new(self.pod_add(request.into_inner()).await?))
    }

    async fn remove_pod(&self, request: Request<pb::RemovePodOptions>) -> Answer<pb::Empty> {
        Ok(Response::new(self.pod_remove(request.into_inner()).await?))
    }

    async fn get_pod(&self, request: Request<pb::GetPodOptions>) -> Answer<pb::Pod> {
        Ok(Response::new(self.pod_get(request.into_inner()).await?))
    }

    async fn list_pods(&self, _: Request<pb::Empty>) -> Answer<pb::Pods> {
        Ok(Response::new(self.pod_list().await?))
    }

    async fn get_pod_resource(&self, request: Request<pb::GetPodOptions>) -> Answer<pb::PodResource> {
        Ok(Response::new(self.pod_resource(request.into_inner()).await?))
    }

    async fn add_node(&self, request: Request<pb::AddNodeOptions>) -> Answer<pb::Node> {
        Ok(Response::new(self.node_add(request.into_inner()).await?))
    }

    async fn remove_node(&self, request: Request<pb::RemoveNodeOptions>) -> Answer<pb::Empty> {
        Ok(Response::new(self.node_remove(request.into_inner()).await?))
    }

    async fn get_node(&self, request: Request<pb::GetNodeOptions>) -> Answer<pb::Node> {
        Ok(Response::new(self.node_get(request.into_inner()).await?))
    }

    async fn set_node(&self, request: Request<pb::SetNodeOptions>) -> Answer<pb::Node> {
        Ok(Response::new(self.node_set(request.into_inner()).await?))
    }

    async fn set_node_status(&self, request: Request<pb::SetNodeStatusOptions>) -> Answer<pb::Empty> {
        Ok(Response::new(self.node_status_set(request.into_inner()).await?))
    }

    async fn get_node_status(&self, request: Request<pb::GetNodeStatusOptions>) -> Answer<pb::NodeStatusStreamMessage> {
        Ok(Response::new(self.node_status_get(request.into_inner()).await?))
    }

    async fn get_node_resource(&self, request: Request<pb::GetNodeResourceOptions>) -> Answer<pb::NodeResource> {
        Ok(Response::new(self.node_resource(request.into_inner()).await?))
    }

    async fn get_node_engine(&self, request: Request<pb::GetNodeOptions>) -> Answer<pb::Engine> {
        Ok(Response::new(self.node_engine(request.into_inner()).await?))
    }

    async fn calculate_capacity(&self, request: Request<pb::DeployOptions>) -> Answer<pb::CapacityMessage> {
        Ok(Response::new(self.capacity(request.into_inner()).await?))
    }

    async fn get_workload(&self, request: Request<pb::WorkloadId>) -> Answer<pb::Workload> {
        Ok(Response::new(self.workload_get(request.into_inner()).await?))
    }

    async fn get_workloads(&self, request: Request<pb::WorkloadIDs>) -> Answer<pb::Workloads> {
        Ok(Response::new(self.workload_get_many(request.into_inner()).await?))
    }

    async fn list_node_workloads(&self, request: Request<pb::GetNodeOptions>) -> Answer<pb::Workloads> {
        Ok(Response::new(self.workload_list_node(request.into_inner()).await?))
    }

    async fn get_workloads_status(&self, request: Request<pb::WorkloadIDs>) -> Answer<pb::WorkloadsStatus> {
        Ok(Response::new(self.status_get(request.into_inner()).await?))
    }

    async fn set_workloads_status(
        &self,
        request: Request<pb::SetWorkloadsStatusOptions>,
    ) -> Answer<pb::WorkloadsStatus> {
        Ok(Response::new(self.status_set(request.into_inner()).await?))
    }

    async fn list_pod_nodes(&self, request: Request<pb::ListNodesOptions>) -> Answer<pb::Nodes> {
        let nodes = self.node_list(request.into_inner()).await?.collect().await;
        Ok(Response::new(pb::Nodes { nodes }))
    }

    type PodNodesStreamStream = Answers<pb::Node>;

    async fn pod_nodes_stream(&self, request: Request<pb::ListNodesOptions>) -> Answer<Self::PodNodesStreamStream> {
        let nodes = self.node_list(request.into_inner()).await?;
        Ok(Response::new(nodes.map(Ok).boxed()))
    }

    type WatchServiceStatusStream = Answers<pb::ServiceStatus>;

    async fn watch_service_status(&self, _: Request<pb::Empty>) -> Answer<Self::WatchServiceStatusStream> {
        Ok(Response::new(self.service_status()?))
    }

    type NodeStatusStreamStream = Answers<pb::NodeStatusStreamMessage>;

    async fn node_status_stream(&self, _: Request<pb::Empty>) -> Answer<Self::NodeStatusStreamStream> {
        let cache = self.cluster.cache.clone();
        let messages = watch::nodes::stream(cache, &self.stream_limits, self.stopping.clone())?;
        Ok(Response::new(messages.boxed()))
    }

    type WorkloadStatusStreamStream = Answers<pb::WorkloadStatusStreamMessage>;

    /// The server answers this method before it comes here ([`watch::serve`]), with the same messages already encoded.
    async fn workload_status_stream(
        &self,
        request: Request<pb::WorkloadStatusStreamOptions>,
    ) -> Answer<Self::WorkloadStatusStreamStream> {
        let wanted = Subscribe::parse(request.into_inner(), &self.stream_limits)?;
        let cache = self.cluster.cache.clone();
        let frames = watch::subscribe(cache, wanted, &self.stream_limits, self.stopping.clone())?;
        let messages = frames.map(|frame| frame?.decode().map_err(|error| Status::internal(error.to_string())));
        Ok(Response::new(messages.boxed()))
    }

    type ListWorkloadsStream = Answers<pb::Workload>;

    async fn list_workloads(&self, request: Request<pb::ListWorkloadsOptions>) -> Answer<Self::ListWorkloadsStream> {
        Ok(Response::new(self.workload_list(request.into_inner()).await?))
    }

    type PodResourceStreamStream = Answers<pb::NodeResource>;

    async fn pod_resource_stream(&self, request: Request<pb::GetPodOptions>) -> Answer<Self::PodResourceStreamStream> {
        Ok(Response::new(self.pod_resources_one_by_one(request.into_inner()).await?))
    }

    type CreateWorkloadStream = Answers<pb::CreateWorkloadMessage>;

    async fn create_workload(&self, request: Request<pb::DeployOptions>) -> Answer<Self::CreateWorkloadStream> {
        Ok(Response::new(self.workload_create(request.into_inner()).await?))
    }

    type RemoveWorkloadStream = Answers<pb::RemoveWorkloadMessage>;

    async fn remove_workload(&self, request: Request<pb::RemoveWorkloadOptions>) -> Answer<Self::RemoveWorkloadStream> {
        Ok(Response::new(self.workload_remove(request.into_inner()).await?))
    }

    type DissociateWorkloadStream = Answers<pb::DissociateWorkloadMessage>;

    async fn dissociate_workload(
        &self,
        request: Request<pb::DissociateWorkloadOptions>,
    ) -> Answer<Self::DissociateWorkloadStream> {
        Ok(Response::new(self.workload_dissociate(request.into_inner()).await?))
    }

    type ControlWorkloadStream = Answers<pb::ControlWorkloadMessage>;

    async fn control_workload(
        &self,
        request: Request<pb::ControlWorkloadOptions>,
    ) -> Answer<Self::ControlWorkloadStream> {
        Ok(Response::new(self.workload_control(request.into_inner()).await?))
    }

    type LogStreamStream = Answers<pb::LogStreamMessage>;

    async fn log_stream(&self, request: Request<pb::LogStreamOptions>) -> Answer<Self::LogStreamStream> {
        Ok(Response::new(self.logs(request.into_inner()).await?))
    }

    async fn list_networks(&self, request: Request<pb::ListNetworkOptions>) -> Answer<pb::Networks> {
        Ok(Response::new(self.network_list(request.into_inner()).await?))
    }

    async fn connect_network(&self, request: Request<pb::ConnectNetworkOptions>) -> Answer<pb::Network> {
        Ok(Response::new(self.network_connect(request.into_inner()).await?))
    }

    async fn disconnect_network(&self, request: Request<pb::DisconnectNetworkOptions>) -> Answer<pb::Empty> {
        Ok(Response::new(self.network_disconnect(request.into_inner()).await?))
    }

    async fn realloc_resource(&self, _: Request<pb::ReallocOptions>) -> Answer<pb::ReallocResourceMessage> {
        Err(missing(REALLOC))
    }

    type CopyStream = Answers<pb::CopyMessage>;

    async fn copy(&self, request: Request<pb::CopyOptions>) -> Answer<Self::CopyStream> {
        Ok(Response::new(self.files_copy(request.into_inner()).await?))
    }

    type SendStream = Answers<pb::SendMessage>;

    async fn send(&self, request: Request<pb::SendOptions>) -> Answer<Self::SendStream> {
        Ok(Response::new(self.files_send(request.into_inner()).await?))
    }

    type BuildImageStream = Answers<pb::BuildImageMessage>;

    async fn build_image(&self, _: Request<pb::BuildImageOptions>) -> Answer<Self::BuildImageStream> {
        Err(missing(BUILD))
    }

    type CacheImageStream = Answers<pb::CacheImageMessage>;

    async fn cache_image(&self, request: Request<pb::CacheImageOptions>) -> Answer<Self::CacheImageStream> {
        Ok(Response::new(self.image_cache(request.into_inner()).await?))
    }

    type RemoveImageStream = Answers<pb::RemoveImageMessage>;

    async fn remove_image(&self, request: Request<pb::RemoveImageOptions>) -> Answer<Self::RemoveImageStream> {
        Ok(Response::new(self.image_remove(request.into_inner()).await?))
    }

    type ListImageStream = Answers<pb::ListImageMessage>;

    async fn list_image(&self, request: Request<pb::ListImageOptions>) -> Answer<Self::ListImageStream> {
        Ok(Response::new(self.image_list(request.into_inner()).await?))
    }

    type ReplaceWorkloadStream = Answers<pb::ReplaceWorkloadMessage>;

    async fn replace_workload(&self, request: Request<pb::ReplaceOptions>) -> Answer<Self::ReplaceWorkloadStream> {
        Ok(Response::new(self.workload_replace(request.into_inner()).await?))
    }

    type ExecuteWorkloadStream = Answers<pb::AttachWorkloadMessage>;

    async fn execute_workload(
        &self,
        request: Request<Streaming<pb::ExecuteWorkloadOptions>>,
    ) -> Answer<Self::ExecuteWorkloadStream> {
        Ok(Response::new(self.execute(request.into_inner()).await?))
    }

    type RunAndWaitStream = Answers<pb::AttachWorkloadMessage>;

    async fn run_and_wait(&self, request: Request<Streaming<pb::RunAndWaitOptions>>) -> Answer<Self::RunAndWaitStream> {
        Ok(Response::new(self.run_to_end(request.into_inner()).await?))
    }
}
