//! Networks of engines.

use super::{check, service::CoreService};
use crate::cluster::{
    Result,
    networks::{ConnectRequest, DisconnectRequest},
};
use eru_api::pb;
use eru_runtime::Network;

impl CoreService {
    pub(super) async fn network_list(&self, request: pb::ListNetworkOptions) -> Result<pb::Networks> {
        let pod = check::pod(&request.podname)?;
        let networks = self.cluster.networks(&pod, &request.driver).await?;
        Ok(pb::Networks { networks: networks.into_iter().map(to_pb).collect() })
    }

    pub(super) async fn network_connect(&self, request: pb::ConnectNetworkOptions) -> Result<pb::Network> {
        Ok(to_pb(self.cluster.connect(&ConnectRequest::from_pb(&request)?).await?))
    }

    pub(super) async fn network_disconnect(&self, request: pb::DisconnectNetworkOptions) -> Result<pb::Empty> {
        self.cluster.disconnect(&DisconnectRequest::from_pb(&request)?).await?;
        Ok(pb::Empty {})
    }
}

fn to_pb(network: Network) -> pb::Network {
    pb::Network { name: network.name, subnets: network.subnets }
}
