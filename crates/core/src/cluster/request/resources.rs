//! What a workload asks of its node.

use crate::cluster::{Error, Result};
use eru_api::pb;
use eru_types::{Allotment, CpuQuota, MemoryBytes, Resources, Volume};

/// Most volumes of one workload, as in the original.
const VOLUMES_LEN_MAX: usize = 32;

/// Resources and volumes as the wire carries them; absent = all zero. The sizes of volumes count as storage too.
pub(super) fn given(options: Option<&pb::ResourceOptions>) -> Result<(Resources, Allotment)> {
    let Some(options) = options else { return Ok(Default::default()) };
    if options.cpu_bind {
        return Err(Error::Unimplemented("cpu_bind is not available in this version".into()));
    }
    let (requested, limits) = volumes(options)?;
    let resources = Resources {
        memory_request: MemoryBytes::from_wire("Memory", options.memory_request)?,
        memory_limit: MemoryBytes::from_wire("Memory", options.memory_limit)?,
        cpu_request: CpuQuota::from_cores("resource_opts.cpu_quota_request", options.cpu_quota_request)?,
        cpu_limit: CpuQuota::from_cores("resource_opts.cpu_quota_limit", options.cpu_quota_limit)?,
        storage_request: storage(options.storage_request, &requested)?,
        storage_limit: storage(options.storage_limit, &limits)?,
    };
    let (volumes_request, volumes_limit) = paired(requested, limits)?;
    Ok((resources.normalised(), Allotment { volumes_request, volumes_limit, ..Allotment::default() }))
}

fn storage(bytes: i64, volumes: &[Volume]) -> Result<MemoryBytes> {
    let bytes = MemoryBytes::from_wire("Storage", bytes)?.0;
    let sum = volumes.iter().try_fold(bytes, |sum, volume| sum.checked_add(volume.size()));
    match sum.filter(|sum| i64::try_from(*sum).is_ok()) {
        Some(sum) => Ok(MemoryBytes(sum)),
        None => Err(Error::Invalid(format!("storage: with the volumes it would be more than {} bytes", i64::MAX))),
    }
}

fn volumes(options: &pb::ResourceOptions) -> Result<(Vec<Volume>, Vec<Volume>)> {
    let parse = |field: &str, texts: &[String]| -> Result<Vec<Volume>> {
        if texts.len() > VOLUMES_LEN_MAX {
            return Err(Error::Invalid(format!("{field}: {} volumes (at most {VOLUMES_LEN_MAX})", texts.len())));
        }
        let mut volumes = Vec::with_capacity(texts.len());
        for text in texts {
            let volume: Volume = text.parse().map_err(|error| Error::Invalid(format!("{field}: {error}")))?;
            if volume.is_scheduled() {
                return Err(Error::Unimplemented(format!(
                    "{field}: AUTO volumes are not available in this version, got \"{volume}\""
                )));
            }
            volumes.push(volume);
        }
        volumes.sort_by_key(Volume::to_string);
        if let Some(twice) = volumes.windows(2).find(|pair| pair[0].target() == pair[1].target()) {
            return Err(Error::Invalid(format!("{field}: two volumes at {}", twice[0].target())));
        }
        Ok(volumes)
    };
    let limits = parse("volumes_limit", &options.volumes_limit)?;
    Ok((parse("volumes_request", &options.volumes_request)?, limits))
}

/// Applies the rules between what is requested and the limits, with the original's texts: none requested is what the limits
/// say; otherwise each has its counterpart, whose limit is not below its request.
fn paired(requested: Vec<Volume>, limits: Vec<Volume>) -> Result<(Vec<Volume>, Vec<Volume>)> {
    if requested.is_empty() {
        return Ok((limits.clone(), limits));
    }
    if requested.len() != limits.len() {
        return Err(Error::Invalid(format!(
            "different length of request and limit: bad `Volume` value: {} requested, {} limits",
            requested.len(),
            limits.len()
        )));
    }
    let mut raised = Vec::with_capacity(limits.len());
    for (request, limit) in requested.iter().zip(limits) {
        let parts =
            |volume: &Volume| (volume.source().to_owned(), volume.target().to_owned(), volume.flags().to_owned());
        if parts(request) != parts(&limit) {
            return Err(Error::Invalid(format!(
                "request and limit not match: bad `Volume` value: \"{request}\" and \"{limit}\""
            )));
        }
        let size = if request.size() > 0 && limit.size() > 0 { limit.size().max(request.size()) } else { limit.size() };
        raised.push(limit.with_size(size));
    }
    Ok((requested, raised))
}
