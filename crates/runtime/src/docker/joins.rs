//! The networks of a request: which one a container is made on, and which it joins then.

use super::{
    bodies::{Addresses, EndpointSettings},
    options::DockerOptions,
};
use crate::port::{CreateRequest, Error, Result};
use eru_types::name::excerpt;
use std::net::IpAddr;

/// The network of the machine itself.
pub(super) const HOST: &str = "host";
/// No network.
pub(super) const NONE: &str = "none";
/// The engine's own network, on which ports are published.
pub(super) const BRIDGE: &str = "bridge";
/// The engine's other word for its own network.
const DEFAULT: &str = "default";

/// Where a container is made, and what it joins before its start.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Joins {
    /// The engine's network mode.
    pub(super) mode: String,
    /// The settings there, where any were asked for.
    pub(super) first: Option<EndpointSettings>,
    /// The others.
    pub(super) others: Vec<(String, EndpointSettings)>,
}

impl Joins {
    /// Those that somebody had to make; the others every engine has.
    pub(super) fn made_by_somebody(&self) -> Vec<&str> {
        let all = std::iter::once(&self.mode).chain(self.others.iter().map(|(network, _)| network));
        all.map(String::as_str).filter(|network| ![HOST, NONE, BRIDGE, DEFAULT].contains(network)).collect()
    }
}

pub(super) fn joins(request: &CreateRequest, options: &DockerOptions) -> Result<Joins> {
    let mut wanted = request.networks.iter();
    let Some((first, address)) = wanted.next() else {
        let mode = if options.network_mode.is_empty() { NONE } else { &options.network_mode };
        return Ok(Joins { mode: name(mode)?, first: None, others: Vec::new() });
    };
    if let Some(alone) = request.networks.keys().find(|n| [HOST, NONE].contains(&n.as_str()))
        && request.networks.len() > 1
    {
        return Err(Error::Invalid(format!("network {alone:?} cannot be had together with others")));
    }
    let mode = name(first)?;
    // On the machine's own network there is nothing to choose.
    let first = if [HOST, NONE].contains(&mode.as_str()) { None } else { endpoint(&mode, address)? };
    let others = wanted.map(|(network, address)| Ok((name(network)?, endpoint(network, address)?.unwrap_or_default())));
    Ok(Joins { mode, first, others: others.collect::<Result<_>>()? })
}

/// Settings with a wanted address; `None` where any will do.
pub(super) fn endpoint(network: &str, address: &str) -> Result<Option<EndpointSettings>> {
    if address.is_empty() {
        return Ok(None);
    }
    let parsed: IpAddr = address
        .parse()
        .map_err(|_| Error::Invalid(format!("bad IP address: \"{}\" for network {network:?}", excerpt(address))))?;
    if network == BRIDGE {
        return Err(Error::Invalid(format!(
            "network {BRIDGE:?} gives no wanted addresses ({address}): make a network of your own"
        )));
    }
    Ok(Some(with_addresses(parsed.is_ipv4().then_some(address), parsed.is_ipv6().then_some(address))))
}

/// Settings with these addresses.
pub(super) fn with_addresses(ipv4: Option<&str>, ipv6: Option<&str>) -> EndpointSettings {
    let owned = |address: Option<&str>| address.map(ToOwned::to_owned);
    EndpointSettings { addresses: Some(Addresses { ipv4: owned(ipv4), ipv6: owned(ipv6) }) }
}

/// A network's name, or its id. The engine would also take `container:ID`, which is no network.
fn name(text: &str) -> Result<String> {
    let fits =
        text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b)) && (1..=128).contains(&text.len());
    if fits {
        Ok(text.to_owned())
    } else {
        Err(Error::Invalid(format!(
            "network must be a name of letters, digits, '_', '.' and '-', got \"{}\"",
            excerpt(text)
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::request;

    fn of(networks: &[(&str, &str)], mode: &str) -> Result<Joins> {
        let mut wanted = request("app_web_aaaaaa", &["x"]);
        wanted.networks = networks.iter().map(|(n, a)| ((*n).to_owned(), (*a).to_owned())).collect();
        joins(&wanted, &DockerOptions { network_mode: mode.into(), ..DockerOptions::new("unix:///x") })
    }

    #[test]
    fn networks_are_joined() {
        let silent = |mode: &str| of(&[], mode).unwrap();
        assert_eq!(
            (silent("host").mode, silent("").mode, silent("bridge").mode),
            ("host".into(), "none".into(), "bridge".into())
        );
        let host = of(&[("host", "10.0.0.1")], "bridge").unwrap();
        assert_eq!((host.mode.as_str(), host.first), ("host", None));
        let two = of(&[("a", "10.0.0.1"), ("b", "fd00::1"), ("c", "")], "host").unwrap();
        let v4 = with_addresses(Some("10.0.0.1"), None);
        let v6 = with_addresses(None, Some("fd00::1"));
        assert_eq!((two.mode.as_str(), two.first), ("a", Some(v4)));
        assert_eq!(two.others, [("b".into(), v6), ("c".into(), EndpointSettings::default())]);
    }

    #[test]
    fn networks_that_cannot_be_are_refused() {
        for (networks, part) in [
            (&[("a", "10.0.0")][..], "bad IP address: \"10.0.0\""),
            (&[("bridge", "172.17.0.9")], "wanted addresses"),
            (&[("a", ""), ("host", "")], "together"),
            (&[("container:x", "")], "network must be"),
            (&[("a", ""), ("", "")], "network must be"),
        ] {
            let error = of(networks, "host").unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
