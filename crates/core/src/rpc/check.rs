//! What every request goes through before it is believed: names, bounds, lengths.

use crate::cluster::{Error, Result};
use eru_types::{
    AppName, EngineId, EntrypointName, Labels, NodeName, PodName,
    limits::{EXTENSION_BYTES_MAX, LIST_LEN_MAX, NETWORKS_LEN_MAX},
    name::excerpt,
};
use std::collections::BTreeMap;

/// Longest free text (a description, an endpoint), in bytes.
pub(super) const TEXT_BYTES_MAX: usize = 4096;
/// Largest certificate or key, in bytes.
pub(super) const PEM_BYTES_MAX: usize = 64 * 1024;
/// Most entries of a map of cores, NUMA nodes or volumes.
pub(super) const MAP_LEN_MAX: usize = 4096;
/// Longest name of a core, a NUMA node, a volume device or a network, in bytes.
pub(super) const KEY_BYTES_MAX: usize = 256;

/// A name that may be left out.
pub(super) fn optional<T>(
    value: &str,
    parse: impl FnOnce(&str) -> Result<T, eru_types::NameError>,
) -> Result<Option<T>> {
    if value.is_empty() { Ok(None) } else { Ok(Some(parse(value)?)) }
}

pub(super) fn pod(value: &str) -> Result<PodName> {
    Ok(PodName::new(value)?)
}

pub(super) fn node(value: &str) -> Result<NodeName> {
    Ok(NodeName::new(value)?)
}

pub(super) fn optional_app(value: &str) -> Result<Option<AppName>> {
    optional(value, |v| AppName::new(v))
}

pub(super) fn optional_entrypoint(value: &str) -> Result<Option<EntrypointName>> {
    optional(value, |v| EntrypointName::new(v))
}

pub(super) fn optional_node(value: &str) -> Result<Option<NodeName>> {
    optional(value, |v| NodeName::new(v))
}

pub(super) fn optional_pod(value: &str) -> Result<Option<PodName>> {
    optional(value, |v| PodName::new(v))
}

pub(super) fn workload(value: &str) -> Result<EngineId> {
    Ok(EngineId::new(value)?)
}

/// Labels to select by, or of a node: reserved keys are allowed, as they are there to be selected by.
pub(super) fn labels(map: BTreeMap<String, String>) -> Result<Labels> {
    Ok(Labels::new(map)?)
}

/// A list of workload ids, in its order.
pub(super) fn workloads(ids: &[String]) -> Result<Vec<EngineId>> {
    list_len("ids", ids.len(), LIST_LEN_MAX)?;
    ids.iter().map(|id| workload(id)).collect()
}

pub(super) fn list_len(field: &str, len: usize, max: usize) -> Result<()> {
    if len > max {
        return Err(Error::Invalid(format!("{field}: {len} items (at most {max})")));
    }
    Ok(())
}

/// Text for people: bounded, and without characters that would act on a terminal.
pub(super) fn text(field: &str, value: &str, bytes_max: usize) -> Result<()> {
    if value.len() > bytes_max {
        return Err(Error::Invalid(format!("{field}: {} bytes (at most {bytes_max})", value.len())));
    }
    match value.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r')) {
        Some(_) => Err(Error::Invalid(format!("{field} must not hold control characters, got \"{}\"", excerpt(value)))),
        None => Ok(()),
    }
}

/// Keys of a map of cores, NUMA nodes, volume devices or networks.
pub(super) fn map_keys<V>(field: &str, map: &BTreeMap<String, V>, len_max: usize) -> Result<()> {
    list_len(field, map.len(), len_max)?;
    for key in map.keys() {
        if key.is_empty() {
            return Err(Error::Invalid(format!("{field}: a key is empty")));
        }
        text(field, key, KEY_BYTES_MAX)?;
    }
    Ok(())
}

/// Networks and extension of a status.
pub(super) fn status_size(networks: &BTreeMap<String, String>, extension_len: usize) -> Result<()> {
    map_keys("networks", networks, NETWORKS_LEN_MAX)?;
    for address in networks.values() {
        text("networks", address, KEY_BYTES_MAX)?;
    }
    if extension_len > EXTENSION_BYTES_MAX {
        return Err(Error::Invalid(format!("extension: {extension_len} bytes (at most {EXTENSION_BYTES_MAX})")));
    }
    Ok(())
}

/// A number of seconds that a report counts.
pub(super) fn ttl_s(ttl_s: i64) -> Result<i64> {
    let max = crate::cluster::agent::NODE_TTL_S_MAX;
    if (0..=max).contains(&ttl_s) {
        Ok(ttl_s)
    } else {
        Err(Error::Invalid(format!("ttl must be 0 to {max} s, got {ttl_s}")))
    }
}

/// A number that must not be negative.
pub(super) fn not_negative(what: &str, value: i64) -> Result<u64> {
    u64::try_from(value).map_err(|_| Error::Invalid(format!("{what} is negative: {value}")))
}
