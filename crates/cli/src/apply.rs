//! From an app spec with a `replicaset` section to the controller's request.

use crate::deploy_options::{DeployFlags, deploy_options};
use crate::values::networks_of;
use eru_api::{controller, pb};
use eru_types::spec::{AppSpec, ReplicaSetSection, StrategySection};
use std::time::Duration;

/// What a spec may leave to the one who applies it.
#[derive(Debug, Clone, Default)]
pub struct ApplyDefaults {
    /// The pod, when the section names none.
    pub podname: String,
}

/// Why a spec is not one of a ReplicaSet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ApplyError {
    /// It does not say how much is wanted.
    #[error("the spec has no \"replicaset\" section; add one, as: replicaset: {{count: 3, pod: local}}")]
    NoSection,
    /// It does not say where.
    #[error("replicaset.pod: no pod given; add it to the spec or pass --pod")]
    NoPod,
}

/// The set that `spec` describes; `text` is what the spec was read from, and kept with the set.
///
/// # Errors
/// [`ApplyError`].
pub fn replicaset_spec(
    spec: &AppSpec,
    text: &str,
    defaults: &ApplyDefaults,
) -> Result<controller::ReplicaSetSpec, ApplyError> {
    let section = spec.replicaset.as_ref().ok_or(ApplyError::NoSection)?;
    let podname = section.pod.as_ref().map_or_else(|| defaults.podname.clone(), ToString::to_string);
    if podname.is_empty() {
        return Err(ApplyError::NoPod);
    }
    let template = deploy_options(spec, &section.entrypoint, flags(section, &podname))
        .expect("a section's entrypoint is one of its spec's");
    let name =
        section.name.as_ref().map_or_else(|| format!("{}-{}", spec.appname, section.entrypoint), ToString::to_string);
    Ok(controller::ReplicaSetSpec {
        name,
        appname: spec.appname.to_string(),
        entrypoint: section.entrypoint.to_string(),
        podname,
        image: section.image.clone(),
        count: section.count as i32,
        template: Some(template),
        strategy: Some(strategy(&section.strategy)),
        spec_yaml: text.to_owned(),
    })
}

fn flags(section: &ReplicaSetSection, podname: &str) -> DeployFlags {
    let resources = &section.resources;
    DeployFlags {
        podname: podname.to_owned(),
        image: section.image.clone(),
        count: 1,
        nodelabels: section.nodelabels.as_map().clone(),
        networks: section.network.as_ref().map(networks_of).unwrap_or_default(),
        resources: pb::ResourceOptions {
            cpu_quota_limit: resources.cpu.cores(),
            cpu_quota_request: resources.cpu.cores(),
            memory_limit: resources.memory.wire(),
            memory_request: resources.memory.wire(),
            storage_limit: resources.storage.wire(),
            storage_request: resources.storage.wire(),
            ..Default::default()
        },
        env: section.env.iter().map(ToString::to_string).collect(),
        ..Default::default()
    }
}

fn strategy(section: &StrategySection) -> controller::Strategy {
    let ms = |duration: Option<Duration>| duration.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX));
    controller::Strategy {
        min_healthy_ms: ms(section.min_healthy),
        healthy_deadline_ms: ms(section.healthy_deadline),
        unhealthy_after_ms: ms(section.unhealthy_after),
        return_settle_ms: ms(section.return_settle),
        keep: section.keep.map(|keep| keep.as_str().to_owned()).unwrap_or_default(),
    }
}
