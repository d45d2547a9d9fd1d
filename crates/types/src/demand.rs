//! What one instance asks of a node, as a request spells it and as the scheduler takes it.

use crate::{
    CpuQuota, MemoryBytes, Resources, Volume,
    name::excerpt,
    volume::{VOLUMES_LEN_MAX, VolumeError},
};
use std::collections::BTreeSet;

/// Why a demand was refused. The first words are the original's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DemandError {
    /// Cores of its own, but no number of them.
    #[error("unlimited request with bind: bad `CPU` value: cpu_bind needs a cpu_quota_request above 0")]
    UnlimitedBind,
    /// One list is longer than the other.
    #[error("different length of request and limit: bad `Volume` value: {requests} requests, {limits} limits")]
    Lengths {
        /// Volumes of the request.
        requests: usize,
        /// Volumes of the limit.
        limits: usize,
    },
    /// Two that belong together are of different volumes.
    #[error(
        "request and limit not match: \"{}\" and \"{}\" must have the same source, target and flags",
        excerpt(&request.to_string()), excerpt(&limit.to_string())
    )]
    Unmatched {
        /// Of the request.
        request: Box<Volume>,
        /// Of the limit.
        limit: Box<Volume>,
    },
    /// More than fit.
    #[error("{field}: at most {VOLUMES_LEN_MAX} volumes, got {len}")]
    TooMany {
        /// `volumes_request` or `volumes_limit`.
        field: &'static str,
        /// How many were given.
        len: usize,
    },
    /// Two volumes at one place.
    #[error("volumes: target \"{}\" is given twice", excerpt(.0))]
    Target(String),
    /// The sizes of the volumes are taken from the storage as well, and together are too much.
    #[error("storage: {0} bytes and the sizes of the volumes are together more than 9223372036854775807 bytes")]
    Overflow(u64),
    /// A volume by itself is wrong.
    #[error(transparent)]
    Volume(#[from] VolumeError),
}

/// What one instance asks of a node, normalised: requests and limits belong together, pair by pair.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Demand {
    /// The plain amounts. The storage holds the sizes of the volumes as well.
    pub resources: Resources,
    /// Whether it has cores of its own.
    pub bind: bool,
    /// Volumes with the sizes that are taken from the node.
    pub volumes_request: Vec<Volume>,
    /// The same volumes with the sizes that may be used.
    pub volumes_limit: Vec<Volume>,
}

impl Demand {
    /// Normalises what a request spelled: `resources` as given, without the sizes of the volumes.
    ///
    /// # Errors
    /// [`DemandError`] names what does not go together.
    pub fn new(
        resources: Resources,
        bind: bool,
        volumes_request: Vec<Volume>,
        volumes_limit: Vec<Volume>,
    ) -> Result<Self, DemandError> {
        let requests_are_given = !volumes_request.is_empty();
        let (volumes_request, volumes_limit) = pair_volumes(volumes_request, volumes_limit)?;
        let mut resources = resources;
        // What has no limit gets none by its volumes.
        let unlimited = resources.storage_limit == MemoryBytes(0) && resources.storage_request > MemoryBytes(0);
        // Where nothing is requested, the request is the limit, which has the volumes in it.
        if requests_are_given || resources.storage_request > MemoryBytes(0) {
            resources.storage_request = with_sizes(resources.storage_request, &volumes_request)?;
        }
        if !unlimited {
            resources.storage_limit = with_sizes(resources.storage_limit, &volumes_limit)?;
        }
        resources = resources.normalised();
        if bind {
            if resources.cpu_request == CpuQuota(0) {
                return Err(DemandError::UnlimitedBind);
            }
            // Cores are whole or cut at one place: what may be used is what is given.
            resources.cpu_request = resources.cpu_request.max(resources.cpu_limit);
            resources.cpu_limit = resources.cpu_limit.max(resources.cpu_request);
        }
        Ok(Self { resources, bind, volumes_request, volumes_limit })
    }

    /// The demand of what is planned already, whose storage holds the sizes of its volumes.
    pub fn planned(resources: Resources, bind: bool) -> Self {
        Self { resources, bind, ..Self::default() }
    }

    /// Numbers of the volumes whose device the scheduler chooses, with their requests.
    pub fn scheduled(&self) -> impl Iterator<Item = (usize, &Volume)> {
        self.volumes_request.iter().enumerate().filter(|(_, volume)| volume.is_scheduled())
    }
}

