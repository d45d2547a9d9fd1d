//! The networks that engines offer, and who is in them.

use super::{Cluster, Error, Result, fence::key_name};
use crate::cache::NodeView;
use eru_api::pb;
use eru_runtime::{Error as RuntimeError, Network};
use eru_types::{PodName, name::excerpt};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Which workload is to join which network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectRequest {
    /// The network.
    pub network: String,
    /// The engine id.
    pub id: String,
    /// Wanted address; `None` = any.
    pub ipv4: Option<Ipv4Addr>,
    /// Wanted address; `None` = any.
    pub ipv6: Option<Ipv6Addr>,
}

impl ConnectRequest {
    /// Proves a request.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field and quotes the value.
    pub fn from_pb(options: &pb::ConnectNetworkOptions) -> Result<Self> {
        Ok(Self {
            network: network_name(&options.network)?,
            id: target(&options.target)?,
            ipv4: address("ipv4", &options.ipv4)?,
            ipv6: address("ipv6", &options.ipv6)?,
        })
    }
}

/// Which workload is to leave which network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisconnectRequest {
    /// The network.
    pub network: String,
    /// The engine id.
    pub id: String,
    /// Even if the engine thinks that it is in use.
    pub force: bool,
}

impl DisconnectRequest {
    /// Proves a request.
    ///
    /// # Errors
    /// [`Error::Invalid`] names the field and quotes the value.
    pub fn from_pb(options: &pb::DisconnectNetworkOptions) -> Result<Self> {
        Ok(Self { network: network_name(&options.network)?, id: target(&options.target)?, force: options.force })
    }
}

fn network_name(name: &str) -> Result<String> {
    if name.is_empty() {
        return Err(Error::Invalid("network name is empty".into()));
    }
    key_name("network", name)
}

fn target(id: &str) -> Result<String> {
    if id.is_empty() {
        return Err(Error::Invalid("workload id is empty".into()));
    }
    Ok(id.to_owned())
}

/// The words of the original, with the field.
fn address<T: std::str::FromStr>(field: &str, text: &str) -> Result<Option<T>> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Error::Invalid(format!("{field}: bad IP address: {}", excerpt(text))))
}

impl Cluster {
    /// The networks of the first node of a pod whose engine answers and has some; an empty `driver` is any.
    ///
    /// # Errors
    /// [`Error::NotFound`] without the pod; when it has no nodes; when none of them answers, what the last one said.
    pub async fn networks(&self, pod: &PodName, driver: &str) -> Result<Vec<Network>> {
        if !driver.is_empty() {
            key_name("driver", driver)?;
        }
        self.cache.linearizable().await?;
        self.check_pod(pod).await?;
        let nodes = self.cache.nodes(Some(pod));
        if nodes.is_empty() {
            return Err(Error::Precondition(format!("pod has no nodes: {pod}")));
        }
        let (mut unsupported, mut failed, mut answered) = (None, None, false);
        for node in nodes {
            match self.networks_of(&node, driver).await {
                Ok(networks) if networks.is_empty() => answered = true,
                Ok(networks) => return Ok(networks),
                Err(error @ Error::Runtime(RuntimeError::Unsupported { .. })) => unsupported = Some(error),
                Err(error) => failed = Some(error),
            }
        }
        match failed.or(unsupported) {
            Some(error) if !answered => Err(error),
            _ => Ok(Vec::new()),
        }
    }

    async fn networks_of(&self, node: &NodeView, driver: &str) -> Result<Vec<Network>> {
        let engine = self.live_engine(node)?;
        self.ask(node.name(), engine.runtime.networks(driver)).await
    }

    /// Joins a workload to a network; answers the addresses that it got.
    ///
    /// # Errors
    /// [`Error::NotFound`] without the workload, or what its engine said.
    pub async fn connect(&self, request: &ConnectRequest) -> Result<Network> {
        let (current, _held) = self.hold_workload(&request.id).await?;
        let id = current.placement.engine_id.as_ref().ok_or_else(|| Error::no_workload(&request.id))?;
        let engine = self.engine_of(&current.placement.node)?;
        let text = |address: Option<String>| address.unwrap_or_default();
        let ipv4 = text(request.ipv4.map(|address| address.to_string()));
        let ipv6 = text(request.ipv6.map(|address| address.to_string()));
        let _slot = engine.slot().await;
        let subnets = self.engine_call(engine.runtime.connect(&request.network, id, &ipv4, &ipv6)).await?;
        Ok(Network { name: request.network.clone(), subnets })
    }

    /// Takes a workload out of a network.
    ///
    /// # Errors
    /// [`Error::NotFound`] without the workload, or what its engine said.
    pub async fn disconnect(&self, request: &DisconnectRequest) -> Result<()> {
        let (current, _held) = self.hold_workload(&request.id).await?;
        let id = current.placement.engine_id.as_ref().ok_or_else(|| Error::no_workload(&request.id))?;
        let engine = self.engine_of(&current.placement.node)?;
        let _slot = engine.slot().await;
        self.engine_call(engine.runtime.disconnect(&request.network, id, request.force)).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_names_are_checked() {
        let request = |network: &str, target: &str, ipv4: &str, ipv6: &str| {
            let [network, target, ipv4, ipv6] = [network, target, ipv4, ipv6].map(str::to_owned);
            ConnectRequest::from_pb(&pb::ConnectNetworkOptions { network, target, ipv4, ipv6 })
        };
        assert_eq!(request("n", "a", "", "").unwrap().ipv4, None);
        let both = request("n", "a", "10.0.0.9", "fd00::9").unwrap();
        assert!(both.ipv4.is_some() && both.ipv6.is_some());
        for (request, part) in [
            (request("", "a", "", ""), "network name is empty"),
            (request("../n", "a", "", ""), "network must be 1 to 128 letters"),
            (request("n", "", "", ""), "workload id is empty"),
            (request("n", "a", "999.1.1.1", ""), "ipv4: bad IP address: 999.1.1.1"),
            (request("n", "a", "fd00::9", ""), "ipv4: bad IP address"),
            (request("n", "a", "", "10.0.0.9"), "ipv6: bad IP address: 10.0.0.9"),
        ] {
            let text = request.unwrap_err().to_string();
            assert!(text.contains(part), "{text:?} lacks {part:?}");
        }
    }
}
