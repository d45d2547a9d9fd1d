//! Networks of the daemon.

use super::{
    bodies::{ConnectBody, DisconnectBody, EndpointSettings},
    call::Call,
    fault::Fault,
    inspect::Joined,
    joins::{endpoint, joins, with_addresses},
    runtime::Docker,
    target::Target,
};
use crate::port::*;
use eru_types::{EngineId, labels};
use http::StatusCode;
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Found {
    name: String,
    #[serde(rename = "IPAM", default)]
    ipam: Ipam,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Ipam {
    #[serde(default)]
    config: Option<Vec<Pool>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Pool {
    #[serde(default)]
    subnet: String,
}

impl Docker {
    pub(super) async fn list_networks(&self, driver: &str) -> Result<Vec<Network>> {
        let target = Target::new(&["networks"]);
        let target =
            if driver.is_empty() { target } else { target.with("filters", json!({"driver": [driver]}).to_string()) };
        let found: Vec<Found> = self.transport.json(Call::get(target)).await.map_err(|fault| self.error(fault))?;
        let network = |found: Found| {
            let pools = found.ipam.config.unwrap_or_default();
            Network {
                name: found.name,
                subnets: pools.into_iter().map(|pool| pool.subnet).filter(|s| !s.is_empty()).collect(),
            }
        };
        Ok(found.into_iter().map(network).collect())
    }

    /// Refuses networks that are not there. The engine itself would make the container, and fail at its start.
    ///
    /// # Cost
    /// None for the networks that every engine has; else one round trip, and another for each that is given by its id.
    pub(super) async fn check_networks(&self, request: &CreateRequest) -> Result<()> {
        let joins = joins(request, &self.options)?;
        let wanted = joins.made_by_somebody();
        if wanted.is_empty() {
            return Ok(());
        }
        // The engine takes them for parts of names.
        let target = Target::new(&["networks"]).with("filters", json!({ "name": wanted }).to_string());
        let found: Vec<Found> = self.transport.json(Call::get(target)).await.map_err(|fault| self.error(fault))?;
        for network in wanted.into_iter().filter(|wanted| found.iter().all(|found| found.name != *wanted)) {
            match self.transport.done(Call::get(Target::new(&["networks", network]))).await {
                Ok(()) => {}
                Err(fault) if !fault.is(StatusCode::NOT_FOUND) => return Err(self.error(fault)),
                // A worker of a swarm learns of the swarm's networks when it starts something on them.
                Err(_) if self.daemon_info().await?.swarm.is_some_and(|swarm| swarm.is_worker()) => {}
                Err(_) => return Err(self.no_network(network, request)),
            }
        }
        Ok(())
    }

    fn no_network(&self, network: &str, request: &CreateRequest) -> Error {
        let node = request.labels.get(labels::NODENAME).map(|node| format!("node {node}, ")).unwrap_or_default();
        Error::Invalid(format!(
            "network {network:?} does not exist on {node}{}: create it there (`docker network create {network}`) or \
             choose one that is there (`eru-cli pod networks POD`)",
            self.endpoint()
        ))
    }

    /// # Cost
    /// Two round trips: which addresses it got only its description says.
    pub(super) async fn join_network(
        &self,
        network: &str,
        id: &EngineId,
        ipv4: &str,
        ipv6: &str,
    ) -> Result<Vec<String>> {
        let wanted =
            [ipv4, ipv6].map(|address| endpoint(network, address).map(|_| Some(address).filter(|a| !a.is_empty())));
        let [ipv4, ipv6] = wanted;
        let (ipv4, ipv6) = (ipv4?, ipv6?);
        let any = ipv4.is_none() && ipv6.is_none();
        self.join(network, id, &if any { EndpointSettings::default() } else { with_addresses(ipv4, ipv6) }).await?;
        let found = self.look(id.as_str()).await.map_err(self.error_of(id))?;
        let joined = found.network_settings.networks.unwrap_or_default();
        Ok(joined.get(network).into_iter().flatten().flat_map(Joined::addresses).collect())
    }

    /// Joins with these settings.
    pub(super) async fn join(&self, network: &str, id: &EngineId, settings: &EndpointSettings) -> Result<()> {
        let body = ConnectBody { container: id.as_str(), endpoint_config: settings };
        let call = Call::post(Target::new(&["networks", network, "connect"])).json(&body);
        self.transport.done(call).await.map_err(|fault| self.of_network(fault, network, id))
    }

    pub(super) async fn leave_network(&self, network: &str, id: &EngineId, force: bool) -> Result<()> {
        let body = DisconnectBody { container: id.as_str(), force };
        let call = Call::post(Target::new(&["networks", network, "disconnect"])).json(&body);
        self.transport.done(call).await.map_err(|fault| self.of_network(fault, network, id))
    }

    fn of_network(&self, fault: Fault, network: &str, id: &EngineId) -> Error {
        match fault {
            fault if fault.says(StatusCode::NOT_FOUND, "No such container") => Error::NotFound(id.to_string()),
            Fault::Refused { message, .. } => Error::Invalid(format!("network {network:?}: {message}")),
            other => self.error(other),
        }
    }
}