fn with_sizes(storage: MemoryBytes, volumes: &[Volume]) -> Result<MemoryBytes, DemandError> {
    let sum = volumes.iter().try_fold(storage.0, |sum, volume| sum.checked_add(volume.size()));
    sum.filter(|sum| i64::try_from(*sum).is_ok()).map(MemoryBytes).ok_or(DemandError::Overflow(storage.0))
}

type Pairs = (Vec<Volume>, Vec<Volume>);

fn pair_volumes(mut requests: Vec<Volume>, mut limits: Vec<Volume>) -> Result<Pairs, DemandError> {
    for (field, volumes) in [("volumes_request", &mut requests), ("volumes_limit", &mut limits)] {
        if volumes.len() > VOLUMES_LEN_MAX {
            return Err(DemandError::TooMany { field, len: volumes.len() });
        }
        volumes.sort_unstable();
        let mut targets = BTreeSet::new();
        if let Some(twice) = volumes.iter().find(|volume| !targets.insert(volume.target())) {
            return Err(DemandError::Target(twice.target().to_owned()));
        }
    }
    if requests.is_empty() {
        requests.clone_from(&limits);
    }
    if requests.len() != limits.len() {
        return Err(DemandError::Lengths { requests: requests.len(), limits: limits.len() });
    }
    for (request, limit) in requests.iter_mut().zip(&mut limits) {
        if !request.is_same(limit) {
            return Err(DemandError::Unmatched { request: Box::new(request.clone()), limit: Box::new(limit.clone()) });
        }
        if limit.size() > 0 && request.size() > limit.size() {
            *limit = request.clone();
        }
    }
    Ok((requests, limits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn volumes(texts: &[&str]) -> Vec<Volume> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn demand(requests: &[&str], limits: &[&str]) -> Result<Demand, DemandError> {
        Demand::new(Resources::default(), false, volumes(requests), volumes(limits))
    }

    #[test]
    fn bound_cores_have_one_number() {
        let cpu = |request, limit, bind| {
            let resources =
                Resources { cpu_request: CpuQuota(request), cpu_limit: CpuQuota(limit), ..Resources::default() };
            Demand::new(resources, bind, vec![], vec![]).map(|d| (d.resources.cpu_request.0, d.resources.cpu_limit.0))
        };
        assert_eq!(cpu(0, 0, true), Err(DemandError::UnlimitedBind));
        assert_eq!(cpu(0, 0, false), Ok((0, 0)));
        assert_eq!(cpu(1, 3, true), Ok((3, 3)), "the request is raised to the limit");
        assert_eq!(cpu(0, 3, true), Ok((3, 3)));
        assert_eq!(cpu(3, 1, true), Ok((3, 3)), "the limit is raised to the request");
        assert_eq!(cpu(1, 3, false), Ok((1, 3)));
    }

    #[test]
    fn volumes_are_paired() {
        let good = demand(&["AUTO:/b:rw:2", "AUTO:/a:rw:9"], &["AUTO:/a:rw:5", "AUTO:/b:rw:7"]).unwrap();
        assert_eq!(good.volumes_request, volumes(&["AUTO:/a:rw:9", "AUTO:/b:rw:2"]));
        assert_eq!(good.volumes_limit, volumes(&["AUTO:/a:rw:9", "AUTO:/b:rw:7"]));
        assert_eq!((good.resources.storage_request.0, good.resources.storage_limit.0), (11, 16));
        let limits_alone = demand(&[], &["AUTO:/a:rw:5"]).unwrap();
        assert_eq!(limits_alone.volumes_request, limits_alone.volumes_limit);
        for (requests, limits, text) in [
            (&["/a:/b"][..], &[][..], "different length of request and limit: bad `Volume` value"),
            (&["/a:/b"], &["/a:/c"], "request and limit not match: \"/a:/b\" and \"/a:/c\""),
            (&["/a:/b", "/c:/b"], &["/a:/b", "/c:/b"], "target \"/b\" is given twice"),
            (&[], &["AUTO:/a:rw:9223372036854775807", "AUTO:/b:rw:1"], "storage: 0 bytes and the sizes"),
        ] {
            let error = demand(requests, limits).unwrap_err().to_string();
            assert!(error.contains(text), "{error}");
        }
        let many: Vec<String> = (0..33).map(|i| format!("/a:/b{i}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(demand(&[], &many).unwrap_err().to_string(), "volumes_limit: at most 32 volumes, got 33");
    }
}
