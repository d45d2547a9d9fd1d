//! What a workload asks of its node.

use crate::cluster::{Error, Result};
use eru_api::pb;
use eru_types::{CpuQuota, Demand, MemoryBytes, Resources, Volume, volume::VOLUMES_LEN_MAX};

/// Resources and volumes as the wire carries them; absent = all zero. The sizes of volumes count as storage too.
pub(super) fn given(options: Option<&pb::ResourceOptions>) -> Result<Demand> {
    let Some(options) = options else { return Ok(Demand::default()) };
    // In the original's order: the first that is wrong is named.
    let resources = Resources {
        memory_request: MemoryBytes::from_wire("Memory", options.memory_request)?,
        memory_limit: MemoryBytes::from_wire("Memory", options.memory_limit)?,
        cpu_request: CpuQuota::from_cores("resource_opts.cpu_quota_request", options.cpu_quota_request)?,
        cpu_limit: CpuQuota::from_cores("resource_opts.cpu_quota_limit", options.cpu_quota_limit)?,
        storage_request: MemoryBytes::from_wire("Storage", options.storage_request)?,
        storage_limit: MemoryBytes::from_wire("Storage", options.storage_limit)?,
    };
    let requests = volumes("volumes_request", &options.volumes_request)?;
    let limits = volumes("volumes_limit", &options.volumes_limit)?;
    Demand::new(resources, options.cpu_bind, requests, limits).map_err(|error| Error::Invalid(error.to_string()))
}

fn volumes(field: &str, texts: &[String]) -> Result<Vec<Volume>> {
    // Told before they are read: there may be very many.
    if texts.len() > VOLUMES_LEN_MAX {
        return Err(Error::Invalid(format!("{field}: at most {VOLUMES_LEN_MAX} volumes, got {}", texts.len())));
    }
    texts.iter().map(|text| text.parse().map_err(|error| Error::Invalid(format!("{field}: {error}")))).collect()
}
