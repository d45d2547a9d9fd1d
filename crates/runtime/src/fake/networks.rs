//! The networks of a simulated engine.

use super::{engine::Fake, record::NETWORK};
use crate::port::{Action, Error, Network, Result};
use eru_types::EngineId;
use std::collections::BTreeMap;

/// Driver and subnets by name.
pub(super) struct Networks(BTreeMap<String, (String, Vec<String>)>);

impl Default for Networks {
    fn default() -> Self {
        Self(BTreeMap::from([(NETWORK.to_owned(), ("bridge".to_owned(), vec!["10.0.0.0/8".to_owned()]))]))
    }
}

impl Networks {
    pub(super) fn of_driver(&self, driver: &str) -> Vec<Network> {
        let wanted = self.0.iter().filter(|(_, (own, _))| driver.is_empty() || own == driver);
        wanted.map(|(name, (_, subnets))| Network { name: name.clone(), subnets: subnets.clone() }).collect()
    }
}

impl Fake {
    /// Adds a network of this engine.
    pub fn add_network(&self, name: &str, driver: &str, subnet: &str) {
        let network = (driver.to_owned(), vec![subnet.to_owned()]);
        self.inner.lock().networks.0.insert(name.to_owned(), network);
    }

    /// Forgets every network.
    pub fn clear_networks(&self) {
        self.inner.lock().networks.0.clear();
    }

    pub(super) fn join(&self, network: &str, id: &EngineId, ipv4: &str, ipv6: &str) -> Result<Vec<String>> {
        let mut inner = self.inner.lock();
        if !inner.networks.0.contains_key(network) {
            return Err(Error::Invalid(format!("no network \"{network}\" on the node")));
        }
        let record = inner.records.get_mut(id).ok_or_else(|| Error::NotFound(id.to_string()))?;
        let mut joined = record.networks();
        if joined.contains_key(network) {
            return Err(Error::Invalid(format!("workload {id} is in network \"{network}\" already")));
        }
        let own = record.address.to_string();
        let address = if ipv4.is_empty() { own } else { ipv4.to_owned() };
        joined.insert(network.to_owned(), address.clone());
        record.request.networks = joined;
        self.events.publish(id, Action::Changed);
        Ok([address, ipv6.to_owned()].into_iter().filter(|address| !address.is_empty()).collect())
    }

    pub(super) fn leave(&self, network: &str, id: &EngineId) -> Result<()> {
        let mut inner = self.inner.lock();
        let record = inner.records.get_mut(id).ok_or_else(|| Error::NotFound(id.to_string()))?;
        let mut joined = record.networks();
        if joined.remove(network).is_none() {
            return Err(Error::Invalid(format!("workload {id} is not in network \"{network}\"")));
        }
        record.request.networks = joined;
        self.events.publish(id, Action::Changed);
        Ok(())
    }
}
